// What tells everything to stop: listens to signals from the program's first moment on, so that none of them ends the process
// in the middle of loading. Imports next to nothing.

import { exitStatus } from '../lib/errors/index.js';

/** Aborted by the first signal. */
export const stop = new AbortController();

const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

for (const name of signals)
  process.on(name, () => {
    if (stop.signal.aborted) {
      // Where a thread keeps this from ending, the next signal does what it does to every other program.
      for (const each of signals) process.removeAllListeners(each);
      process.exit(exitStatus.interrupted);
    }
    stop.abort();
    if (process.stderr.isTTY) process.stderr.write('\nrrbackup: stopping; once more to stop at once\n');
  });
