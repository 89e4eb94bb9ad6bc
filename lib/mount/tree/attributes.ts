// What stat(2) shows of a node, from a backed-up entry or made up for the directories that only the mount has.

import type { Entry, EntryType } from '../../manifest/types.js';

export interface Attributes {
  /** Type and permission bits, as in st_mode. */
  readonly mode: number;
  readonly links: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly size_bytes: number;
  /** Of 512 bytes; holes do not count. */
  readonly blocks: number;
  readonly mtime_ns: bigint;
  readonly ctime_ns: bigint;
}

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The type bits of st_mode; shifted right by 12 they are the d_type of a directory entry. */
export const typeBits: Readonly<Record<EntryType, number>> = {
  fifo: 0o010000,
  'character-device': 0o020000,
  directory: 0o040000,
  'block-device': 0o060000,
  file: 0o100000,
  symlink: 0o120000,
  socket: 0o140000,
};
export const typeMask = 0o170000;

const directorySize_bytes = 4096;

export function isDirectory(attributes: Attributes): boolean {
  return (attributes.mode & typeMask) === typeBits.directory;
}

export function entryAttributes(entry: Entry): Attributes {
  const size_bytes = shownSize(entry);
  return {
    mode: typeBits[entry.type] | entry.mode,
    links: Math.max(1, entry.links),
    uid: entry.uid,
    gid: entry.gid,
    rdevMajor: entry.rdevMajor,
    rdevMinor: entry.rdevMinor,
    size_bytes,
    blocks: Math.ceil((size_bytes - holes_bytes(entry)) / 512),
    mtime_ns: entry.mtime_ns,
    ctime_ns: entry.ctime_ns,
  };
}

function shownSize(entry: Entry): number {
  if (entry.type === 'symlink') return entry.target.length;
  return entry.type === 'directory' ? directorySize_bytes : entry.size_bytes;
}

function holes_bytes(entry: Entry): number {
  let sum = 0;
  for (const segment of entry.content) if (segment.kind === 'hole') sum += segment.size_bytes;
  return sum;
}

/** A directory that only the mount has; its time moves when its content may have, so that cached listings are dropped. */
export function madeUpDirectory(owner: Owner, time_ns: bigint, permissions = 0o555): Attributes {
  return {
    mode: typeBits.directory | permissions,
    links: 1,
    uid: owner.uid,
    gid: owner.gid,
    rdevMajor: 0,
    rdevMinor: 0,
    size_bytes: directorySize_bytes,
    blocks: 8,
    mtime_ns: time_ns,
    ctime_ns: time_ns,
  };
}

export function madeUpFile(owner: Owner, time_ns: bigint): Attributes {
  return { ...madeUpDirectory(owner, time_ns), mode: typeBits.file | 0o444, size_bytes: 0, blocks: 0 };
}

export function madeUpSymlink(owner: Owner, time_ns: bigint, target: Uint8Array): Attributes {
  return { ...madeUpFile(owner, time_ns), mode: typeBits.symlink | 0o777, size_bytes: target.length };
}
