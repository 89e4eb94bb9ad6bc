// What stands at the keys of log entries: lists all stored versions of each, and reads of them what the repository's keys prove.
// Which of them counts is decided elsewhere (choice.ts).

import { sha256 } from '../crypto/index.js';
import { damaged, RrbackupError } from '../errors/index.js';
import { tooManyListed } from '../store/failures.js';
import { type Call, isExactVersion, mostVersions, type StoredObject } from '../store/types.js';
import type { Candidate, Entrants } from './choice.js';
import { commitMagic, maximumObject_bytes } from './layout.js';
import { commitKey, commitsPrefix, sequenceOfCommit } from './names.js';
import { openObject, rootBinding, type ManifestContext } from './object.js';
import { decodeCommitRoot } from './root.js';

/** All stored versions of one log entry's key. */
export interface Group {
  readonly sequence: number;
  readonly objects: StoredObject[];
}

/** The groups from version `from` on (1 at the least), in order: one listing. */
export async function* listGroups(
  { store }: Pick<ManifestContext, 'store'>,
  stream: string,
  from: number,
  call: Call = {},
): AsyncGenerator<Group> {
  const after = commitKey(stream, Math.max(0, from - 1));
  let group: Group | undefined;
  for await (const object of store.list(commitsPrefix(stream), { ...call, after })) {
    const sequence = sequenceOfCommit(stream, object.key);
    if (sequence === undefined) continue;
    if (group?.sequence !== sequence) {
      if (group !== undefined) yield group;
      group = { sequence, objects: [] };
    }
    if (group.objects.length === mostVersions) throw tooManyListed(store.location, object.key, mostVersions);
    group.objects.push(object);
  }
  if (group !== undefined) yield group;
}

/** Whether an object is there that cannot have changed since somebody knew it under this version id. */
export function hasVersion({ objects }: Group, versionId: string | undefined): boolean {
  if (versionId === undefined || !isExactVersion(versionId)) return false;
  return objects.some((object) => object.versionId === versionId);
}

/** Of everything that stands at the key, what the repository's keys prove; garbage is remembered only as a failure. */
export async function readEntrants(
  context: ManifestContext,
  stream: string,
  { sequence, objects }: Group,
  call: Call = {},
): Promise<Entrants> {
  const candidates = new Map<string, Candidate>();
  let failure: RrbackupError | undefined;
  let denied: RrbackupError | undefined;
  for (const object of objects) {
    try {
      const candidate = await readEntry(context, stream, sequence, object, call);
      candidates.set(candidate.hash, candidate);
    } catch (error) {
      // Something that another account has put there, and keeps to itself.
      if (error instanceof RrbackupError && error.code === 'store.denied') denied = error;
      else failure = unfit(error) ?? failure;
    }
  }
  if (candidates.size === 0 && denied !== undefined) throw denied;
  return { sequence, candidates: [...candidates.values()], failure };
}

/** One of them. Throws 'manifest.damaged', and what opening and decoding throw. */
export async function readEntry(
  context: ManifestContext,
  stream: string,
  sequence: number,
  object: StoredObject,
  call: Call,
): Promise<Candidate> {
  const what = `version ${sequence} of stream ${stream}`;
  const bytes = await readRootBytes(context, object, what, call);
  const plain = openObject(context, commitMagic, rootBinding(stream, sequence), bytes, what);
  const { header, contents } = decodeCommitRoot(plain, what);
  if (header.stream !== stream || header.sequence !== sequence)
    throw damaged('manifest.damaged', `${what} says that it is another`);
  const { versionId, modified_ms } = object;
  const size_bytes = bytes.length;
  return { hash: sha256(bytes).toString('hex'), versionId, size_bytes, modified_ms, header, contents };
}

/** The bytes of a root, of a log entry or a checkpoint. */
export async function readRootBytes(
  { store }: Pick<ManifestContext, 'store'>,
  { key, versionId, size_bytes }: StoredObject,
  what: string,
  call: Call,
): Promise<Buffer> {
  if (size_bytes > maximumObject_bytes)
    throw damaged('manifest.damaged', `${what} cannot have ${size_bytes} bytes`);
  if (size_bytes === 0) throw damaged('manifest.damaged', `${what} is empty`);
  const options = { range: { offset: 0, length: size_bytes }, ...call };
  return store.get(key, versionId === '' ? options : { ...options, versionId });
}

/** The failure of one candidate: undefined for one that is gone, thrown on if it says nothing about the bytes. */
export function unfit(error: unknown): RrbackupError | undefined {
  if (error instanceof RrbackupError) {
    if (error.code === 'store.missing') return undefined;
    if (error.kind === 'damaged' || error.kind === 'tampered' || error.kind === 'newer_format') return error;
  }
  throw error;
}
