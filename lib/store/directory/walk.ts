// Lists the files of a directory store in key order. Foreign things (symlinks, devices, names that are no keys) are not there for
// it; it never leaves the root. Names are kept for as long as they are needed, and only so many.

import { lstat, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted, tooManyListed } from '../failures.js';
import { isKey } from '../key.js';
import { mostListed, type StoredObject } from '../types.js';
import { isAbsence } from './failure.js';
import { type HeldDirectories, splitKey } from './held.js';

/** Holds files that are being written; it is no key, so nothing stored can be in it. */
export const temporaryName = '.temporary';

/** Of the names of directories that are being listed: a million of packs or so in one directory. */
const mostNames_bytes = 128 * 2 ** 20;
/** What a name takes beside its letters. */
const name_bytes = 64;
/** Read from a directory in one call. */
const entriesAtOnce = 256;
/** Asked for their status at once. */
const filesAtOnce = 32;

export function isStorableKey(key: string): boolean {
  return isKey(key) && key !== temporaryName && !key.startsWith(`${temporaryName}/`);
}

export interface Walk {
  readonly prefix: string;
  readonly after: string;
  readonly signal: AbortSignal | undefined;
  /** For tests: entries of the directories of one listing. */
  readonly mostListed?: number;
}

export class Lister {
  readonly #directories: HeldDirectories;
  readonly #location: string;
  readonly #walk: Walk;
  #entries = 0;
  #names_bytes = 0;

  constructor(directories: HeldDirectories, location: string, walk: Walk) {
    this.#directories = directories;
    this.#location = location;
    this.#walk = walk;
  }

  /** What lies below `directory` ('' for the root, else ending in '/') as far as it begins with the prefix and comes after `after`. */
  async *objects(directory: string): AsyncGenerator<StoredObject> {
    const before_bytes = this.#names_bytes;
    // Most directories hold few files: then one look is enough.
    const look = await this.#in(directory, async (path) => {
      const names = await this.#namesIn(path, directory, (key) => this.#isWanted(key));
      return { names, first: await describeAll(path, directory, filesFrom(names, 0)) };
    });
    if (look === undefined) return;
    const { names, first } = look;
    for (let at = 0; at < names.length;) {
      const files = filesFrom(names, at);
      yield* at === 0 ? first : await this.#described(directory, files);
      at += files.length;
      // With its slash a directory sorts as its keys do: 'a-b' comes before 'a/b'.
      if (names[at]?.endsWith('/') === true) yield* this.objects(directory + names[at++]!);
    }
    this.#names_bytes = before_bytes;
  }

  /** The directories right below one that hold a key at any depth, sorted. */
  async prefixes(directory: string): Promise<string[]> {
    const found: string[] = [];
    const names = await this.#in(directory, (path) =>
      this.#namesIn(path, directory, (key) => key.endsWith('/')),
    );
    for (const name of names ?? []) {
      const first = await this.objects(directory + name).next();
      if (first.done !== true) found.push(name.slice(0, -1));
    }
    return found.sort();
  }

  #isWanted(key: string): boolean {
    const { prefix, after } = this.#walk;
    if (!key.endsWith('/')) return key.startsWith(prefix) && key > after;
    const mayMatch = key.startsWith(prefix) || prefix.startsWith(key);
    return mayMatch && (key > after || after.startsWith(key));
  }

  /** Undefined where the directory is not there. */
  #in<T>(directory: string, use: (path: string) => Promise<T>): Promise<T | undefined> {
    throwIfAborted(this.#walk.signal);
    return unlessAbsent(this.#directories.in(directory.replace(/\/$/, ''), use));
  }

  /** Sorted; those of directories end in '/', and so do their keys. */
  async #namesIn(path: string, directory: string, isWanted: (key: string) => boolean): Promise<string[]> {
    const names: string[] = [];
    for await (const entry of await opendir(path, { bufferSize: entriesAtOnce })) {
      const { prefix, mostListed: most = mostListed } = this.#walk;
      if (++this.#entries > most) throw tooManyListed(this.#location, prefix, most);
      const isDirectory = entry.isDirectory();
      if (!isDirectory && !entry.isFile()) continue;
      if (!isStorableKey(directory + entry.name)) continue;
      const name = isDirectory ? `${entry.name}/` : entry.name;
      if (!isWanted(directory + name)) continue;
      this.#names_bytes += name.length + name_bytes;
      if (this.#names_bytes > mostNames_bytes) throw tooManyListed(this.#location, this.#walk.prefix);
      names.push(name);
    }
    return names.sort();
  }

  async #described(directory: string, names: readonly string[]): Promise<StoredObject[]> {
    return (await this.#in(directory, (path) => describeAll(path, directory, names))) ?? [];
  }
}

/** Those before the next directory, and no more than are looked at together. */
function filesFrom(names: readonly string[], from: number): string[] {
  let to = from;
  while (to < names.length && to - from < filesAtOnce && !names[to]!.endsWith('/')) to++;
  return names.slice(from, to);
}

async function describeAll(
  path: string,
  directory: string,
  names: readonly string[],
): Promise<StoredObject[]> {
  const found = await Promise.all(names.map((name) => describe(path, directory + name)));
  return found.filter((object) => object !== undefined);
}

/** The object at a key, by the path of its directory; undefined if there is none. */
export async function describe(directoryPath: string, key: string): Promise<StoredObject | undefined> {
  const status = await unlessAbsent(lstat(join(directoryPath, splitKey(key).name)));
  if (status?.isFile() !== true) return undefined;
  return { key, versionId: '', size_bytes: status.size, modified_ms: Math.trunc(status.mtimeMs) };
}

/** Undefined where what is asked for, or a directory on the way to it, is not there. */
export async function unlessAbsent<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

/** The part of a prefix that names a directory: 'a/b/' of 'a/b/c'. */
export function directoryOf(prefix: string): string {
  return prefix.slice(0, prefix.lastIndexOf('/') + 1);
}
