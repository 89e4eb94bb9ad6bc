// Opening what lies below a directory that is held open, without following any symlink on the way: whoever may write into the
// tree cannot lead the walk out of it. Linux only: openat2(2), or one openat(2) for each name where a kernel or a sandbox
// lacks it. What is opened here is closed by `closeNative`.

import fs from 'node:fs';
import os from 'node:os';
import { addressOf, bind, lastErrno, type Native, O_CLOEXEC, SystemCallError } from './libc.js';
import { O_PATH } from './long-path.js';

const { O_DIRECTORY, O_NOFOLLOW } = fs.constants;
/** The same on all architectures that Node runs on. */
const openat2Number = 437;
const openHow_bytes = 24;
const RESOLVE_NO_SYMLINKS = 0x04;
const RESOLVE_BENEATH = 0x08;
const { EINTR, EINVAL, ELOOP, ENOSYS, ENOTDIR, EPERM } = os.constants.errno;
const slash = 0x2f;
/** Well under PATH_MAX (4096). */
const reach_bytes = 2000;
const target_bytes = 4096;
const nothing = Buffer.alloc(0);

interface Calls {
  readonly openat: Native;
  readonly syscall: Native;
  readonly readlinkat: Native;
  readonly close: Native;
}

/** A struct open_how, an empty string, a path, and what readlinkat(2) answers, at places that the kernel is told. */
const room = Buffer.allocUnsafeSlow(16_384).fill(0);
const emptyAt = 64;
const pathAt = 1024;
const targetAt = 8192;
const how = new BigUint64Array(room.buffer, room.byteOffset, openHow_bytes / 8);

let calls: (Calls & { readonly address: number }) | undefined;

function native(): NonNullable<typeof calls> {
  calls ??= {
    openat: bind('int openat(int fd, uintptr_t path, int flags)'),
    syscall: bind('long syscall(long number, long fd, uintptr_t path, uintptr_t how, size_t size)'),
    readlinkat: bind('intptr_t readlinkat(int fd, uintptr_t path, uintptr_t into, size_t size)'),
    close: bind('int close(int fd)'),
    address: addressOf(room),
  };
  return calls;
}

export function closeNative(fd: number): void {
  native().close(fd);
}

type Open = (directory: number, flags: number) => number;

/** What `path` in `room` names, no symlink followed anywhere. */
const openAtOnce: Open = (directory, flags) => {
  const { syscall, address } = native();
  how[0] = BigInt(flags | O_CLOEXEC);
  how[1] = 0n;
  how[2] = BigInt(RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH);
  return Number(syscall(openat2Number, directory, address + pathAt, address, openHow_bytes));
};

const openOne: Open = (directory, flags) => {
  const { openat, address } = native();
  return Number(openat(directory, address + pathAt, flags | O_NOFOLLOW | O_CLOEXEC));
};

function openPiece(directory: number, piece: Uint8Array, flags: number, open: Open): number {
  // One name cannot be that long: let the kernel say so.
  const length = Math.min(piece.length, targetAt - pathAt - 1);
  room.set(piece.subarray(0, length), pathAt);
  room[pathAt + length] = 0;
  for (;;) {
    const fd = open(directory, flags);
    if (fd >= 0) return fd;
    const errno = lastErrno();
    if (errno !== EINTR) throw new SystemCallError(errno, 'openat', piece);
  }
}

/** Opens piece after piece of the path; `endOf`: where the piece that begins at `from` ends. */
function openPieces(
  root: number,
  path: Uint8Array,
  flags: number,
  open: Open,
  endOf: (from: number) => number,
): number {
  let at = root;
  for (let from = 0; ;) {
    const end = endOf(from);
    const isLast = end === path.length;
    let next: number;
    try {
      next = openPiece(at, path.subarray(from, end), isLast ? flags : O_PATH | O_DIRECTORY, open);
    } finally {
      if (at !== root) closeNative(at);
    }
    if (isLast) return next;
    at = next;
    from = end + 1;
  }
}

/** The same for kernels before 5.6, and for sandboxes that refuse what they do not know. */
export function openByNames(root: number, path: Uint8Array, flags: number): number {
  return openPieces(root, path, flags, openOne, (from) => {
    const end = path.indexOf(slash, from);
    return end < 0 ? path.length : end;
  });
}

function openByPath(root: number, path: Uint8Array, flags: number): number {
  return openPieces(root, path, flags, openAtOnce, (from) => {
    if (path.length - from <= reach_bytes) return path.length;
    const end = path.lastIndexOf(slash, from + reach_bytes);
    return end > from ? end : path.length;
  });
}

let hasOpenat2 = true;

