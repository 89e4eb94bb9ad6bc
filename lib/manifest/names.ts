// The one place that builds and parses the names of manifest objects in a store (packs: lib/pack/names.ts).

import { manifestLimits } from './layout.js';

export const streamsPrefix = 'streams/';

const streamPattern = /^[0-9a-f]{32}$/;
const digits = 10;

function sequenceName(sequence: number): string {
  if (!Number.isSafeInteger(sequence) || sequence < 0 || sequence > manifestLimits.sequence)
    throw new RangeError(`not a sequence number: ${sequence}`);
  return String(sequence).padStart(digits, '0');
}

/** The number behind a name of ten digits; undefined for any other. Version 0 does not exist. */
function sequenceOf(name: string): number | undefined {
  const sequence = /^[0-9]{10}$/.test(name) ? Number(name) : 0;
  return sequence === 0 ? undefined : sequence;
}

export function isStreamId(name: string): boolean {
  return streamPattern.test(name);
}

export function commitsPrefix(stream: string): string {
  return `${streamsPrefix}${stream}/commits/`;
}

/** Sequence 0 is never stored, but is a place to list from. */
export function commitKey(stream: string, sequence: number): string {
  return commitsPrefix(stream) + sequenceName(sequence);
}

/** The sequence number behind a key below commitsPrefix; undefined for a key that no rrbackup made. */
export function sequenceOfCommit(stream: string, key: string): number | undefined {
  return sequenceOf(key.slice(commitsPrefix(stream).length));
}

export function partKey(stream: string, hash: string): string {
  return `${streamsPrefix}${stream}/parts/${hash}`;
}

export function checkpointsPrefix(stream: string): string {
  return `${streamsPrefix}${stream}/checkpoints/`;
}

const checkpointRoot = '/root';

export function checkpointKey(stream: string, sequence: number): string {
  return checkpointsPrefix(stream) + sequenceName(sequence) + checkpointRoot;
}

/** The sequence number behind the key of a checkpoint's root; undefined for any other key. */
export function sequenceOfCheckpoint(stream: string, key: string): number | undefined {
  if (!key.endsWith(checkpointRoot)) return undefined;
  return sequenceOf(key.slice(checkpointsPrefix(stream).length, -checkpointRoot.length));
}
