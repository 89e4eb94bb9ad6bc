// Making, naming and removing entries of a directory that is held open: on Linux by its descriptor, one system call through koffi
// each, a quarter of what node:fs takes for a path; elsewhere by its path. Never follows a symlink in the last place.

import fs from 'node:fs';
import os from 'node:os';
import { addressOf, check, declare, errorCode, lastErrno, O_CLOEXEC, SystemCallError } from './libc.js';
import { O_PATH } from './long-path.js';
import { makeNode, nodeNumbers, type NodeType } from './nodes.js';

const openat = declare('int openat(int directory, uintptr_t path, int flags, uint32_t mode)');
const mkdirat = declare('int mkdirat(int directory, uintptr_t path, uint32_t mode)');
const symlinkat = declare('int symlinkat(uintptr_t target, int directory, uintptr_t path)');
const unlinkat = declare('int unlinkat(int directory, uintptr_t path, int flags)');
const renameat = declare('int renameat(int fromDirectory, uintptr_t from, int toDirectory, uintptr_t to)');
const renameat2 = declare(
  'int renameat2(int fromDirectory, uintptr_t from, int toDirectory, uintptr_t to, unsigned int flags)',
);
const mknodat = declare('int mknodat(int directory, uintptr_t path, uint32_t mode, uint64_t device)');
const close = declare('int close(int descriptor)');

const RENAME_NOREPLACE = 1;
const { EEXIST, EINVAL, EINTR, ENOENT, ENOSYS } = os.constants.errno;
const slash = Buffer.of(0x2f);

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

/** A NUL-terminated string at an address that is looked up once; what it holds is for the next call only. */
class StringRoom {
  #bytes: Buffer | undefined;
  #address = 0;

  put(text: Uint8Array): number {
    if (this.#bytes === undefined || this.#bytes.length <= text.length) {
      this.#bytes = Buffer.allocUnsafeSlow(Math.max(4096, 2 * text.length));
      this.#address = addressOf(this.#bytes);
    }
    this.#bytes.set(text);
    this.#bytes[text.length] = 0;
    return this.#address;
  }
}

const [first, second] = [new StringRoom(), new StringRoom()];

function succeed(result: number | bigint | null, syscall: string, name: Uint8Array): void {
  if (result !== 0) throw new SystemCallError(lastErrno(), syscall, name);
}

/** Makes a file that was not there ('EEXIST'), open for writing and reading; close it with `closeDescriptor`. */
export function createIn(directory: HeldDirectory, name: Uint8Array, mode: number): number {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  return openIn(directory, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
}

/** `flags` as for open(2). Throws an error with the `code` of the errno. Close it with `closeDescriptor`. */
export function openIn(
  { descriptor, path }: HeldDirectory,
  name: Uint8Array,
  flags: number,
  mode = 0,
): number {
  if (descriptor < 0) return fs.openSync(pathIn({ descriptor, path }, name), flags, mode);
  return openAt(descriptor, name, flags, mode);
}

/** The same by a directory's descriptor, or AT_FDCWD; Linux only. */
export function openAt(directory: number, name: Uint8Array, flags: number, mode = 0): number {
  for (;;) {
    const opened = openat(directory, first.put(name), flags | O_CLOEXEC, mode) as number;
    if (opened >= 0) return opened;
    const errno = lastErrno();
    if (errno !== EINTR) throw new SystemCallError(errno, 'openat', name);
  }
}

/**
 * A directory in a directory that has a descriptor. `isWhole`: its own attributes can be changed by its descriptor; not where
 * this user may not read it.
 */
export function openDirectoryIn(
  directory: HeldDirectory,
  name: Uint8Array,
): { descriptor: number; isWhole: boolean } {
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = fs.constants;
  try {
    return { descriptor: openIn(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), isWhole: true };
  } catch (error) {
    if (errorCode(error) !== 'EACCES') throw error;
    return { descriptor: openIn(directory, name, O_PATH | O_DIRECTORY | O_NOFOLLOW), isWhole: false };
  }
}

/** What `createIn` and `openDirectoryIn` gave: node:fs keeps a list of its own of what worker threads have open. */
export function closeDescriptor(descriptor: number): void {
  check(close(descriptor), 'close');
}

/** Throws 'EEXIST' if something has that name. */
export function makeDirectoryIn(directory: HeldDirectory, name: Uint8Array, mode: number): void {
  if (directory.descriptor < 0) fs.mkdirSync(pathIn(directory, name), { mode });
  else succeed(mkdirat(directory.descriptor, first.put(name), mode), 'mkdirat', name);
}

/** Makes a fifo, socket or device with mode 0600 less the umask. Throws 'EEXIST' if something has that name. */
export function makeNodeIn(
  directory: HeldDirectory,
  name: Uint8Array,
  type: NodeType,
  major: number,
  minor: number,
): void {
  if (directory.descriptor < 0) makeNode(pathIn(directory, name), type, major, minor);
  else {
    const [mode, device] = nodeNumbers(type, major, minor);
    succeed(mknodat(directory.descriptor, first.put(name), mode, device), 'mknodat', name);
  }
}

/** Throws 'EEXIST' if something has that name. */
export function makeSymlinkIn(directory: HeldDirectory, name: Uint8Array, target: Uint8Array): void {
  if (directory.descriptor < 0) fs.symlinkSync(Buffer.from(target), pathIn(directory, name));
  else succeed(symlinkat(first.put(target), directory.descriptor, second.put(name)), 'symlinkat', name);
}

/** Undefined until the kernel has been asked. */
let hasNoReplace: boolean | undefined = process.platform === 'linux' ? undefined : false;

/** Gives an entry of the directory another name in it; false, and nothing changed, if something has that name. */
export function renameIfFree(directory: HeldDirectory, from: Uint8Array, to: Uint8Array): boolean {
  const { descriptor } = directory;
  if (descriptor >= 0 && hasNoReplace !== false) {
    try {
      if (renameat2(descriptor, first.put(from), descriptor, second.put(to), RENAME_NOREPLACE) === 0)
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
  renameOver(directory, from, to);
  return true;
}

/** The same whether something has that name or not: it goes. */
export function renameOver(directory: HeldDirectory, from: Uint8Array, to: Uint8Array): void {
  const { descriptor } = directory;
  if (descriptor < 0) fs.renameSync(pathIn(directory, from), pathIn(directory, to));
  else succeed(renameat(descriptor, first.put(from), descriptor, second.put(to)), 'renameat', to);
}

/** Removes what is no directory; fine if it is not there. */
export function removeIn(directory: HeldDirectory, name: Uint8Array): void {
  if (directory.descriptor < 0) {
    fs.rmSync(pathIn(directory, name), { force: true });
    return;
  }
  if (unlinkat(directory.descriptor, first.put(name), 0) === 0) return;
  const errno = lastErrno();
  if (errno !== ENOENT) throw new SystemCallError(errno, 'unlinkat', name);
}
