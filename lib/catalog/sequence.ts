// What a stream of the catalog is at, and whether a commit is the one that comes next. Reads only.

import { RrbackupError } from '../errors/index.js';
import type { VersionHeader } from '../manifest/types.js';
import type { Tables } from './database.js';
import { numberKey, streamKey, toStream, toVersion, type StreamRecord } from './records.js';

/** What is known of a version from the start, while its rows are still being made. */
export type Beginning = Pick<
  VersionHeader,
  'stream' | 'sequence' | 'parentHash' | 'host' | 'source' | 'sourcePath' | 'run'
>;

export function readStream(tables: Tables, id: string): StreamRecord | undefined {
  const value = tables.streams.get(streamKey(id));
  return value && toStream(id, value);
}

/** Whether the version of this very run is in the catalog; throws 'catalog.forked' if another one has its place. */
export function isIngested(tables: Tables, stream: StreamRecord, version: Beginning, hash: string): boolean {
  const { sequence } = version;
  if (sequence > stream.head) return false;
  const value = tables.versions.get(numberKey(stream.number, sequence));
  if (value !== undefined && toVersion(value).hash === hash) return true;
  throw forked(version, value === undefined ? 'it was not there before' : 'another one had its place');
}

/** Whether rows of this very run are what the stream waits for the end of. */
export const isPending = ({ pending }: StreamRecord, { sequence, run }: Beginning): boolean =>
  pending?.sequence === sequence && pending.run === run;

/** Throws 'catalog.out_of_sequence', 'catalog.forked'. */
export function checkSequence(stream: StreamRecord, version: Beginning, isBase: boolean): void {
  const { sequence, parentHash, source } = version;
  if (isBase ? sequence <= stream.head : sequence !== stream.head + 1) {
    throw new RrbackupError({
      code: 'catalog.out_of_sequence',
      kind: 'failure',
      message: `version ${sequence} of '${source}' cannot follow version ${stream.head} in the local catalog`,
    });
  }
  if (!isBase && stream.head > 0 && parentHash !== stream.headHash)
    throw forked(version, 'it follows another version than ours');
}

function forked({ sequence, source }: Beginning, why: string): RrbackupError {
  return new RrbackupError({
    code: 'catalog.forked',
    kind: 'tampered',
    message: `version ${sequence} of '${source}' is not the one that this machine has read before: ${why}`,
    guidance: 'find out who wrote to the repository; delete the local catalog to accept what is stored now',
  });
}

export function takenOver({ sequence, source }: Beginning): RrbackupError {
  return new RrbackupError({
    code: 'catalog.taken_over',
    kind: 'busy',
    message: `another process has begun to read another version ${sequence} of '${source}' into the local catalog`,
    guidance: 'run the command again',
  });
}
