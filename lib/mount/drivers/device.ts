// Reading from and writing to the kernel's FUSE device, with the meaning of its error numbers. Blocking calls.

import fs from 'node:fs';
import { errorCode } from '../../posix/libc.js';

/** Bytes of the next request; 'again' where there was none after all; 'gone' when the mount is. Blocks. */
export function readRequest(device: number, buffer: Buffer): number | 'again' | 'gone' {
  try {
    return fs.readSync(device, buffer);
  } catch (error) {
    switch (errorCode(error)) {
      // Interrupted before it was ours, a signal, or another thread was faster.
      case 'ENOENT':
      case 'EINTR':
      case 'EAGAIN':
        return 'again';
      // Unmounted; aborted.
      case 'ENODEV':
      case 'ECONNABORTED':
        return 'gone';
      default:
        throw error;
    }
  }
}

/** Answers one request. Nobody waits for it any more, or the mount is gone: fine. */
export function writeReply(device: number, parts: readonly Uint8Array[]): void {
  try {
    const [only] = parts;
    if (parts.length === 1 && only !== undefined) fs.writeSync(device, only);
    else fs.writevSync(device, parts);
  } catch (error) {
    const code = errorCode(error);
    if (code !== 'ENOENT' && code !== 'ENODEV' && code !== 'ECONNABORTED') throw error;
  }
}
