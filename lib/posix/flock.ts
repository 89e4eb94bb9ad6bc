// Locks that the kernel holds for a living process: they end with it, so none is ever stale. The file stays where it is;
// removing it would let two processes lock two files of one name.

import fs from 'node:fs';
import { check, declare, errorCode } from './libc.js';
import { readOwnFile } from './small-file.js';

const flock = declare('int flock(int fd, int operation)');
const LOCK_EX = 2;
const LOCK_NB = 4;

export interface Lock {
  release(): void;
}

/** Takes the lock on an open file or directory without waiting; it ends when the descriptor is closed. False: taken. */
export function tryLockDescriptor(fd: number): boolean {
  try {
    check(flock(fd, LOCK_EX | LOCK_NB), 'flock');
    return true;
  } catch (error) {
    if (errorCode(error) === 'EAGAIN') return false;
    throw error;
  }
}

/** Takes the lock without waiting; undefined if another process (or this one) has it. Writes our pid into the file, if it can. */
export function tryLock(path: string): Lock | undefined {
  const { O_RDWR, O_CREAT, O_NOFOLLOW } = fs.constants;
  const fd = fs.openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
  try {
    if (!tryLockDescriptor(fd)) {
      fs.closeSync(fd);
      return undefined;
    }
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
  writePid(fd);
  let held = true;
  return {
    release: () => {
      if (held) fs.closeSync(fd);
      held = false;
    },
  };
}

/** For people; it is locked without, too, where the disk is full. */
function writePid(fd: number): void {
  try {
    fs.ftruncateSync(fd, 0);
    fs.writeSync(fd, `${process.pid}\n`, 0);
  } catch {
    // Then nobody can say who has it.
  }
}

/** The process id that the holder wrote, for a message; undefined if the file does not tell. */
export function lockHolder(path: string): number | undefined {
  try {
    const pid = Number.parseInt(readOwnFile(path) ?? '', 10);
    return pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}
