// What stat(2) shows of a node, from a backed-up entry or made up for the directories that only the mount has.

import type { CatalogRow } from '../../catalog/types.js';
import type { EntryStatus } from '../../manifest/status.js';
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
  /** Rounded down, before 1970 too: what is left of the second is never negative. */
  readonly mtime_s: number;
  readonly mtimeRest_ns: number;
  readonly ctime_s: number;
  readonly ctimeRest_ns: number;
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

export function rowAttributes({ status, holes_bytes }: CatalogRow): Attributes {
  return statusAttributes(status, holes_bytes);
}

export function entryAttributes(entry: Entry): Attributes {
  const [mtime_s, mtimeRest_ns] = splitTime(entry.mtime_ns);
  const [ctime_s, ctimeRest_ns] = splitTime(entry.ctime_ns);
  const times = { mtime_s, mtimeRest_ns, ctime_s, ctimeRest_ns };
  let holes_bytes = 0;
  for (const segment of entry.content) if (segment.kind === 'hole') holes_bytes += segment.size_bytes;
  return statusAttributes({ ...entry, ...times, target_bytes: entry.target.length }, holes_bytes);
}

function statusAttributes(status: EntryStatus, holes_bytes: number): Attributes {
  const size_bytes = shownSize(status);
  return {
    mode: typeBits[status.type] | status.mode,
    links: Math.max(1, status.links),
    uid: status.uid,
    gid: status.gid,
    rdevMajor: status.rdevMajor,
    rdevMinor: status.rdevMinor,
    size_bytes,
    blocks: Math.ceil((size_bytes - holes_bytes) / 512),
    mtime_s: status.mtime_s,
    mtimeRest_ns: status.mtimeRest_ns,
    ctime_s: status.ctime_s,
    ctimeRest_ns: status.ctimeRest_ns,
  };
}

function shownSize(status: EntryStatus): number {
  if (status.type === 'symlink') return status.target_bytes;
  return status.type === 'directory' ? directorySize_bytes : status.size_bytes;
}

const second_ns = 1_000_000_000n;

function splitTime(time_ns: bigint): [seconds: number, rest_ns: number] {
  const rest_ns = ((time_ns % second_ns) + second_ns) % second_ns;
  return [Number((time_ns - rest_ns) / second_ns), Number(rest_ns)];
}

/** A directory that only the mount has; its time moves when its content may have, so that cached listings are dropped. */
export function madeUpDirectory(owner: Owner, time_ns: bigint, permissions = 0o555): Attributes {
  const [time_s, rest_ns] = splitTime(time_ns);
  return {
    mode: typeBits.directory | permissions,
    links: 1,
    uid: owner.uid,
    gid: owner.gid,
    rdevMajor: 0,
    rdevMinor: 0,
    size_bytes: directorySize_bytes,
    blocks: 8,
    mtime_s: time_s,
    mtimeRest_ns: rest_ns,
    ctime_s: time_s,
    ctimeRest_ns: rest_ns,
  };
}

export function madeUpFile(owner: Owner, time_ns: bigint): Attributes {
  return { ...madeUpDirectory(owner, time_ns), mode: typeBits.file | 0o444, size_bytes: 0, blocks: 0 };
}

export function madeUpSymlink(owner: Owner, time_ns: bigint, target: Uint8Array): Attributes {
  return { ...madeUpFile(owner, time_ns), mode: typeBits.symlink | 0o777, size_bytes: target.length };
}
