// Room for a file on its disk: taken ahead of time, or given back. Linux only, and only where the file system can.

import { declare, isMac, lastErrno, SystemCallError } from './libc.js';
import os from 'node:os';

const fallocate = declare('int fallocate(int descriptor, int mode, int64_t offset, int64_t length)');
const KEEP_SIZE = 1;
const PUNCH_HOLE = 2;
const { EOPNOTSUPP, ENOSYS, EINVAL } = os.constants.errno;

function tryAllocate(descriptor: number, mode: number, offset: number, length: number): boolean {
  if (isMac) return false;
  try {
    if (fallocate(descriptor, mode, offset, length) === 0) return true;
  } catch {
    // A C library without it.
    return false;
  }
  const errno = lastErrno();
  if (errno === EOPNOTSUPP || errno === ENOSYS || errno === EINVAL) return false;
  throw new SystemCallError(errno, 'fallocate');
}

/** Takes the room for the first bytes of a file in one stretch; its size stays. Throws 'ENOSPC' where there is too little. */
export function preallocate(descriptor: number, length: number): void {
  tryAllocate(descriptor, KEEP_SIZE, 0, length);
}

/** Makes a hole; false where the file system has none, and nothing is changed. */
export function punchHole(descriptor: number, offset: number, length: number): boolean {
  return tryAllocate(descriptor, KEEP_SIZE | PUNCH_HOLE, offset, length);
}
