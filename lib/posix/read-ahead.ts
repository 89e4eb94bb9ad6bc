// Telling the kernel what will be read of a file. Advice only: nothing depends on it.

import { isMac, declare } from './libc.js';

const posixFadvise = declare('int posix_fadvise(int descriptor, int64_t offset, int64_t length, int advice)');
const POSIX_FADV_WILLNEED = 3;

/** Has the kernel begin to read a range of a file, so that whoever reads it soon finds it in memory. Returns at once. */
export function willNeed(descriptor: number, offset: number, length: number): void {
  if (!isMac) posixFadvise(descriptor, offset, length, POSIX_FADV_WILLNEED);
}
