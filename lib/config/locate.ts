// Finds and reads the configuration file. The order is part of the interface: -c, $RRBACKUP_CONFIG, the current directory,
// the XDG configuration directory, /etc.

import type { Stats } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { RrbackupError } from '../errors/index.js';
import { errorCode, reasonOf, Refusal } from '../posix/reason.js';
import { readFoundFile, readNamedFile } from '../posix/small-file.js';
import { distrust, distrustedOnWay, distrustInWords, isOwn } from '../posix/trust.js';

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
  /** Who else can change it, for the user to know; only of a file that was named is that allowed. */
  readonly warnings: readonly string[];
  /** Commands that stand in it may be run: not those of the current directory, unless that is this user's alone. */
  readonly mayRunCommands: boolean;
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

/** Named by -c or by the variable; or where it was looked for. */
type Place = 'named' | 'current directory' | 'user' | 'system';

interface Candidate {
  readonly path: string;
  readonly place: Place;
}

/** The files that are looked for, best first. A named one must be there. */
function candidates(file: string | undefined, surroundings: Surroundings): Candidate[] {
  const fromEnvironment = surroundings.environment['RRBACKUP_CONFIG'];
  const named = file ?? (fromEnvironment === '' ? undefined : fromEnvironment);
  if (named !== undefined) return [{ path: resolve(surroundings.cwd, named), place: 'named' }];
  return [
    { path: join(surroundings.cwd, name), place: 'current directory' },
    { path: userConfigurationFile(surroundings), place: 'user' },
    { path: join('/etc/rrbackup', name), place: 'system' },
  ];
}

function unreadable(path: string, error: unknown): RrbackupError {
  const reasons: Record<string, string> = { ENOENT: 'there is no such file', EISDIR: 'it is a directory' };
  return new RrbackupError({
    code: 'config.unreadable',
    kind: 'usage',
    message: `the configuration file ${path} cannot be read: ${reasons[errorCode(error) ?? ''] ?? reasonOf(error)}`,
    guidance: 'name another one with -c FILE, or make this one readable',
    cause: error,
  });
}

function untrusted(message: string, guidance: string): RrbackupError {
  return new RrbackupError({ code: 'config.foreign', kind: 'usage', message, guidance });
}

/** It names commands to run and where backups go: what somebody else may have written is not believed for lying there. */
function refuseUntrusted({ path, place }: Candidate, file: Stats, directory: Stats): void {
  const isOk = (status: Stats): boolean => isOwn(status) || (place === 'system' && status.uid === 0);
  const ifTrusted = `if you trust what stands in it, name it: -c ${path}`;
  const ofFile = isOk(file) ? distrust(file) : 'foreign';
  if (ofFile !== undefined)
    throw untrusted(
      `${distrustInWords({ path: `the configuration file ${path}`, why: ofFile })}, so it is not used`,
      ofFile === 'writable' ? `chmod go-w ${path}; or ${ifTrusted}` : ifTrusted,
    );
  const ofDirectory = distrust(directory);
  if (ofDirectory !== undefined)
    throw untrusted(
      `the configuration file ${path} is not used: ${distrustInWords({ path: 'its directory', why: ofDirectory })}`,
      `move it to a directory that only you can write to; or ${ifTrusted}`,
    );
}

function search(candidate: Candidate): ConfigurationText | undefined {
  const { path, place } = candidate;
  let found;
  try {
    found = readFoundFile(dirname(path), name, { most_bytes: maximum_bytes });
  } catch (error) {
    if (!(error instanceof Refusal)) throw unreadable(path, error);
    throw untrusted(
      `the configuration file ${path} is not used: ${error.message}`,
      'remove it, or name the file that is meant with -c FILE',
    );
  }
  if (found === undefined) return undefined;
  const { bytes, status, directory } = found;
  refuseUntrusted(candidate, status, directory);
  return {
    file: path,
    text: textOf(path, bytes),
    mode: status.mode & 0o7777,
    warnings: [],
    mayRunCommands: place !== 'current directory' || isOwn(directory),
  };
}

async function readNamed(path: string, signal: AbortSignal | undefined): Promise<ConfigurationText> {
  try {
    const { bytes, status } = await readNamedFile(path, { most_bytes: maximum_bytes, signal });
    const warnings = status.isFile() ? await othersWhoWrite(path) : [];
    return {
      file: path,
      text: textOf(path, bytes),
      mode: status.mode & 0o7777,
      warnings,
      mayRunCommands: true,
    };
  } catch (error) {
    throw error instanceof RrbackupError ? error : unreadable(path, error);
  }
}

async function othersWhoWrite(path: string): Promise<string[]> {
  const found = distrustedOnWay(path) ?? distrustedOnWay(dirname(await realpath(path)));
  if (found === undefined) return [];
  return [
    `others can change the configuration ${path}, which says what is run and where backups go: ${distrustInWords(found)}`,
  ];
}

function textOf(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw unreadable(path, new Refusal('it is not UTF-8 text'));
  } finally {
    // There may be a password in it.
    bytes.fill(0);
  }
}

/**
 * The first configuration file of the search order; undefined where none is there. A named one must exist. `signal`: ends the
 * wait for one that comes through a pipe.
 */
export async function findConfiguration(
  file: string | undefined,
  surroundings: Surroundings,
  signal?: AbortSignal,
): Promise<ConfigurationText | undefined> {
  for (const candidate of candidates(file, surroundings)) {
    const found = candidate.place === 'named' ? await readNamed(candidate.path, signal) : search(candidate);
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
