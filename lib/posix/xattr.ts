// Extended attributes of a path (symlinks not followed), of an open file or of an inode that is held (inode.ts), names and values as raw bytes. POSIX ACLs are among them on Linux.
// A file system without them has none.

import { check, cString, declare, errorCode, isMac, lastErrno, SystemCallError } from './libc.js';
import os from 'node:os';
import type { Inode } from './inode.js';

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
const nativeSet = isMac
  ? declare(
      'int setxattr(const void *path, const void *name, const void *value, size_t size, uint32_t position, int options)',
    )
  : declare('int lsetxattr(const void *path, const void *name, const void *value, size_t size, int flags)');
const nativeSetOfFile = isMac
  ? declare(
      'int fsetxattr(int fd, const void *name, const void *value, size_t size, uint32_t position, int options)',
    )
  : declare('int fsetxattr(int fd, const void *name, const void *value, size_t size, int flags)');
const nativeRemove = isMac
  ? declare('int removexattr(const void *path, const void *name, int options)')
  : declare('int lremovexattr(const void *path, const void *name)');
const nativeRemoveOfFile = isMac
  ? declare('int fremovexattr(int fd, const void *name, int options)')
  : declare('int fremovexattr(int fd, const void *name)');
// Of what an O_PATH descriptor holds, which is Linux's alone: by a path that has to be followed.
const nativeListOfHeld = declare('intptr_t listxattr(const void *path, void *list, size_t size)');
const nativeGetOfHeld = declare(
  'intptr_t getxattr(const void *path, const void *name, void *value, size_t size)',
);
const nativeSetOfHeld = declare(
  'int setxattr(const void *path, const void *name, const void *value, size_t size, int flags)',
);
const nativeRemoveOfHeld = declare('int removexattr(const void *path, const void *name)');

const getOptions = isMac ? [0, XATTR_NOFOLLOW] : [];
const fileGetOptions = isMac ? [0, 0] : [];
const fileListOptions = isMac ? [0] : [];
const setOptions = isMac ? [0, XATTR_NOFOLLOW] : [0];
const fileSetOptions = isMac ? [0, 0] : [0];
const otherOptions = isMac ? [XATTR_NOFOLLOW] : [];

const { ERANGE, ENOTSUP, ENOSYS } = os.constants.errno;
/** macOS has another number for a missing attribute than Node's table has. */
const ENODATA = isMac ? 93 : os.constants.errno.ENODATA;

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

/** A path, the descriptor of an open file or directory, or an inode that is held. */
type Where = Uint8Array | number | Inode;

/** The same, each in one way only. */
type Place =
  | { readonly of: 'path' | 'held'; readonly path: Uint8Array }
  | { readonly of: 'file'; readonly descriptor: number };

function placeOf(where: Where): Place {
  if (typeof where === 'number') return { of: 'file', descriptor: where };
  if (where instanceof Uint8Array) return { of: 'path', path: where };
  const { descriptor, path } = where;
  if (path === undefined) return { of: 'file', descriptor };
  return { of: descriptor < 0 ? 'path' : 'held', path };
}

function list(place: Place, into: Buffer | null, size_bytes: number): number {
  if (place.of === 'file')
    return Number(nativeListOfFile(place.descriptor, into, size_bytes, ...fileListOptions));
  if (place.of === 'held') return Number(nativeListOfHeld(cString(place.path), into, size_bytes));
  return Number(nativeList(cString(place.path), into, size_bytes, ...otherOptions));
}

function get(place: Place, name: Buffer, into: Buffer | null, size_bytes: number): number {
  if (place.of === 'file')
    return Number(nativeGetOfFile(place.descriptor, name, into, size_bytes, ...fileGetOptions));
  if (place.of === 'held') return Number(nativeGetOfHeld(cString(place.path), name, into, size_bytes));
  return Number(nativeGet(cString(place.path), name, into, size_bytes, ...getOptions));
}

const pathOf = (where: Where): Uint8Array | undefined => (where instanceof Uint8Array ? where : undefined);

/** Names in byte order; none where the file system has no extended attributes. Throws SystemCallError. */
export function listXattrs(where: Where): readonly Buffer[] {
  const place = placeOf(where);
  const length = readGrowing(
    (into) => list(place, into, into.length),
    () => list(place, null, 0),
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
  const place = placeOf(where);
  const cName = Buffer.concat([name, terminator]);
  const length = readGrowing(
    (into) => get(place, cName, into, into.length),
    () => get(place, cName, null, 0),
  );
  if (length >= 0) return Buffer.from(buffer.subarray(0, length));
  const errno = lastErrno();
  if (errno === ENODATA || errno === ENOTSUP) return undefined;
  throw new SystemCallError(errno, 'getxattr', pathOf(where));
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

export function setXattr(where: Where, name: Uint8Array, value: Uint8Array): void {
  const place = placeOf(where);
  const cName = Buffer.concat([name, terminator]);
  // koffi takes an empty buffer for a null pointer, which the kernel accepts with size 0.
  const rest = [cName, value, value.length] as const;
  let result: number | bigint | null;
  if (place.of === 'file') result = nativeSetOfFile(place.descriptor, ...rest, ...fileSetOptions);
  else if (place.of === 'held') result = nativeSetOfHeld(cString(place.path), ...rest, 0);
  else result = nativeSet(cString(place.path), ...rest, ...setOptions);
  check(result, 'setxattr', pathOf(where));
}

/** Fine if there is none. */
export function removeXattr(where: Where, name: Uint8Array): void {
  const place = placeOf(where);
  const cName = Buffer.concat([name, terminator]);
  let result: number | bigint | null;
  if (place.of === 'file') result = nativeRemoveOfFile(place.descriptor, cName, ...fileListOptions);
  else if (place.of === 'held') result = nativeRemoveOfHeld(cString(place.path), cName);
  else result = nativeRemove(cString(place.path), cName, ...otherOptions);
  try {
    check(result, 'removexattr', pathOf(where));
  } catch (error) {
    if (errorCode(error) !== 'ENODATA') throw error;
  }
}
