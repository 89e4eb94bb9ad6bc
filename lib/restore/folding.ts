// File systems that take two names for one ('A' and 'a', or 'a.' and 'a'): whether a directory is on such a one, and whether what
// stands at a name is there for another entry of the version. Reads, changes nothing.

import fs from 'node:fs';
import { type HeldDirectory, pathIn } from '../posix/at.js';
import { isSameInode } from '../posix/inode.js';

/** Whether names that differ in case mean the same in a directory with these names. */
export function foldsNames(held: HeldDirectory, names: readonly Buffer[]): boolean {
  const present = new Set(names.map(keyOf));
  for (const name of names) {
    const flipped = flipCase(name);
    if (present.has(keyOf(flipped))) continue;
    return fs.lstatSync(pathIn(held, flipped), { throwIfNoEntry: false }) !== undefined;
  }
  return false;
}

/** For directories that fold names. */
export class Folding {
  #of: HeldDirectory | undefined;
  #names = new Map<string, Buffer>();

  /** Whether what stands at `name` has the name of another entry of the version there. */
  isAnothers(
    held: HeldDirectory,
    name: Buffer,
    stats: fs.BigIntStats,
    isOfVersion: (name: Buffer) => boolean,
  ): boolean {
    if (this.#of === held && this.#names.has(keyOf(name))) return false;
    this.#list(held);
    if (this.#names.has(keyOf(name))) return false;
    for (const other of this.#names.values()) {
      if (!isOfVersion(other)) continue;
      const there = fs.lstatSync(pathIn(held, other), { bigint: true, throwIfNoEntry: false });
      if (there !== undefined && isSameInode(there, stats)) return true;
    }
    return false;
  }

  #list(held: HeldDirectory): void {
    const names = fs.readdirSync(pathIn(held, itself), { encoding: 'buffer' });
    this.#names = new Map(names.map((name) => [keyOf(name), name]));
    this.#of = held;
  }
}

const itself = Buffer.from('.');

/** The bytes of ASCII letters only, which is enough to find out. */
function flipCase(name: Buffer): Buffer {
  return Buffer.from(name.map((byte) => (isLetter(byte) ? byte ^ 0x20 : byte)));
}

function isLetter(byte: number): boolean {
  return (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}

function keyOf(name: Buffer): string {
  return name.toString('latin1');
}
