// Making, naming and removing files in a directory that is held open: on Linux by its descriptor, one system call through koffi
// each, a quarter of what node:fs takes for a path; elsewhere by its path. Never follows a symlink in the last place.

import fs from 'node:fs';
import os from 'node:os';
import { check, declare, errorCode, lastErrno, SystemCallError } from './libc.js';

const openat = declare('int openat(int directory, const void *path, int flags, uint32_t mode)');
const close = declare('int close(int descriptor)');
const renameat2 = declare(
  'int renameat2(int fromDirectory, const void *from, int toDirectory, const void *to, unsigned int flags)',
);

const RENAME_NOREPLACE = 1;
const O_CLOEXEC = 0o2000000;
const { EEXIST, EINVAL, EINTR, ENOSYS } = os.constants.errno;
const slash = Buffer.of(0x2f);
const terminator = Buffer.of(0);

/** A directory that is held open. Plain data: a descriptor means the same in every thread of the process. */
export interface HeldDirectory {
  /** -1 where there is only the path. */
  readonly descriptor: number;
  /** As short as an Anchor's (long-path.ts). */
  readonly path: Uint8Array;
}

/** The path of an entry in the directory. */
export function pathIn({ path }: HeldDirectory, name: Uint8Array): Buffer {
  return Buffer.concat([path, slash, name]);
}

/** Makes a file that was not there ('EEXIST'), open for writing and reading; close it with `closeDescriptor`. */
export function createIn(directory: HeldDirectory, name: Uint8Array, mode: number): number {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  return openIn(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
}

/** `flags` as for open(2). Throws an error with the `code` of the errno. */
export function openIn(directory: HeldDirectory, name: Uint8Array, flags: number, mode = 0): number {
  if (directory.descriptor < 0) return fs.openSync(pathIn(directory, name), flags, mode);
  const path = Buffer.concat([name, terminator]);
  for (;;) {
    const descriptor = openat(directory.descriptor, path, flags | O_CLOEXEC, mode) as number;
    if (descriptor >= 0) return descriptor;
    const errno = lastErrno();
    if (errno !== EINTR) throw new SystemCallError(errno, 'openat', name);
  }
}

/** What `createIn` and `openIn` gave: node:fs keeps a list of its own of what worker threads have open. */
export function closeDescriptor(descriptor: number): void {
  check(close(descriptor), 'close');
}

/** Undefined until the kernel has been asked. */
let hasNoReplace: boolean | undefined = process.platform === 'linux' ? undefined : false;

/** Gives an entry of the directory another name in it; false, and nothing changed, if something has that name. */
export function renameIfFree(directory: HeldDirectory, from: Uint8Array, to: Uint8Array): boolean {
  if (directory.descriptor >= 0 && hasNoReplace !== false) {
    const { descriptor } = directory;
    const names = [from, to].map((name) => Buffer.concat([name, terminator])) as [Buffer, Buffer];
    try {
      if (renameat2(descriptor, names[0], descriptor, names[1], RENAME_NOREPLACE) === 0)
        return (hasNoReplace = true);
    } catch {
      // A C library without it.
      hasNoReplace = false;
      return renameIfFree(directory, from, to);
    }
    const errno = lastErrno();
    if (errno === EEXIST) return false;
    // A kernel or a file system without it: then a look has to do.
    if (errno !== EINVAL && errno !== ENOSYS) throw new SystemCallError(errno, 'renameat2', to);
  }
  if (fs.lstatSync(pathIn(directory, to), { throwIfNoEntry: false }) !== undefined) return false;
  fs.renameSync(pathIn(directory, from), pathIn(directory, to));
  return true;
}

/** Removes what is no directory; fine if it is not there. */
export function removeIn(directory: HeldDirectory, name: Uint8Array): void {
  try {
    fs.unlinkSync(pathIn(directory, name));
  } catch (error) {
    if (errorCode(error) !== 'ENOENT') throw error;
  }
}
