// Going down a path that others may change: one name at a time, each from the descriptor of the directory above it, and never
// through a symlink. Shared by those who wait for the disk and those who do not.

import fs from 'node:fs';
import { canAnchor, O_PATH } from './long-path.js';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;

/** For opening the next directory on the way. Needs no permission to read it where the system has such descriptors. */
export function stepFlags(): number {
  return (canAnchor() ? O_PATH : O_RDONLY) | O_DIRECTORY | O_NOFOLLOW;
}

/**
 * The path of an open directory, to put names behind: it leads to the same directory whatever becomes of its name. Where the
 * system has none (macOS) it is the path that the directory was opened by, and an exchange right after that goes unnoticed.
 */
export function pathOfOpen(descriptor: number, openedBy: string): string {
  return canAnchor() ? `/proc/self/fd/${descriptor}` : openedBy;
}

/** For opening a file to read: follows no symlink and waits for no fifo's writer. */
export const readFlags = O_RDONLY | O_NOFOLLOW | fs.constants.O_NONBLOCK;
