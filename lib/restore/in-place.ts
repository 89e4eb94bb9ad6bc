// A file that is changed where it stands (--in-place): opened so that nobody else's file is changed with it. Not atomic: whoever
// interrupts it finds a file that is partly old and partly new, with a time that tells the next run so.

import fs from 'node:fs';
import { errorCode } from '../posix/libc.js';
import { openExisting } from './existing.js';

/**
 * The open descriptor of a regular file with no other name, made as long as it shall be; undefined for what must be replaced
 * instead: it is something else, has other names (they would change with it), or is a program that runs. The caller closes it
 * with node:fs.
 */
export function openToChange(access: Buffer, size_bytes: number): number | undefined {
  return openIf(access, size_bytes, () => true);
}

/** The same of what an earlier run has left: nobody else can have opened it for writing. */
export function openLeftOver(access: Buffer, size_bytes: number): number | undefined {
  return openIf(
    access,
    size_bytes,
    ({ uid, mode }) => uid === process.geteuid?.() && (mode & othersMayWrite) === 0,
  );
}

const othersMayWrite = 0o022;

function openIf(access: Buffer, size_bytes: number, mayBe: (stats: fs.Stats) => boolean): number | undefined {
  let fd: number;
  try {
    fd = openExisting(access, fs.constants.O_RDWR);
  } catch (error) {
    if (cannotBeOpened.has(errorCode(error) ?? '')) return undefined;
    throw error;
  }
  try {
    const stats = fs.fstatSync(fd);
    if (stats.isFile() && stats.nlink === 1 && mayBe(stats)) {
      if (stats.size !== size_bytes) fs.ftruncateSync(fd, size_bytes);
      return fd;
    }
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  fs.closeSync(fd);
  return undefined;
}

const cannotBeOpened = new Set([
  'ELOOP',
  'ENOENT',
  'EISDIR',
  'ENXIO',
  'EACCES',
  'EPERM',
  'ETXTBSY',
  'EMLINK',
]);
