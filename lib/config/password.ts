// Where the password comes from, in this order: the configuration file, $RRBACKUP_PASSWORD, a question on the terminal. It is
// fetched when it is first needed, never before, and never appears in an argument list or in an error.

import { spawn } from 'node:child_process';
import { RrbackupError, interrupted } from '../errors/index.js';
import { endTree } from '../posix/process-tree.js';
import { reasonOf } from '../posix/reason.js';
import { readNamedFile, readStream } from '../posix/small-file.js';
import type { PasswordSource } from '../repository/types.js';
import type { Surroundings } from './locate.js';

/** Of a password file or of what a command prints. */
const most_bytes = 64 * 1024;

/** The entry of the configuration file that gives the password. */
export type PasswordEntry =
  | { readonly kind: 'text'; readonly password: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'command'; readonly command: string };

/** Asks a person without echo; 'create' asks twice. Undefined where nobody can be asked. */
export type AskPassword = (purpose: 'open' | 'create') => Promise<string>;

function noPassword(message: string, guidance: string, cause?: unknown): RrbackupError {
  return new RrbackupError({ code: 'config.no_password', kind: 'usage', message, guidance, cause });
}

function firstLine(text: string): string {
  return text.split(/\r?\n/, 1)[0]!;
}

async function fromFile(path: string, signal: AbortSignal | undefined): Promise<string> {
  let bytes: Buffer;
  try {
    ({ bytes } = await readNamedFile(path, { most_bytes, signal, firstLine: true }));
  } catch (error) {
    if (error instanceof RrbackupError) throw error;
    throw noPassword(
      `the password file ${path} cannot be read: ${reasonOf(error)}`,
      'name a file that is there and that you, and you alone, can read',
      error,
    );
  }
  const password = firstLine(bytes.toString('utf8'));
  bytes.fill(0);
  if (password === '')
    throw noPassword(`the password file ${path} is empty`, 'write the password into its first line');
  return password;
}

/** What may be told of a command: its program, for a token may stand in what follows, or before it (`TOKEN=… program`). */
function inWords(command: string): string {
  const [program = ''] = command.trim().split(/\s/, 1);
  return /^[\w./+-]+$/.test(program) ? ` (${program} …)` : '';
}

/**
 * Standard input and standard error stay the user's, so that `pass`, `gpg` or `secret-tool` can ask their own questions. What is
 * interrupted is ended with all that it has started; there is nothing that it could have left half done.
 */
async function fromCommand(
  command: string,
  surroundings: Surroundings,
  signal: AbortSignal | undefined,
): Promise<string> {
  if (signal?.aborted === true) throw interrupted();
  const child = spawn('sh', ['-c', command], {
    cwd: surroundings.cwd,
    env: { ...surroundings.environment },
    stdio: ['inherit', 'pipe', 'inherit'],
  });
  const ended = new Promise<string>((settle) => {
    child.on('error', (error) => settle(`an error: ${reasonOf(error)}`));
    child.on('close', (code, killedBy) =>
      settle(code === 0 ? '' : killedBy === null ? `status ${code}` : killedBy),
    );
  });
  let output: Buffer;
  let status: string;
  try {
    output = await readStream(child.stdout, { most_bytes, signal });
    status = await unlessAborted(ended, signal);
  } catch (error) {
    if (child.pid !== undefined) endTree(child.pid);
    if (error instanceof RrbackupError) throw error;
    throw noPassword(
      `the output of the password command${inWords(command)} cannot be used: ${reasonOf(error)}`,
      'it has to print the password as the first line of its output, and not much more',
    );
  }
  const password = firstLine(output.toString('utf8'));
  output.fill(0);
  if (status !== '')
    throw noPassword(
      `the password command${inWords(command)} ended with ${status}`,
      "run it by hand to see why, or correct 'password_command' in the configuration",
    );
  if (password === '')
    throw noPassword(
      `the password command${inWords(command)} printed nothing`,
      'it has to print the password as the first line of its output',
    );
  return password;
}

/** Rejects with 'interrupted' where the signal comes first. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(interrupted());
    if (signal?.aborted === true) return onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    void work.then(resolve, reject).finally(() => signal?.removeEventListener('abort', onAbort));
  });
}

/** A source that remembers the answer, so that nobody is asked twice in one run. */
export function passwordSource(
  entry: PasswordEntry | undefined,
  surroundings: Surroundings,
  ask?: AskPassword,
  signal?: AbortSignal,
): PasswordSource {
  const fetch = async (purpose: 'open' | 'create'): Promise<string> => {
    if (entry?.kind === 'text') return entry.password;
    if (entry?.kind === 'file') return fromFile(entry.path, signal);
    if (entry?.kind === 'command') return fromCommand(entry.command, surroundings, signal);
    const fromEnvironment = surroundings.environment['RRBACKUP_PASSWORD'];
    if (fromEnvironment) return fromEnvironment;
    if (ask === undefined)
      throw noPassword(
        'the password of the repository is needed, and there is no terminal to ask for it',
        "give it in [main] as 'crypt_password', 'password_file' or 'password_command', or in $RRBACKUP_PASSWORD",
      );
    const password = await ask(purpose);
    if (password === '')
      throw noPassword('an empty password was given', 'run the command again and type the password');
    return password;
  };
  let answer: Promise<string> | undefined;
  return (purpose = 'open') => (answer ??= fetch(purpose));
}
