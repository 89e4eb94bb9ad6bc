// The door to the C library: functions are bound through koffi on first use, failures become errors with a `code` like
// Node's own. Knows no domain; no other room calls C.

import os from 'node:os';
import util from 'node:util';
import koffi from 'koffi';
import { printable } from '../bytes/path.js';

export { errorCode, reasonOf } from './reason.js';

export const isMac = process.platform === 'darwin';

/** "Relative to the working directory", for the *at family. */
export const AT_FDCWD = isMac ? -2 : -100;
export const O_CLOEXEC = 0o2000000;
export const AT_SYMLINK_NOFOLLOW = isMac ? 0x20 : 0x100;

/** A failed system call. `code` is the errno's name ('ENODATA', 'EACCES', …), as on Node's own errors. */
export class SystemCallError extends Error {
  readonly code: string;
  readonly errno: number;
  readonly syscall: string;

  constructor(errno: number, syscall: string, path?: Uint8Array) {
    const code = errnoName(errno);
    const what = util.getSystemErrorMap().get(-errno)?.[1] ?? code;
    super(`${syscall}${path === undefined ? '' : ` ${printable(path)}`}: ${what} (${code})`);
    this.name = 'SystemCallError';
    this.code = code;
    this.errno = -errno;
    this.syscall = syscall;
  }
}

let names: Map<number, string> | undefined;

function errnoName(errno: number): string {
  if (!names) {
    names = new Map(Object.entries(os.constants.errno).map(([name, number]) => [number, name]));
    // Numbers with two names: one of them, the same everywhere.
    names.set(os.constants.errno.ENOTSUP, 'ENOTSUP');
    names.set(os.constants.errno.EAGAIN, 'EAGAIN');
    // macOS calls a missing extended attribute ENOATTR, which Node's table lacks.
    if (isMac) names.set(93, 'ENODATA');
  }
  return names.get(errno) ?? `errno ${errno}`;
}

export type Native = (...args: (number | bigint | Uint8Array | null)[]) => number | bigint | null;

let library: ReturnType<typeof koffi.load> | undefined;

function load(): ReturnType<typeof koffi.load> {
  if (library) return library;
  if (isMac) return (library = koffi.load('libSystem.dylib'));
  try {
    return (library = koffi.load('libc.so.6'));
  } catch {
    // Not glibc (musl): the C library that Node itself is linked with.
    return (library = koffi.load(null));
  }
}

/**
 * A C function by its prototype, bound when it is first called: `declare('int flock(int fd, int operation)')`. Declare
 * once per module. Paths and buffers are `void *`, sizes `size_t`, results wider than int `int64_t`.
 */
export function declare(prototype: string): Native {
  let bound: Native | undefined;
  return (...args) => {
    bound ??= bind(prototype);
    return bound(...args);
  };
}

/** The same, bound now: for what is called so often that passing arguments on would be felt. Throws if there is none. */
export function bind(prototype: string): Native {
  return load().func(prototype) as Native;
}

/** errno of the latest call on this thread. */
export function lastErrno(): number {
  return koffi.errno();
}

/** The result of a call that says -1 for failure, as a number; throws SystemCallError on failure. */
export function check(result: number | bigint | null, syscall: string, path?: Uint8Array): number {
  const value = Number(result);
  if (value === -1) throw new SystemCallError(lastErrno(), syscall, path);
  return value;
}

/** Text behind a `char *` that a C function returned; undefined for NULL. */
export function textAt(pointer: number | bigint | null): string | undefined {
  return pointer === null ? undefined : (koffi.decode(pointer, 'const char *') as string);
}

/**
 * Where the bytes lie, for `uintptr_t` parameters: cheaper than a view where many calls name places in one buffer. Only for
 * buffers of allocUnsafeSlow(large), which stay where they are as long as somebody holds them.
 */
export function addressOf(bytes: Uint8Array): number {
  return Number(koffi.address(bytes));
}

let scratch = Buffer.alloc(8192);

/** The bytes with a NUL behind them, in a scratch buffer: valid until the next call of this function. */
export function cString(bytes: Uint8Array): Buffer {
  if (bytes.length >= scratch.length) scratch = Buffer.alloc(bytes.length * 2);
  scratch.set(bytes);
  scratch[bytes.length] = 0;
  return scratch;
}
