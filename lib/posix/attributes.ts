// Times to the nanosecond and permission bits of a path, symlinks never followed. Node's own functions round times to
// doubles and follow links.

import fs from 'node:fs';
import os from 'node:os';
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, check, cString, declare, isMac, lastErrno } from './libc.js';

const utimensat = declare('int utimensat(int directory, const void *path, const void *times, int flags)');
const fchmodat = declare('int fchmodat(int directory, const void *path, uint32_t mode, int flags)');
const chmod = declare('int chmod(const void *path, uint32_t mode)');
const futimens = declare('int futimens(int descriptor, const void *times)');
const fchmod = declare('int fchmod(int descriptor, uint32_t mode)');
const fchown = declare('int fchown(int descriptor, uint32_t uid, uint32_t gid)');

const UTIME_OMIT = isMac ? -2n : (1n << 30n) - 2n;
const second_ns = 1_000_000_000n;
/** Two struct timespec: of the last access, of the last modification. */
const times = BigInt64Array.of(0n, UTIME_OMIT, 0n, 0n);
const timesMemory = new Uint8Array(times.buffer);
const unsupported = [os.constants.errno.ENOTSUP, os.constants.errno.EINVAL];

/** Sets the modification time, before 1970 too; the access time stays. Throws SystemCallError. */
export function setModified(path: Uint8Array, mtime_ns: bigint): void {
  setTimes(mtime_ns);
  check(utimensat(AT_FDCWD, cString(path), timesMemory, AT_SYMLINK_NOFOLLOW), 'utimensat', path);
}

/** The same of an entry of an open directory. */
export function setModifiedIn(directory: number, name: Uint8Array, mtime_ns: bigint): void {
  setTimes(mtime_ns);
  check(utimensat(directory, cString(name), timesMemory, AT_SYMLINK_NOFOLLOW), 'utimensat', name);
}

/** The same of an open file. */
export function setModifiedOf(descriptor: number, mtime_ns: bigint): void {
  setTimes(mtime_ns);
  check(futimens(descriptor, timesMemory), 'futimens');
}

/** Sets the permission bits of an open file. Throws SystemCallError. */
export function setModeOf(descriptor: number, mode: number): void {
  check(fchmod(descriptor, mode), 'fchmod');
}

/** Gives an open file to a user and a group. Throws SystemCallError. */
export function setOwnerOf(descriptor: number, uid: number, gid: number): void {
  check(fchown(descriptor, uid, gid), 'fchown');
}

function setTimes(mtime_ns: bigint): void {
  const rest = ((mtime_ns % second_ns) + second_ns) % second_ns;
  times[2] = (mtime_ns - rest) / second_ns;
  times[3] = rest;
}

/** Sets the permission bits of anything but a symlink. Throws SystemCallError. */
export function setMode(path: Uint8Array, mode: number): void {
  const result = fchmodat(AT_FDCWD, cString(path), mode, AT_SYMLINK_NOFOLLOW);
  // That is also the answer of a C library or kernel that cannot promise not to follow; then a look has to do.
  if (
    result === -1 &&
    unsupported.includes(lastErrno()) &&
    !fs.lstatSync(Buffer.from(path)).isSymbolicLink()
  ) {
    check(chmod(cString(path), mode), 'chmod', path);
    return;
  }
  check(result, 'fchmodat', path);
}
