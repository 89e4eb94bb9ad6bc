// Numbers of the FUSE protocol as <linux/fuse.h> has them (version 7.38 of the header, 7.31 is the least we talk to). Names are
// the header's, without FUSE_. Nothing but numbers here.

import { constants } from 'node:os';

export const errno = constants.errno;

export const majorVersion = 7;
/** What we were written against; the kernel may know more or less and uses the smaller of both. */
export const minorVersion = 38;
export const leastMinorVersion = 31;

export const opcodes = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  ACCESS: 34,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  COPY_FILE_RANGE: 47,
  TMPFILE: 51,
} as const;

/** They would change something; refused as a read-only file system does. */
export const writingOpcodes: ReadonlySet<number> = new Set([
  opcodes.SETATTR,
  opcodes.SYMLINK,
  opcodes.MKNOD,
  opcodes.MKDIR,
  opcodes.UNLINK,
  opcodes.RMDIR,
  opcodes.RENAME,
  opcodes.RENAME2,
  opcodes.LINK,
  opcodes.WRITE,
  opcodes.SETXATTR,
  opcodes.REMOVEXATTR,
  opcodes.CREATE,
  opcodes.FALLOCATE,
  opcodes.COPY_FILE_RANGE,
  opcodes.TMPFILE,
]);

export const initFlags = {
  ASYNC_READ: 1 << 0,
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  NO_OPEN_SUPPORT: 1 << 17,
  PARALLEL_DIROPS: 1 << 18,
  POSIX_ACL: 1 << 20,
  ABORT_ERROR: 1 << 21,
  MAX_PAGES: 1 << 22,
  CACHE_SYMLINKS: 1 << 23,
  NO_OPENDIR_SUPPORT: 1 << 24,
} as const;

export const seek = { DATA: 3, HOLE: 4 } as const;

export const page_bytes = 4096;
/** The largest read that the kernel may ask for. */
export const maximumRead_bytes = 2 ** 20;
/** Requests are small on a read-only mount; the kernel wants room for one WRITE of max_write, which is at least a page. */
export const requestBuffer_bytes = 64 * 1024;
export const maximumWrite_bytes = page_bytes;
