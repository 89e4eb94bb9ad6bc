// Whether a source may be backed up at all: a disk that is not mounted must never become an empty version.

import fs from 'node:fs';
import { RrbackupError } from '../errors/index.js';
import { reasonOf } from '../posix/libc.js';
import type { SourceConfiguration } from '../repository/types.js';

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
