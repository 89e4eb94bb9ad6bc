// Failed system calls of a restore in words, and which of them concern one entry only.

import { printable } from '../bytes/path.js';
import { RrbackupError, toRrbackupError } from '../errors/index.js';
import { errorCode, reasonOf } from '../posix/libc.js';

/** Going on would only repeat them. */
const ofFullDisk = new Set(['ENOSPC', 'EDQUOT']);

/** What a target that is gone answers to everything: whether it is, is asked of the target (Target.refuseIfGone). */
const ofGoneTarget = new Set([
  'EIO',
  'EROFS',
  'ENODEV',
  'ENXIO',
  'ENOENT',
  'ESTALE',
  'ENOTCONN',
  'ESHUTDOWN',
  'EMFILE',
  'ENFILE',
  'ENOMEM',
]);

/** What happened to one entry, found out without the system. */
const ofEntry = new Set(['restore.exchanged', 'restore.foreign_directory', 'restore.same_name']);

/** Whether the disk is full, or it is no failed system call at all. */
export function endsRestore(error: unknown): boolean {
  const code = errorCode(error);
  return code === undefined || ofFullDisk.has(code);
}

/** Whether other entries can still be put back after this one failed so. */
export function isOfOneEntry(error: unknown): boolean {
  if (error instanceof RrbackupError) return ofEntry.has(error.code) || isOfOneBlock(error);
  return !endsRestore(error);
}

/** Whether a target that is gone, or whose disk fails, may have answered so. */
export function isOfFailingTarget(error: unknown): boolean {
  return ofGoneTarget.has(errorCode(error) ?? '');
}

/** The same of an error in words. */
export function mayBeOfTarget({ code }: { readonly code: string }): boolean {
  return code.startsWith('restore.') && ofGoneTarget.has(code.slice('restore.'.length));
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

/** Something else stands where this restore has just put its own. */
export function exchanged(): RrbackupError {
  return new RrbackupError({
    code: 'restore.exchanged',
    kind: 'failure',
    message: 'somebody else has put something else in its place meanwhile',
    guidance: 'put it back into a directory that only you can write into',
  });
}

/** `uid` owns a directory that the restore would write into. */
export function foreignDirectory(uid: bigint): RrbackupError {
  return new RrbackupError({
    code: 'restore.foreign_directory',
    kind: 'usage',
    message: `the directory belongs to user ${uid}, who can exchange what is put there (--into-foreign writes into it)`,
    guidance: 'name a directory of your own, or one that does not exist yet',
  });
}

/** The way to the target leads over a symlink that somebody else can point elsewhere. */
export function foreignSymlink(target: string, name: string, uid: bigint): RrbackupError {
  return new RrbackupError({
    code: 'restore.foreign_symlink',
    kind: 'usage',
    message: `${printable(Buffer.from(target))} leads over the symlink ${name} of user ${uid}, who chose where it ends`,
    guidance: 'name the directory itself, or say --into-foreign to follow the symlink',
  });
}

/** `uid` owns the target. */
export function foreignTarget(target: string, uid: bigint): RrbackupError {
  return new RrbackupError({
    code: 'restore.foreign_target',
    kind: 'usage',
    message: `${printable(Buffer.from(target))} belongs to user ${uid}, who can exchange what is put there`,
    guidance: 'name a directory that does not exist yet, or say --into-foreign to write into this one',
  });
}

/** The file system takes the names of two entries for one. */
export function sameName(): RrbackupError {
  return new RrbackupError({
    code: 'restore.same_name',
    kind: 'failure',
    message: 'to this file system its name is that of something that stands there already',
    guidance: 'put it back by itself into another directory, or onto another file system',
  });
}

export function isSameName(error: unknown): boolean {
  return error instanceof RrbackupError && error.code === 'restore.same_name';
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
