// Goes on in the background: the same command again as a process of its own, with a channel to the one that the user
// started, who waits until the other is ready or has said why it is not. A password goes through a pipe beside it, whose bytes
// are wiped on both ends: never in arguments, in the environment, in a file or in a message. Imports next to nothing: the child
// is started before the program is loaded, so that both load at the same time.

import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, readSync } from 'node:fs';
import type { Socket } from 'node:net';
import { dirname } from 'node:path';
import { type PlainError, RrbackupError, interrupted, toRrbackupError } from '../lib/errors/index.js';
import { reasonOf } from '../lib/posix/reason.js';
import { distrustInWords, foreignGuidance, makeTrustedDirectories } from '../lib/posix/trust.js';
import type { Progress } from '../lib/progress.js';

/** Marks the process in the background; not for people. */
export const backgroundOption = '--in-background';

/** Behind the standard ones and the channel. */
const passwordDescriptor = 4;

interface Begin {
  readonly kind: 'begin';
  /** How many bytes of it come through the pipe. */
  readonly password_bytes: number | undefined;
  /** Where the child's output goes from then on. */
  readonly logFile: string;
}
type FromChild =
  | { readonly kind: 'waiting' }
  | { readonly kind: 'progress'; readonly progress: Progress }
  | { readonly kind: 'ready' }
  | { readonly kind: 'failed'; readonly error: PlainError };

/** The child's end of the channel. */
export interface ParentProcess {
  /** Leaves the current directory, then waits for the go-ahead; gives the password, if there is one. */
  begin(): Promise<string | undefined>;
  progress(progress: Progress): void;
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
    begin: async () => {
      process.chdir('/');
      const { password_bytes, logFile } = await new Promise<Begin>((resolve, reject) => {
        if (!process.connected) reject(interrupted());
        process.once('disconnect', () => reject(interrupted()));
        process.once('message', resolve);
        send({ kind: 'waiting' });
      });
      const { redirectOutput } = await import('../lib/posix/output.js');
      try {
        redirectOutput(logFile);
      } catch (error) {
        const unusable = logUnusable(logFile, reasonOf(error));
        await new Promise<void>((sent) => send({ kind: 'failed', error: unusable.toPlain() }, sent));
        throw unusable;
      }
      return readPassword(password_bytes);
    },
    progress: (progress) => send({ kind: 'progress', progress }),
    ready: () => send({ kind: 'ready' }, () => process.disconnect()),
    failed: (error) =>
      send({ kind: 'failed', error: toRrbackupError(error).toPlain() }, () => process.disconnect()),
  };
}

function readPassword(password_bytes: number | undefined): string | undefined {
  const bytes = Buffer.alloc(password_bytes ?? 0);
  for (let at = 0; at < bytes.length;) {
    const count = readSync(passwordDescriptor, bytes, at, bytes.length - at, null);
    if (count === 0) throw interrupted();
    at += count;
  }
  closeSync(passwordDescriptor);
  const password = bytes.toString('utf8');
  bytes.fill(0);
  return password_bytes === undefined ? undefined : password;
}

export interface ChildOptions {
  /** Interpreter, its options, script, arguments. */
  readonly command: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** A child that has been started and does nothing before it is told to. */
export class BackgroundChild {
  readonly #process: ChildProcess;
  readonly #ended: Promise<string>;
  /** It has loaded and waits for the word. */
  readonly waiting: Promise<void>;
  #onMessage: ((message: FromChild) => void) | undefined;

  constructor({ command, cwd, environment }: ChildOptions) {
    const [interpreter, ...rest] = [...command, backgroundOption];
    this.#process = spawn(interpreter!, rest, {
      cwd,
      env: { ...environment },
      detached: true,
      stdio: ['ignore', 'ignore', 'ignore', 'ipc', 'pipe'],
    });
    // A child that has ended takes nothing: that is told by its end.
    this.#pipe.on('error', () => undefined);
    this.#ended = new Promise((resolve) => {
      this.#process.on('error', (error) => resolve(error.message));
      this.#process.on('exit', (status, killedBy) => resolve(killedBy ?? `status ${status}`));
    });
    this.waiting = new Promise((resolve) => {
      this.#process.on('message', (message: FromChild) => {
        if (message.kind === 'waiting') resolve();
        this.#onMessage?.(message);
      });
    });
  }

  /** Lets it begin; resolves with its process id once it is ready, rejects with its own error. */
  async begin({ logFile, password, signal, onProgress }: BeginOptions): Promise<number> {
    try {
      makeDirectoryOf(logFile);
    } catch (error) {
      this.kill();
      throw error;
    }
    const stop = (): void => void this.#process.kill('SIGTERM');
    signal.addEventListener('abort', stop);
    try {
      await new Promise<void>((resolve, reject) => {
        this.#onMessage = (message) => {
          if (message.kind === 'progress') onProgress?.(message.progress);
          else if (message.kind === 'ready') resolve();
          else if (message.kind === 'failed') reject(RrbackupError.fromPlain(message.error));
        };
        void this.waiting.then(() => {
          const bytes = Buffer.from(password ?? '');
          const password_bytes = password === undefined ? undefined : bytes.length;
          const begin: Begin = { kind: 'begin', password_bytes, logFile };
          this.#process.send(begin, () => undefined);
          this.#pipe.end(bytes, () => bytes.fill(0));
        });
        void this.#ended.then((how) => reject(signal.aborted ? interrupted() : ended(how, logFile)));
        if (signal.aborted) stop();
      });
    } finally {
      signal.removeEventListener('abort', stop);
      this.#letGo();
    }
    return this.#process.pid!;
  }

  /** Ends it. */
  kill(): void {
    this.#process.kill('SIGKILL');
    this.#letGo();
  }

  get #pipe(): Socket {
    return this.#process.stdio[passwordDescriptor] as Socket;
  }

  #letGo(): void {
    if (this.#process.connected) this.#process.disconnect();
    this.#pipe.unref();
    this.#process.unref();
  }
}

export interface BeginOptions {
  /** Where the child's output goes; made anew, readable for the user alone. */
  readonly logFile: string;
  readonly password: string | undefined;
  readonly signal: AbortSignal;
  onProgress?(progress: Progress): void;
}

/** Resolves with the process id once the child is ready; rejects with the child's own error. */
export function startInBackground(options: ChildOptions & BeginOptions): Promise<number> {
  return new BackgroundChild(options).begin(options);
}

function makeDirectoryOf(logFile: string): void {
  const distrusted = makeTrustedDirectories(dirname(logFile));
  if (distrusted === undefined) return;
  const guidance = foreignGuidance('XDG_STATE_HOME', distrusted);
  throw logUnusable(logFile, distrustInWords(distrusted), guidance);
}

function logUnusable(logFile: string, why: string, guidance?: string): RrbackupError {
  return new RrbackupError({
    code: 'background.log',
    kind: 'failure',
    message: `the log ${logFile} cannot be written: ${why}`,
    guidance: guidance ?? 'remove what is there, or set XDG_STATE_HOME to a directory of your own',
  });
}

function ended(how: string, logFile: string): RrbackupError {
  return new RrbackupError({
    code: 'background.ended',
    kind: 'failure',
    message: `the process in the background ended with ${how}`,
    guidance: `its last words are in ${logFile}`,
  });
}
