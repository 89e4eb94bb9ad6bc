// What a file system of a target cannot do, found out by trying: keep modes and times as they are given, or keep two names apart
// ('A' and 'a', or 'a.' and 'a').

import fs from 'node:fs';
import { closeDescriptor, createIn, type HeldDirectory, pathIn, removeIn } from '../posix/at.js';
import { setModeOf, setModifiedOf } from '../posix/attributes.js';
import { isSameInode, opened, statusOf } from '../posix/inode.js';

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

/** Whether a file gets other permissions or another time than it is given, without an error. False where nothing can be made. */
export function changesAttributes(held: HeldDirectory): boolean {
  const name = Buffer.from(probeName);
  try {
    const descriptor = createIn(held, name, 0o600);
    try {
      const inode = opened(descriptor);
      setModeOf(inode, probeMode);
      setModifiedOf(inode, probeTime_ns);
      const { mode, mtimeNs } = statusOf(inode);
      return (Number(mode) & 0o7777) !== probeMode || mtimeNs !== probeTime_ns;
    } finally {
      closeDescriptor(descriptor);
      removeIn(held, name);
    }
  } catch {
    return false;
  }
}

/** One by temporaryName, so that the next run removes it. */
export const probeName = '.rrbackup-partial';
const probeMode = 0o641;
const probeTime_ns = 1_234_567_891_123_456_789n;

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
      if (there === undefined) continue;
      // Through FUSE each name may have an inode of its own.
      if (isSameInode(there, stats) || folded(other) === folded(name)) return true;
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

function folded(name: Buffer): string {
  return name
    .toString('utf8')
    .normalize('NFKC')
    .toLowerCase()
    .replace(/[. ]+$/, '');
}

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
