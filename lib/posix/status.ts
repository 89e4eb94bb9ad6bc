// What stat(2) says of an entry, as plain numbers that are filled in again for each: a walk over a million entries makes no
// BigInts and no garbage. Knows the kernel's struct statx and Node's BigIntStats, nothing else.

import type { BigIntStats } from 'node:fs';
import { splitDevice } from './nodes.js';

/** Offsets in the kernel's struct statx (statx(2)); the same on every architecture. */
const at = {
  mask: 0,
  links: 16,
  uid: 20,
  gid: 24,
  mode: 28,
  inode: 32,
  size: 40,
  blocks: 48,
  ctime: 96,
  mtime: 112,
  rdevMajor: 128,
  rdevMinor: 132,
  deviceMajor: 136,
  deviceMinor: 140,
} as const;
export const statx_bytes = 256;
export const STATX_BASIC_STATS = 0x7ff;

const two32 = 2 ** 32;
const second_ns = 1_000_000_000n;

export class FileStatus {
  /** With the bits of the type. */
  mode = 0;
  uid = 0;
  gid = 0;
  links = 0;
  size_bytes = 0;
  /** Bytes that it takes on the disk. */
  allocated_bytes = 0;
  /** Rounded down; what is left of the second is never negative. */
  mtime_s = 0;
  mtimeRest_ns = 0;
  ctime_s = 0;
  ctimeRest_ns = 0;
  /** 32 bits each. */
  inodeHigh = 0;
  inodeLow = 0;
  deviceHigh = 0;
  deviceLow = 0;
  /** Only meaningful for device nodes. */
  rdevMajor = 0;
  rdevMinor = 0;

  /** From a struct statx that the kernel has filled in. */
  setStatx(view: DataView): void {
    this.mode = view.getUint16(at.mode, true);
    this.uid = view.getUint32(at.uid, true);
    this.gid = view.getUint32(at.gid, true);
    this.links = view.getUint32(at.links, true);
    this.size_bytes = unsigned64(view, at.size);
    this.allocated_bytes = unsigned64(view, at.blocks) * 512;
    this.mtime_s = signed64(view, at.mtime);
    this.mtimeRest_ns = view.getUint32(at.mtime + 8, true);
    this.ctime_s = signed64(view, at.ctime);
    this.ctimeRest_ns = view.getUint32(at.ctime + 8, true);
    this.inodeHigh = view.getUint32(at.inode + 4, true);
    this.inodeLow = view.getUint32(at.inode, true);
    const major = view.getUint32(at.deviceMajor, true);
    const minor = view.getUint32(at.deviceMinor, true);
    // How the C library makes st_dev of the two.
    this.deviceHigh = ((major & 0xffff_f000) | (minor >>> 20)) >>> 0;
    this.deviceLow = ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xf_ff00) << 12)) >>> 0;
    this.rdevMajor = view.getUint32(at.rdevMajor, true);
    this.rdevMinor = view.getUint32(at.rdevMinor, true);
  }

  /** The same from Node's. */
  setStats(stats: BigIntStats): void {
    this.mode = Number(stats.mode);
    this.uid = Number(stats.uid);
    this.gid = Number(stats.gid);
    this.links = Number(stats.nlink);
    this.size_bytes = Number(stats.size);
    this.allocated_bytes = Number(stats.blocks) * 512;
    this.mtime_s = floorSeconds(stats.mtimeNs);
    this.mtimeRest_ns = restOfSecond(stats.mtimeNs);
    this.ctime_s = floorSeconds(stats.ctimeNs);
    this.ctimeRest_ns = restOfSecond(stats.ctimeNs);
    this.inodeHigh = Number(stats.ino >> 32n);
    this.inodeLow = Number(stats.ino & 0xffff_ffffn);
    this.deviceHigh = Number(stats.dev >> 32n);
    this.deviceLow = Number(stats.dev & 0xffff_ffffn);
    const { major, minor } = splitDevice(stats.rdev);
    this.rdevMajor = major;
    this.rdevMinor = minor;
  }

  /** The same inode, not written to meanwhile as far as its times tell. */
  isSameState(other: FileStatus): boolean {
    return (
      this.size_bytes === other.size_bytes &&
      this.mtime_s === other.mtime_s &&
      this.mtimeRest_ns === other.mtimeRest_ns &&
      this.ctime_s === other.ctime_s &&
      this.ctimeRest_ns === other.ctimeRest_ns &&
      this.isSameInode(other)
    );
  }

  /** The same thing, whatever has become of it. */
  isSameInode(other: Pick<FileStatus, 'inodeHigh' | 'inodeLow' | 'deviceHigh' | 'deviceLow'>): boolean {
    return this.inodeLow === other.inodeLow && this.inodeHigh === other.inodeHigh && this.isSameDevice(other);
  }

  isSameDevice(other: Pick<FileStatus, 'deviceHigh' | 'deviceLow'>): boolean {
    return this.deviceLow === other.deviceLow && this.deviceHigh === other.deviceHigh;
  }
}

function unsigned64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * two32;
}

function signed64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getInt32(offset + 4, true) * two32;
}

function restOfSecond(time_ns: bigint): number {
  const rest_ns = Number(time_ns % second_ns);
  return rest_ns < 0 ? rest_ns + Number(second_ns) : rest_ns;
}

function floorSeconds(time_ns: bigint): number {
  return Number((time_ns - BigInt(restOfSecond(time_ns))) / second_ns);
}
