// Where the password comes from, in this order: the configuration file, $RRBACKUP_PASSWORD, a question on the terminal. It is
// fetched when it is first needed, never before, and never appears in an argument list or in an error.

import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { RrbackupError, interrupted } from '../errors/index.js';
import { reasonOf } from '../posix/reason.js';
import type { PasswordSource } from '../repository/types.js';
import type { Surroundings } from './locate.js';

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

async function fromFile(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
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

/** Standard input and standard error stay the user's, so that `pass`, `gpg` or `secret-tool` can ask their own questions. */
async function fromCommand(
  command: string,
  surroundings: Surroundings,
  signal?: AbortSignal,
): Promise<string> {
  const chunks: Buffer[] = [];
  const status = await new Promise<string>((settle) => {
    const child = spawn('sh', ['-c', command], {
      cwd: surroundings.cwd,
      env: { ...surroundings.environment },
      stdio: ['inherit', 'pipe', 'inherit'],
    });
    // Ctrl-C reaches the command as well, a signal to this process does not; what it has started may hold its output open.
    const stop = (): void => {
      child.kill();
      child.stdout.destroy();
      settle('interrupted');
    };
    signal?.addEventListener('abort', stop, { once: true });
    child.on('exit', () => signal?.removeEventListener('abort', stop));
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.on('error', (error) => settle(error.message));
    child.on('close', (code, signal) =>
      settle(code === 0 ? '' : signal === null ? `status ${code}` : signal),
    );
  });
  if (signal?.aborted === true) throw interrupted();
  if (status !== '')
    throw noPassword(
      `the password command ended with ${status}: ${command}`,
      "run it by hand to see why, or correct 'password_command' in the configuration",
    );
  const output = Buffer.concat(chunks);
  const password = firstLine(output.toString('utf8'));
  for (const bytes of [...chunks, output]) bytes.fill(0);
  if (password === '')
    throw noPassword(
      `the password command printed nothing: ${command}`,
      'it has to print the password as the first line of its output',
    );
  return password;
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
    if (entry?.kind === 'file') return fromFile(entry.path);
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
