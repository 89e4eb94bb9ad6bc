// Telling the kernel what will be read of a file. Advice only: nothing depends on it.

import { isMac, declare } from './libc.js';

const posixFadvise = declare('int posix_fadvise(int descriptor, int64_t offset, int64_t length, int advice)');
const POSIX_FADV_WILLNEED = 3;
/** Linux reads no more for one such call than it would read ahead by itself: 128 KiB where nobody has changed that. */
const step_bytes = 128 * 1024;

/** Has the kernel begin to read a range of a file, so that whoever reads it soon finds it in memory. Returns at once. */
export function willNeed(descriptor: number, offset: number, length: number): void {
  if (isMac) return;
  for (let at = offset; at < offset + length; at += step_bytes)
    posixFadvise(descriptor, at, Math.min(step_bytes, offset + length - at), POSIX_FADV_WILLNEED);
}
