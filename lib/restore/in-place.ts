// A file that is changed where it stands (--in-place): opened so that nobody else's file is changed with it. Not atomic: whoever
// interrupts it finds a file that is partly old and partly new, with a time that tells the next run so.

import fs from 'node:fs';
import { closeDescriptor } from '../posix/at.js';
import { errorCode } from '../posix/libc.js';
import { openHeld } from '../posix/inode.js';
import type { Standing } from './existing.js';

/**
 * The open descriptor of a regular file with no other name, made as long as it shall be; undefined for what must be replaced
 * instead: it is something else, has other names (they would change with it), is a program that runs, or `mayBe` refuses it.
 * The caller closes it with `closeDescriptor`.
 */
export function openToChange(
  { inode, stats }: Standing,
  size_bytes: number,
  mayBe: (stats: fs.BigIntStats) => boolean,
): number | undefined {
  if (!stats.isFile() || stats.nlink !== 1n || !mayBe(stats)) return undefined;
  let fd: number;
  try {
    fd = openHeld(inode, fs.constants.O_RDWR);
  } catch (error) {
    if (cannotBeOpened.has(errorCode(error) ?? '')) return undefined;
    throw error;
  }
  try {
    if (stats.size !== BigInt(size_bytes)) fs.ftruncateSync(fd, size_bytes);
    return fd;
  } catch (error) {
    closeDescriptor(fd);
    throw error;
  }
}

/** For `openToChange`, of what an earlier run has left: nobody else can have opened it for writing. */
export function isOwnLeftOver({ uid, mode }: fs.BigIntStats): boolean {
  return uid === BigInt(process.geteuid?.() ?? -1) && (mode & othersMayWrite) === 0n;
}

const othersMayWrite = 0o022n;

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
