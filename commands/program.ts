// Hands the process's world to the command line, and what the command line says to the process.

import { homedir } from 'node:os';
import type { Unlocker } from '../lib/keys/index.js';
import { type BackgroundChild, parentProcess } from './background.js';
import { commandWords } from './command-word.js';
import { loadCli } from './load.js';
import { runCommandLine } from './usage.js';

/** `child`: a process that the command may go on in; killed if it does not. */
export async function run({
  program,
  argv,
  child,
  unlocker,
  signal,
}: {
  readonly program: readonly string[];
  readonly argv: readonly string[];
  readonly child: BackgroundChild | undefined;
  readonly unlocker: Unlocker | undefined;
  /** Aborted by the first SIGINT or SIGTERM. */
  readonly signal: AbortSignal;
}): Promise<void> {
  // Somebody who closes the pipe has seen enough: `rrbackup files latest | head`.
  for (const stream of [process.stdout, process.stderr])
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(0);
      throw error;
    });

  let spare = child;
  // `isTTY` is undefined in a pipe, and that would leave it to the parser to guess.
  const colors = Boolean(process.stdout.isTTY) && !process.env['NO_COLOR'];
  process.exitCode = await runCommandLine(await loadCli(argv, { colors }), commandWords, argv, {
    env: process.env,
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    colorDepth: 1,
    cwd: process.cwd(),
    home: homedir(),
    signal,
    program,
    argv,
    parent: parentProcess(),
    unlocker,
    takeChild: () => {
      const taken = spare;
      spare = undefined;
      return taken;
    },
  });
  spare?.kill();
  // What a library still holds open (a connection kept alive) is no reason to stay.
  setTimeout(() => void leave(signal.aborted), 1000).unref();
}

/** `wasStopped`: there may be a wait without an end in another thread, which is what somebody has stopped. */
async function leave(wasStopped: boolean): Promise<void> {
  if (wasStopped) (await import('../lib/posix/exit.js')).exitAtOnce(Number(process.exitCode ?? 0));
  process.exit();
}
