// What stands already where an entry is to be put: nothing, the very same, or something else. A file is the same only if its
// size, its time and, chunk by chunk, its content are; reads it, changes nothing.

import fs from 'node:fs';
import type { Entry, EntryType } from '../manifest/types.js';
import { splitDevice } from '../posix/nodes.js';
import { dataExtents } from '../posix/sparse.js';
import type { ChunkId } from '../pack/types.js';

export type Standing = 'absent' | 'same' | 'different' | 'directory';

export interface Comparison {
  /** The id of a chunk with these bytes. */
  identify(plain: Uint8Array): ChunkId;
  /** Awaited between chunks. */
  turn(): Promise<void>;
}

const window_bytes = 4 * 1024 * 1024;

/** `access` is only used before the first wait. */
export async function whatStands(access: Buffer, entry: Entry, comparison: Comparison): Promise<Standing> {
  const stats = fs.lstatSync(access, { bigint: true, throwIfNoEntry: false });
  if (stats === undefined) return 'absent';
  if (stats.isDirectory()) return 'directory';
  if (!isType(stats, entry.type)) return 'different';
  switch (entry.type) {
    case 'file': {
      if (stats.size !== BigInt(entry.size_bytes) || stats.mtimeNs !== entry.mtime_ns) return 'different';
      return (await hasContent(access, entry, comparison)) ? 'same' : 'different';
    }
    case 'symlink':
      return fs.readlinkSync(access, { encoding: 'buffer' }).equals(entry.target) ? 'same' : 'different';
    case 'character-device':
    case 'block-device': {
      const { major, minor } = splitDevice(stats.rdev);
      return major === entry.rdevMajor && minor === entry.rdevMinor ? 'same' : 'different';
    }
    default:
      return 'same';
  }
}

async function hasContent(access: Buffer, entry: Entry, { identify, turn }: Comparison): Promise<boolean> {
  let fd: number;
  try {
    fd = fs.openSync(access, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    let offset = 0;
    for (const segment of entry.content) {
      const end = offset + segment.size_bytes;
      await turn();
      if (segment.kind === 'chunk') {
        const plain = Buffer.allocUnsafe(segment.size_bytes);
        if (!readWhole(fd, plain, offset) || Buffer.compare(identify(plain), segment.id) !== 0) return false;
      } else if (!(await isZero(fd, offset, end, turn))) return false;
      offset = end;
    }
    return true;
  } finally {
    fs.closeSync(fd);
  }
}

async function isZero(fd: number, from: number, end: number, turn: () => Promise<void>): Promise<boolean> {
  for (const { offset, size_bytes } of dataExtents(fd, from, end)) {
    for (let at = offset; at < offset + size_bytes; at += window_bytes) {
      const part = Buffer.allocUnsafe(Math.min(window_bytes, offset + size_bytes - at));
      await turn();
      if (!readWhole(fd, part, at) || part.some((byte) => byte !== 0)) return false;
    }
  }
  return true;
}

/** False if the file ends before the buffer is full. */
export function readWhole(fd: number, into: Buffer, position: number): boolean {
  for (let at = 0; at < into.length;) {
    const count = fs.readSync(fd, into, at, into.length - at, position + at);
    if (count === 0) return false;
    at += count;
  }
  return true;
}

function isType(stats: fs.BigIntStats, type: EntryType): boolean {
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
