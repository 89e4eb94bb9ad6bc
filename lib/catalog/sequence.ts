// What a stream of the catalog is at, and whether a commit is the one that comes next. Reads only.

import { RrbackupError } from '../errors/index.js';
import type { Commit } from '../manifest/types.js';
import type { Tables } from './database.js';
import { numberKey, streamKey, toStream, toVersion, type StreamRecord } from './records.js';

export function readStream(tables: Tables, id: string): StreamRecord | undefined {
  const value = tables.streams.get(streamKey(id));
  return value && toStream(id, value);
}

/** Whether this very commit is in the catalog; throws 'catalog.forked' if another one has its place. */
export function isIngested(tables: Tables, stream: StreamRecord, commit: Commit): boolean {
  const { sequence } = commit.header;
  if (sequence > stream.head) return false;
  const value = tables.versions.get(numberKey(stream.number, sequence));
  if (value !== undefined && toVersion(value).hash === commit.hash) return true;
  throw forked(commit, value === undefined ? 'it was not there before' : 'another one had its place');
}

/** Throws 'catalog.out_of_sequence', 'catalog.forked'. */
export function checkSequence(stream: StreamRecord, commit: Commit, isBase: boolean): void {
  const { sequence, parentHash } = commit.header;
  if (isBase ? sequence <= stream.head : sequence !== stream.head + 1) {
    throw new RrbackupError({
      code: 'catalog.out_of_sequence',
      kind: 'failure',
      message: `version ${sequence} of '${commit.header.source}' cannot follow version ${stream.head} in the local catalog`,
    });
  }
  if (!isBase && stream.head > 0 && parentHash !== stream.headHash)
    throw forked(commit, 'it follows another version than ours');
}

function forked(commit: Commit, why: string): RrbackupError {
  const { sequence, source } = commit.header;
  return new RrbackupError({
    code: 'catalog.forked',
    kind: 'tampered',
    message: `version ${sequence} of '${source}' is not the one that this machine has read before: ${why}`,
    guidance: 'find out who wrote to the repository; delete the local catalog to accept what is stored now',
  });
}
