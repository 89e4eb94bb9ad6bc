// What a failed system call means for a store in a directory, in words and with a way out.

import { RrbackupError } from '../../errors/index.js';
import { errorCode } from '../../posix/reason.js';
import { transient } from '../failures.js';

/** True where a path, or a directory on the way to it, is not there. */
export function isAbsence(error: unknown): boolean {
  const errno = errorCode(error);
  return errno === 'ENOENT' || errno === 'ENOTDIR';
}

const transientErrnos = new Set([
  'EAGAIN',
  'EBUSY',
  'EINTR',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
  'ESTALE',
  'ETIMEDOUT',
]);

const final: Record<string, { code: string; what: string; guidance: string }> = {
  ENOSPC: {
    code: 'store.full',
    what: 'is full',
    guidance: 'make room on that file system and run the command again',
  },
  EDQUOT: {
    code: 'store.full',
    what: 'is full for this user (quota)',
    guidance: 'make room or have the quota raised, then run the command again',
  },
  EROFS: {
    code: 'store.read_only',
    what: 'is on a file system that is mounted read-only',
    guidance: 'mount it writable, or look into the kernel log if it turned read-only by itself',
  },
  EACCES: {
    code: 'store.denied',
    what: 'may not be used by this user',
    guidance: 'give this user read and write permission there, or run as the user who owns it',
  },
  EPERM: {
    code: 'store.denied',
    what: 'may not be changed by this user',
    guidance: 'look for another owner or an immutable attribute (lsattr), or run as the user who owns it',
  },
  ENOENT: {
    code: 'store.failed',
    what: 'is not there',
    guidance: 'check the path, and that the disk it is on is plugged in and mounted',
  },
  ENOTDIR: {
    code: 'store.failed',
    what: 'has something else where a directory should be',
    guidance:
      'check the path in the configuration; in a repository, find out who has put it there and remove it',
  },
  EIO: {
    code: 'store.failed',
    what: 'has a disk that does not read or write reliably (EIO)',
    guidance: 'look into the kernel log, copy the repository to another disk and run "rrbackup check" there',
  },
};

/** An error of node:fs as an RrbackupError about the store at `location`; other errors pass through. */
export function directoryFailure(location: string, key: string, error: unknown): unknown {
  const errno = errorCode(error);
  if (errno === undefined || error instanceof RrbackupError) return error;
  const about = key === '' ? '' : ` (at ${key})`;
  if (transientErrnos.has(errno)) return transient(`${location} was too busy: ${errno}${about}`, error);
  const known = final[errno];
  if (known !== undefined) {
    const { code, what, guidance } = known;
    return new RrbackupError({
      code,
      kind: 'store',
      message: `${location} ${what}${about}`,
      guidance,
      cause: error,
    });
  }
  return new RrbackupError({
    code: 'store.failed',
    kind: 'store',
    message: `${location} cannot be used: ${errno}${about}`,
    guidance: 'check that the path is a directory on a working file system',
    cause: error,
  });
}
