// Goes on in the background: the same command again as a process of its own, with a channel to the one that the user
// started, who waits until the other is ready or has said why it is not. A password goes over the channel only: never in
// arguments, in the environment or in a file.

import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { type PlainError, RrbackupError, interrupted, toRrbackupError } from '../lib/errors/index.js';

/** Marks the process in the background; not for people. */
export const backgroundOption = '--in-background';

type FromParent = { readonly kind: 'begin'; readonly password: string | undefined };
type FromChild =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly error: PlainError };

/** The child's end of the channel. */
export interface ParentProcess {
  /** Leaves the current directory, then waits for the go-ahead; gives the password, if there is one. */
  begin(): Promise<string | undefined>;
  /** Lets the parent end; nothing can be said after. */
  ready(): void;
  failed(error: unknown): void;
}

/** Undefined in a process that nobody started with a channel. */
export function parentProcess(): ParentProcess | undefined {
  if (process.send === undefined) return undefined;
  const send = (message: FromChild, then: () => void = () => undefined): void => {
    if (process.connected) process.send?.(message, undefined, {}, then);
  };
  return {
    begin: () =>
      new Promise((resolve, reject) => {
        process.chdir('/');
        process.once('disconnect', () => reject(interrupted()));
        process.once('message', ({ password }: FromParent) => resolve(password));
        send({ kind: 'waiting' });
      }),
    ready: () => send({ kind: 'ready' }, () => process.disconnect()),
    failed: (error) =>
      send({ kind: 'failed', error: toRrbackupError(error).toPlain() }, () => process.disconnect()),
  };
}

export interface BackgroundOptions {
  /** Interpreter, its options, script, arguments. */
  readonly command: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where the child's output goes; made anew, readable for the user alone. */
  readonly logFile: string;
  readonly password: string | undefined;
  readonly signal: AbortSignal;
}

/** Resolves with the process id once the child is ready; rejects with the child's own error. */
export async function startInBackground(options: BackgroundOptions): Promise<number> {
  const { command, cwd, environment, logFile, password, signal } = options;
  mkdirSync(dirname(logFile), { recursive: true, mode: 0o700 });
  const log = openSync(logFile, 'w', 0o600);
  const [interpreter, ...rest] = [...command, backgroundOption];
  const child = spawn(interpreter!, rest, {
    cwd,
    env: { ...environment },
    detached: true,
    stdio: ['ignore', log, log, 'ipc'],
  });
  closeSync(log);
  const stop = (): void => void child.kill('SIGTERM');
  signal.addEventListener('abort', stop);
  try {
    await new Promise<void>((resolve, reject) => {
      child.on('error', reject);
      child.on('message', (message: FromChild) => {
        if (message.kind === 'waiting') child.send({ kind: 'begin', password } satisfies FromParent);
        else if (message.kind === 'ready') resolve();
        else reject(RrbackupError.fromPlain(message.error));
      });
      child.on('exit', (status, killedBy) => {
        if (signal.aborted) return reject(interrupted());
        reject(
          new RrbackupError({
            code: 'background.ended',
            kind: 'failure',
            message: `the process in the background ended with ${killedBy ?? `status ${status}`}`,
            guidance: `its last words are in ${logFile}`,
          }),
        );
      });
    });
  } finally {
    signal.removeEventListener('abort', stop);
    if (child.connected) child.disconnect();
    child.unref();
  }
  return child.pid!;
}
