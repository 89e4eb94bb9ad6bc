// Where a file has data and where it has holes, by SEEK_DATA and SEEK_HOLE. Moves the descriptor's own offset, so readers
// of the same descriptor must read by position.

import os from 'node:os';
import { declare, isMac, lastErrno, SystemCallError } from './libc.js';

const SEEK_DATA = isMac ? 4 : 3;
const SEEK_HOLE = isMac ? 3 : 4;
const lseek = declare('int64_t lseek(int fd, int64_t offset, int whence)');

export interface Extent {
  readonly offset: number;
  readonly size_bytes: number;
}

const { ENXIO, EINVAL, ENOTSUP } = os.constants.errno;

/**
 * The stretches of [from, end) that hold data, in order; what lies between them is holes. Where the file system cannot
 * tell, everything is data. Throws SystemCallError.
 */
export function* dataExtents(fd: number, from: number, end: number): Generator<Extent, void, undefined> {
  for (let at = from; at < end;) {
    const data = Number(lseek(fd, at, SEEK_DATA));
    if (data < 0) {
      const errno = lastErrno();
      if (errno === ENXIO) return;
      if (errno !== EINVAL && errno !== ENOTSUP) throw new SystemCallError(errno, 'lseek');
      yield { offset: at, size_bytes: end - at };
      return;
    }
    if (data >= end) return;
    const hole = Number(lseek(fd, data, SEEK_HOLE));
    const until = hole < 0 ? end : Math.min(hole, end);
    if (data < at || until <= data) {
      // A device that answers 0 to everything; also what keeps this loop from standing still.
      yield { offset: at, size_bytes: end - at };
      return;
    }
    yield { offset: data, size_bytes: until - data };
    at = until;
  }
}
