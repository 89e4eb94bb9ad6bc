// Names of temporary files, and lists of names as one piece of bytes, for messages: a slash is in no name.

import type { CatalogReader, DirectoryId } from '../catalog/types.js';
import { sha256 } from '../crypto/index.js';

const slash = 0x2f;
const temporary = '.rrbackup-partial';
const temporaryPattern = /^\.rrbackup-partial(-\d+|-journal|-of-[0-9a-f]{32})?-*$/;

/** What is put back of a large file and not yet whole: the next run finds it by the file's own name. */
export function partialOf(name: Uint8Array): `of-${string}` {
  return `of-${sha256(name).toString('hex').slice(0, 32)}`;
}

/** Whether a temporary name may be one by `partialOf`. */
export function isPartialName(name: Buffer): boolean {
  return name.includes('-of-');
}

/** A name that the version has nothing at. Two that are used at once are for different things. */
export function temporaryName(
  catalog: Pick<CatalogReader, 'lookup'>,
  directory: DirectoryId,
  sequence: number,
  slot: number | 'journal' | `of-${string}`,
): Buffer {
  let name = Buffer.from(`${temporary}-${slot}`);
  while (catalog.lookup(directory, name, sequence) !== undefined) name = Buffer.from(`${name.toString()}-`);
  return name;
}

/** Whether it may be one, of whatever run. */
export function isTemporaryName(name: Buffer): boolean {
  return name.length < 64 && temporaryPattern.test(name.toString('latin1'));
}

export function joinNames(names: readonly Uint8Array[]): Buffer {
  const joined = Buffer.allocUnsafeSlow(names.reduce((sum, { length }) => sum + length + 1, -1));
  let at = 0;
  for (const name of names) {
    if (at > 0) joined[at++] = slash;
    joined.set(name, at);
    at += name.length;
  }
  return joined;
}

/** Of at least one name. */
export function splitNames(joined: Uint8Array): Buffer[] {
  const bytes = Buffer.from(joined.buffer, joined.byteOffset, joined.byteLength);
  const names: Buffer[] = [];
  for (let from = 0; from <= bytes.length;) {
    const found = bytes.indexOf(slash, from);
    const end = found === -1 ? bytes.length : found;
    names.push(bytes.subarray(from, end));
    from = end + 1;
  }
  return names;
}
