// What stat(2) shows of a node, from a backed-up entry or made up for the directories that only the mount has.

import type { CatalogRow } from '../../catalog/types.js';
import type { EntryStatus } from '../../manifest/status.js';
import type { Entry, EntryType } from '../../manifest/types.js';

/** Filled in again for each entry of a listing, so that listing makes no garbage. */
export interface MutableAttributes {
  /** Type and permission bits, as in st_mode. */
  mode: number;
  links: number;
  uid: number;
  gid: number;
  rdevMajor: number;
  rdevMinor: number;
  size_bytes: number;
  /** Of 512 bytes; holes do not count. */
  blocks: number;
  /** Rounded down, before 1970 too: what is left of the second is never negative. */
  mtime_s: number;
  mtimeRest_ns: number;
  ctime_s: number;
  ctimeRest_ns: number;
}
export type Attributes = Readonly<MutableAttributes>;

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

export function noAttributes(): MutableAttributes {
  return {
    mode: 0,
    links: 1,
    uid: 0,
    gid: 0,
    rdevMajor: 0,
    rdevMinor: 0,
    size_bytes: 0,
    blocks: 0,
    mtime_s: 0,
    mtimeRest_ns: 0,
    ctime_s: 0,
    ctimeRest_ns: 0,
  };
}

export function rowAttributes({ status, holes_bytes }: CatalogRow, into = noAttributes()): MutableAttributes {
  return setAttributes(into, status, holes_bytes);
}

export function entryAttributes(entry: Entry): Attributes {
  const [mtime_s, mtimeRest_ns] = splitTime(entry.mtime_ns);
  const [ctime_s, ctimeRest_ns] = splitTime(entry.ctime_ns);
  const times = { mtime_s, mtimeRest_ns, ctime_s, ctimeRest_ns };
  let holes_bytes = 0;
  for (const segment of entry.content) if (segment.kind === 'hole') holes_bytes += segment.size_bytes;
  return setAttributes(
    noAttributes(),
    { ...entry, ...times, target_bytes: entry.target.length },
    holes_bytes,
  );
}

function setAttributes(into: MutableAttributes, status: EntryStatus, holes_bytes: number): MutableAttributes {
  into.mode = typeBits[status.type] | status.mode;
  into.links = Math.max(1, status.links);
  into.uid = status.uid;
  into.gid = status.gid;
  into.rdevMajor = status.rdevMajor;
  into.rdevMinor = status.rdevMinor;
  into.size_bytes = shownSize(status);
  into.blocks = Math.ceil((into.size_bytes - holes_bytes) / 512);
  into.mtime_s = status.mtime_s;
  into.mtimeRest_ns = status.mtimeRest_ns;
  into.ctime_s = status.ctime_s;
  into.ctimeRest_ns = status.ctimeRest_ns;
  return into;
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
    ...noAttributes(),
    mode: typeBits.directory | permissions,
    uid: owner.uid,
    gid: owner.gid,
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
