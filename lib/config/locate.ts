// Finds and reads the configuration file. The order is part of the interface: -c, $RRBACKUP_CONFIG, the current directory,
// the XDG configuration directory, /etc.

import { open } from 'node:fs/promises';
import { isAbsolute, join, resolve } from 'node:path';
import { RrbackupError } from '../errors/index.js';

/** What is known of the world; taken from the process by the caller, once. */
export interface Surroundings {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Absolute. */
  readonly cwd: string;
  /** Absolute. */
  readonly home: string;
}

export interface ConfigurationText {
  /** Absolute. */
  readonly file: string;
  readonly text: string;
  /** Permission bits. */
  readonly mode: number;
}

const name = 'configuration.ini';
const maximum_bytes = 1024 * 1024;

/** $variable/rrbackup if the variable holds an absolute path (others are to be ignored, says the specification). */
export function xdgDirectory(surroundings: Surroundings, variable: string, fallback: string): string {
  const value = surroundings.environment[variable];
  const base = value !== undefined && isAbsolute(value) ? value : join(surroundings.home, fallback);
  return join(base, 'rrbackup');
}

/** Where `init` writes a new configuration, and the third place that is looked at. */
export function userConfigurationFile(surroundings: Surroundings): string {
  return join(xdgDirectory(surroundings, 'XDG_CONFIG_HOME', '.config'), name);
}

/** The files that are looked for, best first; `named`: by -c or the variable, so it must be there. */
function candidates(
  file: string | undefined,
  surroundings: Surroundings,
): { path: string; named?: string }[] {
  const fromEnvironment = surroundings.environment['RRBACKUP_CONFIG'];
  if (file !== undefined) return [{ path: resolve(surroundings.cwd, file), named: '-c' }];
  if (fromEnvironment)
    return [{ path: resolve(surroundings.cwd, fromEnvironment), named: '$RRBACKUP_CONFIG' }];
  return [
    { path: join(surroundings.cwd, name) },
    { path: userConfigurationFile(surroundings) },
    { path: join('/etc/rrbackup', name) },
  ];
}

function unreadable(path: string, why: string, cause?: unknown): RrbackupError {
  return new RrbackupError({
    code: 'config.unreadable',
    kind: 'usage',
    message: `the configuration file ${path} cannot be read: ${why}`,
    guidance: 'name another one with -c FILE, or make this one readable',
    cause,
  });
}

async function read(path: string, isNamed: boolean): Promise<ConfigurationText | undefined> {
  let handle;
  try {
    handle = await open(path, 'r');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (!isNamed && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    throw unreadable(
      path,
      code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'permission denied' : String(code),
      error,
    );
  }
  try {
    const status = await handle.stat();
    if (status.isDirectory()) throw unreadable(path, 'it is a directory');
    // A file that somebody else left in a directory where we happen to be may name any command as password_command.
    const owner = process.getuid?.();
    if (!isNamed && owner !== undefined && status.uid !== owner && status.uid !== 0)
      throw new RrbackupError({
        code: 'config.foreign',
        kind: 'usage',
        message: `the configuration file ${path} belongs to another user`,
        guidance: `if you trust it, say so: -c ${path}`,
      });
    const bytes = Buffer.alloc(maximum_bytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(bytes, length, bytes.length - length, null);
      length += bytesRead;
      if (bytesRead === 0 || length === bytes.length) break;
    }
    if (length > maximum_bytes) throw unreadable(path, 'it is larger than 1 MiB');
    try {
      const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length));
      return { file: path, text, mode: status.mode & 0o7777 };
    } catch (error) {
      throw unreadable(path, 'it is not UTF-8 text', error);
    } finally {
      // There may be a password in it.
      bytes.fill(0, 0, length);
    }
  } finally {
    await handle.close();
  }
}

/** The first configuration file of the search order; undefined where none is there. A named one must exist. */
export async function findConfiguration(
  file: string | undefined,
  surroundings: Surroundings,
): Promise<ConfigurationText | undefined> {
  for (const candidate of candidates(file, surroundings)) {
    const found = await read(candidate.path, candidate.named !== undefined);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** No configuration file anywhere, with where it was looked for. */
export function noConfiguration(surroundings: Surroundings): RrbackupError {
  const looked = candidates(undefined, {
    ...surroundings,
    environment: { ...surroundings.environment, RRBACKUP_CONFIG: undefined },
  });
  return new RrbackupError({
    code: 'config.none',
    kind: 'usage',
    message: `there is no configuration file: neither ${looked.map(({ path }) => path).join(' nor ')}`,
    guidance: "run 'rrbackup init' to see the two shortest ways to begin, or name a file with -c FILE",
  });
}