/**
 * Opens what lies at `path`, which is not empty and of any length, below the directory `root`; `flags` as for open(2). Throws what
 * open(2) says; 'ELOOP', 'ENOTDIR' or 'EXDEV' where something on the way, or at its end, is no directory of this tree.
 */
export function openBeneath(root: number, path: Uint8Array, flags: number): number {
  if (!hasOpenat2) return openByNames(root, path, flags);
  try {
    return openByPath(root, path, flags);
  } catch (error) {
    if (!(error instanceof SystemCallError) || ![ENOSYS, EPERM, EINVAL].includes(-error.errno)) throw error;
    const fd = openByNames(root, path, flags);
    hasOpenat2 = false;
    return fd;
  }
}

/** Target of the symlink that a descriptor of `openBeneath` with O_PATH stands for. */
export function readlinkOf(fd: number): Buffer {
  const { readlinkat, address } = native();
  const length = Number(readlinkat(fd, address + emptyAt, address + targetAt, target_bytes));
  if (length < 0) throw new SystemCallError(lastErrno(), 'readlinkat');
  return Buffer.from(room.subarray(targetAt, targetAt + length));
}

/** A symlink that led on the way to a directory. */
export interface PassedLink {
  /** Where it stands. */
  readonly path: Buffer;
  readonly target: Buffer;
  readonly owner: number;
  /** Of the directory that it leads to. */
  readonly ownerOfTarget: number;
  /** It stands in the last place of the path itself. */
  readonly isLast: boolean;
}

/** As many as the kernel follows. */
const maximumLinks = 40;

type Step =
  { readonly name: Buffer; readonly isLast: boolean } | { readonly link: Omit<PassedLink, 'ownerOfTarget'> };

/**
 * Opens the directory at an absolute path for reading and follows symlinks, but tells of each: the descriptors say that exactly
 * these led there. Throws what open(2) says.
 */
export function openFollowing(absolute: Uint8Array): { readonly fd: number; readonly links: PassedLink[] } {
  const links: PassedLink[] = [];
  const top = (): number => openPiece(-1, Buffer.of(slash), O_PATH | O_DIRECTORY, openOne);
  const ahead = stepsOf(absolute, true);
  let count = 0;
  let at = top();
  const goTo = (fd: number): void => {
    closeNative(at);
    at = fd;
  };
  try {
    for (let step = ahead.pop(); step; step = ahead.pop()) {
      if ('link' in step) {
        links.push({ ...step.link, ownerOfTarget: fs.fstatSync(at).uid });
        continue;
      }
      const { name, isLast } = step;
      const directory = openDirectoryAt(at, name);
      if (directory !== undefined) {
        goTo(directory);
        continue;
      }
      const fd = openPiece(at, name, O_PATH, openOne);
      let owner: number;
      let target: Buffer;
      try {
        const stats = fs.fstatSync(fd);
        if (!stats.isSymbolicLink()) throw new SystemCallError(ENOTDIR, 'open', absolute);
        owner = stats.uid;
        target = readlinkOf(fd);
      } finally {
        closeNative(fd);
      }
      if (++count > maximumLinks) throw new SystemCallError(ELOOP, 'open', absolute);
      const above = fs.readlinkSync(`/proc/self/fd/${at}`, { encoding: 'buffer' });
      const path = Buffer.concat([above.length === 1 ? nothing : above, Buffer.of(slash), name]);
      ahead.push({ link: { path, target, owner, isLast } }, ...stepsOf(target, false));
      if (target[0] === slash) goTo(top());
    }
    return { fd: openPiece(at, Buffer.from('.'), fs.constants.O_RDONLY | O_DIRECTORY, openOne), links };
  } finally {
    closeNative(at);
  }
}

/** Asked for as a directory, so that what is mounted on demand is mounted; undefined for what is none. */
function openDirectoryAt(at: number, name: Buffer): number | undefined {
  try {
    return openPiece(at, name, O_PATH | O_DIRECTORY, openOne);
  } catch (error) {
    if (error instanceof SystemCallError && [ENOTDIR, ELOOP].includes(-error.errno)) return undefined;
    throw error;
  }
}

/** The names of a path, the last one first. */
function stepsOf(path: Uint8Array, isLast: boolean): Step[] {
  const names: Buffer[] = [];
  for (let from = 0; from < path.length;) {
    const slashAt = path.indexOf(slash, from);
    const end = slashAt < 0 ? path.length : slashAt;
    if (end > from) names.push(Buffer.from(path.subarray(from, end)));
    from = end + 1;
  }
  return names.reverse().map((name, index) => ({ name, isLast: isLast && index === 0 }));
}
