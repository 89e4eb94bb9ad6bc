// What can go wrong with the catalog, in words: the same few errors for every module of this room.

import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';

import { RrbackupError, toRrbackupError } from '../errors/index.js';

const lmdbCorrupted = -30796;
const lmdbMapFull = -30792;
const diskFullCodes = new Set<unknown>(['ENOSPC', 'EDQUOT', 28, 122, lmdbMapFull]);
/** Nothing can be made there: no right to, or no directory that could hold it. */
const deniedCodes = new Set<unknown>(['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR', 13, 1, 30]);
const damageCodes = new Set<unknown>([lmdbCorrupted, -30797, -30795, -30794, -30793, -30784]);

/** LMDB's word for a write that ended early, which is how a disk that has just become full looks like. */
const inputOutputError = 5;
const nearlyNothing_bytes = 1 << 20;

function isFull(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(dirname(path));
    return bavail * bsize < nearlyNothing_bytes;
  } catch {
    return false;
  }
}

/** The catalog cannot be trusted; its owner deletes it (`removeCatalog`) and builds it anew. */
export function catalogDamaged(why: string, cause?: unknown): RrbackupError {
  return new RrbackupError({
    code: 'catalog.damaged',
    kind: 'damaged',
    message: `the local catalog is damaged: ${why}`,
    guidance: 'run the command again: the catalog is rebuilt from the repository, nothing is lost',
    cause,
  });
}

export function catalogMissing(path: string): RrbackupError {
  return new RrbackupError({
    code: 'catalog.missing',
    kind: 'not_found',
    message: `there is no local catalog at ${path}`,
  });
}

/** Any error out of LMDB or the file system below it, told apart by its number. */
export function catalogFailure(error: unknown, path: string): RrbackupError {
  if (error instanceof RrbackupError) return error;
  const code: unknown = error instanceof Error && 'code' in error ? error.code : undefined;
  if (diskFullCodes.has(code) || (code === inputOutputError && isFull(path))) {
    return new RrbackupError({
      code: 'catalog.disk_full',
      kind: 'failure',
      message: `no space is left for the local catalog ${path}`,
      guidance:
        'free some space there or set local_manifest_file to a file on another disk, then run the command again',
      cause: error,
    });
  }
  if (damageCodes.has(code))
    return catalogDamaged(error instanceof Error ? error.message : String(error), error);
  if (deniedCodes.has(code)) {
    return new RrbackupError({
      code: 'catalog.denied',
      kind: 'failure',
      message: `the local catalog ${path} cannot be opened for writing`,
      guidance: 'give this user the right to write there or set local_manifest_file to another file',
      cause: error,
    });
  }
  return toRrbackupError(error);
}
