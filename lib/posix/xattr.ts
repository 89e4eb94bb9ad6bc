// Extended attributes of a path (symlinks not followed) or of an open file, names and values as raw bytes. POSIX ACLs are among them on Linux.
// A file system without them has none.

import { check, cString, declare, errorCode, isMac, lastErrno, SystemCallError } from './libc.js';
import os from 'node:os';

export interface ExtendedAttribute {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

// macOS has one set of functions with options where Linux has a second set for links.
const XATTR_NOFOLLOW = 1;
const nativeList = isMac
  ? declare('intptr_t listxattr(const void *path, void *list, size_t size, int options)')
  : declare('intptr_t llistxattr(const void *path, void *list, size_t size)');
const nativeGet = isMac
  ? declare(
      'intptr_t getxattr(const void *path, const void *name, void *value, size_t size, uint32_t position, int options)',
    )
  : declare('intptr_t lgetxattr(const void *path, const void *name, void *value, size_t size)');
const nativeListOfFile = isMac
  ? declare('intptr_t flistxattr(int fd, void *list, size_t size, int options)')
  : declare('intptr_t flistxattr(int fd, void *list, size_t size)');
const nativeGetOfFile = isMac
  ? declare(
      'intptr_t fgetxattr(int fd, const void *name, void *value, size_t size, uint32_t position, int options)',
    )
  : declare('intptr_t fgetxattr(int fd, const void *name, void *value, size_t size)');
const nativeListFollowed = declare('intptr_t listxattr(const void *path, void *list, size_t size)');
const nativeGetFollowed = declare(
  'intptr_t getxattr(const void *path, const void *name, void *value, size_t size)',
);
const nativeSet = isMac
  ? declare(
      'int setxattr(const void *path, const void *name, const void *value, size_t size, uint32_t position, int options)',
    )
  : declare('int lsetxattr(const void *path, const void *name, const void *value, size_t size, int flags)');
const nativeRemove = isMac
  ? declare('int removexattr(const void *path, const void *name, int options)')
  : declare('int lremovexattr(const void *path, const void *name)');

const getOptions = isMac ? [0, XATTR_NOFOLLOW] : [];
const fileGetOptions = isMac ? [0, 0] : [];
const fileListOptions = isMac ? [0] : [];
const setOptions = isMac ? [0, XATTR_NOFOLLOW] : [0];
const otherOptions = isMac ? [XATTR_NOFOLLOW] : [];

const { ERANGE, ENOTSUP, ENOSYS } = os.constants.errno;

// Linux lets a list and a value be 64 KiB at most; macOS values may be longer, so buffers grow.
let buffer = Buffer.alloc(65536);
const terminator = Buffer.of(0);
const none: readonly never[] = [];

/** Calls until what it returns fits: another process may make it longer between asking for the size and getting it. */
function readGrowing(call: (into: Buffer) => number, size: () => number): number {
  for (;;) {
    const length = call(buffer);
    if (length >= 0 || lastErrno() !== ERANGE) return length;
    buffer = Buffer.alloc(Math.max(size(), buffer.length) * 2);
  }
}

/** What only Linux has: below /proc/self/fd, the thing that a descriptor with O_PATH stands for, be it a symlink. */
export interface FollowedPath {
  readonly followed: Uint8Array;
}

/** A path, the descriptor of an open file or directory, or a path that is followed. */
type Where = Uint8Array | number | FollowedPath;

function list(where: Where, into: Buffer | null, size_bytes: number): number {
  if (typeof where === 'number') return Number(nativeListOfFile(where, into, size_bytes, ...fileListOptions));
  if (!(where instanceof Uint8Array))
    return Number(nativeListFollowed(cString(where.followed), into, size_bytes));
  return Number(nativeList(cString(where), into, size_bytes, ...otherOptions));
}

function get(where: Where, name: Buffer, into: Buffer | null, size_bytes: number): number {
  if (typeof where === 'number')
    return Number(nativeGetOfFile(where, name, into, size_bytes, ...fileGetOptions));
  if (!(where instanceof Uint8Array))
    return Number(nativeGetFollowed(cString(where.followed), name, into, size_bytes));
  return Number(nativeGet(cString(where), name, into, size_bytes, ...getOptions));
}

const pathOf = (where: Where): Uint8Array | undefined => (where instanceof Uint8Array ? where : undefined);

/** Names in byte order; none where the file system has no extended attributes. Throws SystemCallError. */
export function listXattrs(where: Where): readonly Buffer[] {
  const length = readGrowing(
    (into) => list(where, into, into.length),
    () => list(where, null, 0),
  );
  if (length === 0) return none;
  if (length < 0) {
    const errno = lastErrno();
    if (errno === ENOTSUP || errno === ENOSYS) return none;
    throw new SystemCallError(errno, 'listxattr', pathOf(where));
  }
  return namesIn(buffer.subarray(0, length));
}

/** The names of a list as the file system gives it, a NUL behind each; copies, in byte order. A last one without NUL is one, too. */
export function namesIn(list: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let from = 0; from < list.length;) {
    const nul = list.indexOf(0, from);
    const end = nul < 0 ? list.length : nul;
    if (end > from) found.push(Buffer.from(list.subarray(from, end)));
    from = end + 1;
  }
  return found.sort(Buffer.compare);
}

/** The value, or undefined if there is no such attribute (any more). Throws SystemCallError. */
export function getXattr(where: Where, name: Uint8Array): Buffer | undefined {
  const cName = Buffer.concat([name, terminator]);
  const length = readGrowing(
    (into) => get(where, cName, into, into.length),
    () => get(where, cName, null, 0),
  );
  if (length >= 0) return Buffer.from(buffer.subarray(0, length));
  const error = new SystemCallError(lastErrno(), 'getxattr', pathOf(where));
  if (error.code === 'ENODATA' || error.code === 'ENOTSUP') return undefined;
  throw error;
}

/**
 * Attributes with their values, sorted by name: all, or as many as are more than `most_bytes` (an entry may have half a
 * gigabyte of them). Throws SystemCallError.
 */
export function readXattrs(where: Where, most_bytes = Infinity): readonly ExtendedAttribute[] {
  const names = listXattrs(where);
  if (names.length === 0) return none;
  const found: ExtendedAttribute[] = [];
  let total_bytes = 0;
  for (const name of names) {
    const value = getXattr(where, name);
    if (value === undefined) continue;
    found.push({ name, value });
    total_bytes += name.length + value.length;
    if (total_bytes > most_bytes) break;
  }
  return found;
}

export function setXattr(path: Uint8Array, name: Uint8Array, value: Uint8Array): void {
  const cName = Buffer.concat([name, terminator]);
  // koffi takes an empty buffer for a null pointer, which the kernel accepts with size 0.
  check(nativeSet(cString(path), cName, value, value.length, ...setOptions), 'setxattr', path);
}

/** Fine if there is none. */
export function removeXattr(path: Uint8Array, name: Uint8Array): void {
  try {
    check(
      nativeRemove(cString(path), Buffer.concat([name, terminator]), ...otherOptions),
      'removexattr',
      path,
    );
  } catch (error) {
    if (errorCode(error) !== 'ENODATA') throw error;
  }
}
