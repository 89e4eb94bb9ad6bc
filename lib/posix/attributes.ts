// Owner, permission bits and times to the nanosecond, of an inode that is held (inode.ts) or of a path; symlinks are never
// followed. Node's own functions round times to doubles and follow links.

import fs from 'node:fs';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, check, cString, declare, isMac } from './libc.js';
import type { Inode } from './inode.js';

const utimensat = declare('int utimensat(int directory, const void *path, const void *times, int flags)');
const fchmodat = declare('int fchmodat(int directory, const void *path, uint32_t mode, int flags)');
const futimens = declare('int futimens(int descriptor, const void *times)');
const fchmod = declare('int fchmod(int descriptor, uint32_t mode)');
const fchown = declare('int fchown(int descriptor, uint32_t uid, uint32_t gid)');

const UTIME_OMIT = isMac ? -2n : (1n << 30n) - 2n;
const second_ns = 1_000_000_000n;
/** Two struct timespec: of the last access, of the last modification. */
const times = BigInt64Array.of(0n, UTIME_OMIT, 0n, 0n);
const timesMemory = new Uint8Array(times.buffer);

/** Sets the modification time, before 1970 too; the access time stays. Throws SystemCallError. */
export function setModified(path: Uint8Array, mtime_ns: bigint): void {
  setModifiedIn(AT_FDCWD, path, mtime_ns);
}

/** The same of an entry of an open directory. */
export function setModifiedIn(directory: number, name: Uint8Array, mtime_ns: bigint): void {
  setTimes(mtime_ns);
  check(utimensat(directory, cString(name), timesMemory, AT_SYMLINK_NOFOLLOW), 'utimensat', name);
}

/** The same of an inode that is held. */
export function setModifiedOf({ descriptor, path }: Inode, mtime_ns: bigint): void {
  if (path !== undefined && descriptor < 0) {
    setModified(path, mtime_ns);
    return;
  }
  setTimes(mtime_ns);
  if (path === undefined) check(futimens(descriptor, timesMemory), 'futimens');
  else check(utimensat(AT_FDCWD, cString(path), timesMemory, 0), 'utimensat');
}

function setTimes(mtime_ns: bigint): void {
  const rest = ((mtime_ns % second_ns) + second_ns) % second_ns;
  times[2] = (mtime_ns - rest) / second_ns;
  times[3] = rest;
}

/** Sets the permission bits of anything but a symlink. Throws SystemCallError. */
export function setMode(path: Uint8Array, mode: number): void {
  check(fchmodat(AT_FDCWD, cString(path), mode, AT_SYMLINK_NOFOLLOW), 'fchmodat', path);
}

/** The same of an inode that is held. */
export function setModeOf({ descriptor, path }: Inode, mode: number): void {
  if (path === undefined) check(fchmod(descriptor, mode), 'fchmod');
  else if (descriptor < 0) setMode(path, mode);
  else check(fchmodat(AT_FDCWD, cString(path), mode, 0), 'fchmodat');
}

/** Gives an inode that is held to a user and a group. Throws what chown(2) says. */
export function setOwnerOf({ descriptor, path }: Inode, uid: number, gid: number): void {
  if (path === undefined) check(fchown(descriptor, uid, gid), 'fchown');
  else if (descriptor < 0) fs.lchownSync(path, uid, gid);
  else fs.chownSync(path, uid, gid);
}
