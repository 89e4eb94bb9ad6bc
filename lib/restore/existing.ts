// What stands already where an entry is to be put: nothing, the very same, or something else. A file is the same only if its
// size, its time and, chunk by chunk, its content are. What stands is held by a descriptor, so that what is compared is what gets
// attributes later. Reads it, changes nothing.

import fs from 'node:fs';
import type { Entry, EntryType, Segment } from '../manifest/types.js';
import { closeDescriptor, type HeldDirectory, openIn, pathIn } from '../posix/at.js';
import {
  holdIn,
  type Inode,
  isSameInode,
  opened,
  openHeld,
  release,
  statusOf,
  symlinkTargetOf,
} from '../posix/inode.js';
import { splitDevice } from '../posix/nodes.js';
import { dataExtents } from '../posix/sparse.js';
import type { ChunkId } from '../pack/types.js';
import { isTrusted, type Trust } from './journal.js';

export type Likeness = 'absent' | 'same' | 'different' | 'directory';

export interface Comparison {
  /** The id of a chunk with these bytes. */
  identify(plain: Uint8Array): ChunkId;
  /** Called between chunks; throws once everybody is to stop. */
  check(): void;
}

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
const window_bytes = 4 * 1024 * 1024;
const smallest_bytes = 256 * 1024;

/** What stands at a name, held: `release` it. */
export interface Standing {
  readonly inode: Inode;
  readonly stats: fs.BigIntStats;
}

/** Undefined if nothing stands there. */
export function holdStanding(directory: HeldDirectory, name: Uint8Array): Standing | undefined {
  const inode = holdIn(directory, name);
  if (inode === undefined) return undefined;
  try {
    return { inode, stats: statusOf(inode) };
  } catch (error) {
    release(inode);
    throw error;
  }
}

/** The same in a directory where nobody else exchanges anything: a file is opened at once, which saves a third of the calls. */
export function holdPrivate(directory: HeldDirectory, name: Uint8Array): Standing | undefined {
  const path = pathIn(directory, name);
  const stats = fs.lstatSync(path, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (!stats.isFile()) return holdStanding(directory, name);
  try {
    const descriptor = openIn(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    return { inode: { ...opened(descriptor), foundAt: path }, stats };
  } catch {
    // This user may not read it.
    return holdStanding(directory, name);
  }
}

/** With a file's content, which may be large, compared to its end where it is not trusted. */
export function compare(
  standing: Standing | undefined,
  entry: Entry,
  comparison: Comparison,
  { trust, isCoarse }: { readonly trust: readonly Trust[]; readonly isCoarse: boolean },
): Likeness {
  const likeness = compareStatus(standing, entry, { isCoarse });
  const isKnown = !isCoarse && standing !== undefined && isTrusted(standing.stats, trust);
  if (likeness !== 'same' || entry.type !== 'file' || isKnown) return likeness;
  return hasContent(standing!.inode, entry, comparison) ? 'same' : 'different';
}

/** The same for a file by its size and its time only; where times are not kept as they are given, by its size. */
export function compareStatus(
  standing: Standing | undefined,
  entry: Entry,
  { isCoarse }: { readonly isCoarse: boolean },
): Likeness {
  if (standing === undefined) return 'absent';
  const { inode, stats } = standing;
  if (stats.isDirectory()) return 'directory';
  if (!isType(stats, entry.type)) return 'different';
  switch (entry.type) {
    case 'file':
      if (stats.size !== BigInt(entry.size_bytes)) return 'different';
      return isCoarse || stats.mtimeNs === entry.mtime_ns ? 'same' : 'different';
    case 'symlink':
      return symlinkTargetOf(inode).equals(entry.target) ? 'same' : 'different';
    case 'character-device':
    case 'block-device': {
      const { major, minor } = splitDevice(stats.rdev);
      return major === entry.rdevMajor && minor === entry.rdevMinor ? 'same' : 'different';
    }
    default:
      return 'same';
  }
}

/** Whether it may be what was made just now for an entry that is no file: nobody else's, and nowhere else. */
export function isWhatWasMade(made: Standing, entry: Entry): boolean {
  const { uid, nlink } = made.stats;
  const isOurs = uid === BigInt(process.geteuid?.() ?? -1);
  return isOurs && nlink === 1n && compareStatus(made, entry, { isCoarse: false }) === 'same';
}

/** Whether the name still means this inode. */
export function isStillAt(held: HeldDirectory, name: Uint8Array, inode: Inode): boolean {
  const standing = holdStanding(held, name);
  if (standing === undefined) return false;
  release(standing.inode);
  return isSameInode(standing.stats, statusOf(inode));
}

function hasContent(inode: Inode, entry: Entry, comparison: Comparison): boolean {
  if (inode.path === undefined) return hasSegments(inode.descriptor, entry, comparison);
  let descriptor: number;
  try {
    descriptor = openHeld(inode, O_RDONLY);
  } catch {
    return false;
  }
  try {
    return hasSegments(descriptor, entry, comparison);
  } finally {
    closeDescriptor(descriptor);
  }
}

function hasSegments(descriptor: number, { content }: Entry, comparison: Comparison): boolean {
  let offset = 0;
  for (const segment of content) {
    if (!hasSegment(descriptor, offset, segment, comparison)) return false;
    offset += segment.size_bytes;
  }
  return true;
}

/** Used again: a fresh buffer for each chunk would cost page faults. */
let room = Buffer.alloc(0);

/** Whether the file has these bytes there. */
export function hasSegment(fd: number, offset: number, segment: Segment, comparison: Comparison): boolean {
  comparison.check();
  const { size_bytes } = segment;
  if (segment.kind === 'hole') return isZero(fd, offset, offset + size_bytes, comparison);
  if (room.length < size_bytes) room = Buffer.allocUnsafeSlow(Math.max(size_bytes, smallest_bytes));
  const plain = room.subarray(0, size_bytes);
  return readWhole(fd, plain, offset) && Buffer.compare(comparison.identify(plain), segment.id) === 0;
}

function isZero(fd: number, from: number, end: number, { check }: Comparison): boolean {
  for (const { offset, size_bytes } of dataExtents(fd, from, end)) {
    for (let at = offset; at < offset + size_bytes; at += window_bytes) {
      const part = Buffer.allocUnsafe(Math.min(window_bytes, offset + size_bytes - at));
      check();
      if (!readWhole(fd, part, at) || part.some((byte) => byte !== 0)) return false;
    }
  }
  return true;
}

/** False if the file ends before the buffer is full. */
function readWhole(fd: number, into: Buffer, position: number): boolean {
  for (let at = 0; at < into.length;) {
    const count = fs.readSync(fd, into, at, into.length - at, position + at);
    if (count === 0) return false;
    at += count;
  }
  return true;
}

export function isType(stats: fs.BigIntStats, type: EntryType): boolean {
  switch (type) {
    case 'file':
      return stats.isFile();
    case 'directory':
      return stats.isDirectory();
    case 'symlink':
      return stats.isSymbolicLink();
    case 'fifo':
      return stats.isFIFO();
    case 'socket':
      return stats.isSocket();
    case 'character-device':
      return stats.isCharacterDevice();
    case 'block-device':
      return stats.isBlockDevice();
  }
}
