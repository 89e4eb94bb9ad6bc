// Whether a source may be backed up at all, and what to say where it may not: a disk that is not mounted must never become an
// empty version.

import fs from 'node:fs';
import { printable } from '../bytes/path.js';
import { RrbackupError } from '../errors/index.js';
import { reasonOf } from '../posix/libc.js';
import { withReachable } from '../posix/long-path.js';
import type { SourceConfiguration } from '../repository/types.js';

const slash = 0x2f;

export function withoutTrailingSlash(path: Uint8Array): Buffer {
  let end = path.length;
  while (end > 1 && path[end - 1] === slash) end--;
  return Buffer.from(path.subarray(0, end));
}

/** Throws 'backup.source_missing' or 'backup.source_empty'. */
export function checkSource(
  source: SourceConfiguration,
  { allowEmpty = false }: { allowEmpty?: boolean },
): void {
  let isEmpty: boolean;
  try {
    const directory = fs.opendirSync(source.path);
    isEmpty = directory.readSync() === null;
    directory.closeSync();
  } catch (error) {
    throw new RrbackupError({
      code: 'backup.source_missing',
      kind: 'failure',
      message: `the source ${source.name} cannot be backed up: ${source.path}: ${reasonOf(error)}`,
      guidance:
        'is its disk mounted? Check the path in the configuration; the versions made before are untouched',
      cause: error,
    });
  }
  if (!isEmpty || allowEmpty) return;
  throw new RrbackupError({
    code: 'backup.source_empty',
    kind: 'failure',
    message: `the source ${source.name} (${source.path}) is empty, so no version of it was made`,
    guidance: 'is its disk mounted? If it is meant to be empty, run rrbackup backup --allow-empty',
  });
}

/** Throws unless a directory stands at the source's absolute path, or a symlink to one. */
export function checkRoot(root: Buffer): void {
  const guidance = 'mount the disk, or correct the path of the source in the configuration';
  let isDirectory: boolean;
  try {
    // A source that is itself a symlink means what it points to.
    isDirectory = withReachable(root, (reachable) => fs.statSync(reachable)).isDirectory();
  } catch (error) {
    throw new RrbackupError({
      code: 'backup.source_missing',
      kind: 'not_found',
      message: `the source ${printable(root)} is not there: ${reasonOf(error)}`,
      guidance,
      cause: error,
    });
  }
  if (!isDirectory)
    throw new RrbackupError({
      code: 'backup.source_not_directory',
      kind: 'not_found',
      message: `the source ${printable(root)} is not a directory`,
      guidance,
    });
}

export function sourceUnreadable(root: Buffer, cause: unknown): RrbackupError {
  return new RrbackupError({
    code: 'backup.source_unreadable',
    kind: 'failure',
    message: `the source ${printable(root)} cannot be listed: ${reasonOf(cause)}`,
    guidance: 'run the backup as a user who may read it',
    cause,
  });
}

export function sourceIsOurs(root: Buffer): RrbackupError {
  return new RrbackupError({
    code: 'backup.source_is_repository',
    kind: 'usage',
    message: `the source ${printable(root)} is where rrbackup keeps its own data`,
    guidance: 'name another directory as the source',
  });
}

/** An unmounted disk leaves an empty directory behind: what is not found there was not deleted. */
export function sourceWentAway(absolute: Buffer): RrbackupError {
  return new RrbackupError({
    code: 'backup.source_went_away',
    kind: 'failure',
    message: `${printable(absolute)} went away while it was backed up, so no version was made`,
    guidance: 'is its disk still mounted? Run the backup again',
  });
}
