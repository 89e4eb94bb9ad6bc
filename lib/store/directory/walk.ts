// Lists the files of a directory store as keys, in key order. Foreign things (symlinks, devices, names that are no keys) are
// not there for it; it never leaves the root.

import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '../failures.js';
import { isKey } from '../key.js';
import { isAbsence } from './failure.js';

/** Holds files that are being written; it is no key, so nothing stored can be in it. */
export const temporaryName = '.temporary';

export function isStorableKey(key: string): boolean {
  return isKey(key) && key !== temporaryName && !key.startsWith(`${temporaryName}/`);
}

async function entriesOf(path: string): Promise<Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true });
  } catch (error) {
    if (isAbsence(error)) return [];
    throw error;
  }
}

export interface Walk {
  readonly prefix: string;
  readonly after: string;
  readonly signal: AbortSignal | undefined;
}

/** The keys below `directory` ('' for the root, else ending in '/') that begin with the prefix and come after `after`. */
export async function* keysBelow(root: string, directory: string, walk: Walk): AsyncGenerator<string> {
  throwIfAborted(walk.signal);
  const found: string[] = [];
  for (const entry of await entriesOf(join(root, directory))) {
    const key = directory + entry.name;
    if (!isStorableKey(key)) continue;
    if (entry.isDirectory()) {
      const below = `${key}/`;
      const mayMatch = below.startsWith(walk.prefix) || walk.prefix.startsWith(below);
      const mayComeAfter = below > walk.after || walk.after.startsWith(below);
      if (mayMatch && mayComeAfter) found.push(below);
    } else if (entry.isFile() && key.startsWith(walk.prefix) && key > walk.after) {
      found.push(key);
    }
  }
  // With its slash a directory sorts as its keys do: 'a-b' comes before 'a/b'.
  for (const key of found.sort()) {
    if (key.endsWith('/')) yield* keysBelow(root, key, walk);
    else yield key;
  }
}

/** The part of a prefix that names a directory: 'a/b/' of 'a/b/c'. */
export function directoryOf(prefix: string): string {
  return prefix.slice(0, prefix.lastIndexOf('/') + 1);
}

/** The directories right below `prefix` that hold a key at any depth, sorted. */
export async function directoriesBelow(
  root: string,
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const names: string[] = [];
  for (const entry of await entriesOf(join(root, prefix))) {
    const below = `${prefix}${entry.name}/`;
    if (!entry.isDirectory() || !isStorableKey(below.slice(0, -1))) continue;
    const first = await keysBelow(root, below, { prefix: below, after: '', signal }).next();
    if (first.done !== true) names.push(entry.name);
  }
  return names.sort();
}
