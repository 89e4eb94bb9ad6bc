// Failed system calls of a restore in words, and which of them concern one entry only.

import { printable } from '../bytes/path.js';
import { RrbackupError, toRrbackupError } from '../errors/index.js';
import { errorCode, reasonOf } from '../posix/libc.js';

/** Errors of the target as a whole: going on would only repeat them. */
const ofTarget = new Set(['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'ENODEV', 'EMFILE', 'ENFILE']);

/** Whether other entries can still be put back after this one failed so. */
export function isOfOneEntry(error: unknown): boolean {
  if (error instanceof RrbackupError) return isOfOneBlock(error);
  const code = errorCode(error);
  return code !== undefined && !ofTarget.has(code);
}

/** Whether the disk itself has failed or gone away: what was written there may be lost. */
export function isOfDisk(error: unknown): boolean {
  return (
    error instanceof RrbackupError && ['restore.EIO', 'restore.ENODEV', 'restore.EROFS'].includes(error.code)
  );
}

/** Whether the restore was ended from outside: by its user, or by a store that does not answer. */
export function isInterruption(error: unknown): boolean {
  return error instanceof RrbackupError && ['interrupted', 'store'].includes(error.kind);
}

/** True for what is wrong with stored bytes; false for a store that does not answer. */
export function isOfOneBlock(error: unknown): error is RrbackupError {
  return error instanceof RrbackupError && ['damaged', 'tampered', 'not_found'].includes(error.kind);
}

/** Any thrown value as an error that a user can read. */
export function explain(path: Uint8Array, error: unknown): RrbackupError {
  if (error instanceof RrbackupError || errorCode(error) === undefined) return toRrbackupError(error);
  return new RrbackupError({
    code: `restore.${errorCode(error)}`,
    kind: 'failure',
    message: `${printable(path) || 'the target'} cannot be put back: ${reasonOf(error)}`,
    guidance: 'run the same download again once that is put right: it goes on where it stopped',
    cause: error,
  });
}
