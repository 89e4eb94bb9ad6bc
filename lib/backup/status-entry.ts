// From what the file system says of an entry to what the manifest keeps of it.

import fs from 'node:fs';
import type { MutableStatus } from '../manifest/status.js';
import type { Entry, EntryType } from '../manifest/types.js';
import type { FileStatus } from '../posix/status.js';

const { S_IFMT, S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK } = fs.constants;

export function typeOf(mode: number): EntryType {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return 'file';
    case S_IFDIR:
      return 'directory';
    case S_IFLNK:
      return 'symlink';
    case S_IFIFO:
      return 'fifo';
    case S_IFSOCK:
      return 'socket';
    case S_IFCHR:
      return 'character-device';
    case S_IFBLK:
      return 'block-device';
    default:
      throw new RangeError(`unknown file type ${mode.toString(8)}`);
  }
}

/** All of a status that an entry keeps; `size_bytes` is that of a file's content, `target_bytes` that of a symlink's target. */
export function setSourceStatus(
  into: MutableStatus,
  from: FileStatus,
  size_bytes: number,
  target_bytes: number,
): void {
  into.type = typeOf(from.mode);
  into.mode = from.mode & 0o7777;
  into.uid = from.uid;
  into.gid = from.gid;
  into.mtime_s = from.mtime_s;
  into.mtimeRest_ns = from.mtimeRest_ns;
  into.ctime_s = from.ctime_s;
  into.ctimeRest_ns = from.ctimeRest_ns;
  into.inodeHigh = from.inodeHigh;
  into.inodeLow = from.inodeLow;
  into.deviceHigh = from.deviceHigh;
  into.deviceLow = from.deviceLow;
  into.links = from.links;
  into.size_bytes = size_bytes;
  into.target_bytes = target_bytes;
  const isDevice = into.type === 'character-device' || into.type === 'block-device';
  into.rdevMajor = isDevice ? from.rdevMajor : 0;
  into.rdevMinor = isDevice ? from.rdevMinor : 0;
}

/** A file's status as an entry that has no attributes and no content yet. */
export function fileEntryOf(from: FileStatus, size_bytes: number): Entry {
  return {
    type: 'file',
    mode: from.mode & 0o7777,
    uid: from.uid,
    gid: from.gid,
    mtime_ns: BigInt(from.mtime_s) * second_ns + BigInt(from.mtimeRest_ns),
    ctime_ns: BigInt(from.ctime_s) * second_ns + BigInt(from.ctimeRest_ns),
    inode: (BigInt(from.inodeHigh) << 32n) | BigInt(from.inodeLow),
    device: (BigInt(from.deviceHigh) << 32n) | BigInt(from.deviceLow),
    links: from.links,
    size_bytes,
    rdevMajor: 0,
    rdevMinor: 0,
    target: new Uint8Array(0),
    xattrs: [],
    content: [],
  };
}

const second_ns = 1_000_000_000n;
