// What tells everything to stop: listens to signals from the program's first moment on, so that none of them ends the process
// in the middle of loading. Imports next to nothing.

import { exitStatus } from '../lib/errors/index.js';

/** Aborted by the first signal. */
export const stop = new AbortController();

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(name, () => {
    if (stop.signal.aborted) return void leave();
    stop.abort();
    if (process.stderr.isTTY) process.stderr.write('\nrrbackup: stopping; once more to stop at once\n');
  });

async function leave(): Promise<void> {
  try {
    (await import('../lib/posix/exit.js')).exitAtOnce(exitStatus.interrupted);
  } catch {
    process.exit(exitStatus.interrupted);
  }
}
