// Reads a stream's history: finds the log entries, proves each one, and follows the hashes from parent to child. What the
// store lists is a hint; which entry is true is decided by the repository's keys and the chain alone.

import { sha256 } from '../crypto/index.js';
import { damaged, RrbackupError } from '../errors/index.js';
import { type Call, isExactVersion, type StoredObject } from '../store/types.js';
import type { Checkpoint } from './checkpoint.js';
import { readPacks, readRows, readStoredPacks, readStoredRows } from './contents.js';
import { choose, forked, missingCommits, rolledBack, type Candidate, type Entrants } from './choice.js';
import { checkpointMagic, commitMagic, maximumObject_bytes } from './layout.js';
import {
  checkpointKey,
  checkpointsPrefix,
  commitKey,
  commitsPrefix,
  isStreamId,
  sequenceOfCheckpoint,
  sequenceOfCommit,
  streamsPrefix,
} from './names.js';
import { openObject, rootBinding, type ManifestContext } from './object.js';
import { decodeCheckpointRoot, decodeCommitRoot } from './root.js';
import type { Commit } from './types.js';

/** The newest commit that somebody already knows. */
export interface KnownCommit {
  readonly sequence: number;
  /** SHA-256 (hex) of its stored root. */
  readonly hash: string;
  /** Where known, it spares a request. */
  readonly versionId?: string;
}

/** A commit whose root this process has just stored. */
export interface PublishedCommit {
  /** SHA-256 (hex) of the root. */
  readonly hash: string;
  readonly versionId: string;
  readonly size_bytes: number;
}

/** Roots that are fetched ahead. */
const lookahead = 4;

/** All stored versions of one log entry's key. */
interface Group {
  readonly sequence: number;
  readonly objects: StoredObject[];
}

/** Call cryptoReady once before. */
export class ChainReader {
  readonly #context: ManifestContext;

  constructor(context: ManifestContext) {
    this.#context = context;
  }

  /** The ids of all streams in the repository, sorted. */
  async streams(call: Call = {}): Promise<string[]> {
    return (await this.#context.store.listPrefixes(streamsPrefix, callOf(call.signal))).filter(isStreamId);
  }

  /**
   * The commits behind `after` (default: all), oldest first, each proven. Errors, after everything before them was yielded:
   * 'manifest.missing_commit' and 'manifest.damaged_commit' (damaged; a checkpoint may lead on, see checkpoints),
   * 'manifest.forked' and 'manifest.rolled_back' (tampered), 'format.newer'.
   */
  async *commits(stream: string, after?: KnownCommit, call: Call = {}): AsyncGenerator<Commit> {
    const { signal } = call;
    let before = after ?? { sequence: 0, hash: '' };
    const groups = this.#groups(stream, before.sequence, signal);
    let first = await next(groups);
    if (after !== undefined) {
      await this.#checkKnown(stream, after, first, signal);
      if (first?.sequence === after.sequence) first = await next(groups);
    }
    const ahead = this.#entrants(stream, first, groups, signal);
    let entrants = await next(ahead);
    while (entrants !== undefined) {
      const following = await next(ahead);
      const { sequence } = entrants;
      if (sequence !== before.sequence + 1) throw missingCommits(stream, before.sequence + 1, sequence - 1);
      const chosen = choose(stream, entrants, before.hash, following);
      // Gone between listing and reading: a writer that lost its race has withdrawn it.
      if (chosen === undefined && following === undefined) return;
      if (chosen === undefined) throw missingCommits(stream, sequence, sequence);
      yield this.#commit(stream, chosen, signal);
      before = { sequence, hash: chosen.hash };
      entrants = following;
    }
  }

  /** A commit whose place and hash are known. Throws 'manifest.damaged' if other bytes stand there, and what reading throws. */
  async published(
    stream: string,
    sequence: number,
    { hash, versionId, size_bytes }: PublishedCommit,
    call: Call = {},
  ): Promise<Commit> {
    const key = commitKey(stream, sequence);
    const object = { key, versionId, size_bytes, modified_ms: 0 };
    const candidate = await this.#readRoot(stream, sequence, object, call.signal);
    if (candidate.hash !== hash)
      throw damaged(
        'manifest.damaged',
        `version ${sequence} of stream ${stream} has other bytes than it should`,
      );
    return this.#commit(stream, candidate, call.signal);
  }

  /** The versions of a stream that have a checkpoint, ascending, from `from` on: where to go on behind a gap in the commits. */
  async checkpoints(stream: string, from = 1, call: Call = {}): Promise<number[]> {
    const found = new Set<number>();
    for await (const { key } of this.#context.store.list(checkpointsPrefix(stream), callOf(call.signal))) {
      const sequence = sequenceOfCheckpoint(stream, key);
      if (sequence !== undefined && sequence >= from) found.add(sequence);
    }
    return [...found].sort((a, b) => a - b);
  }

  /**
   * The checkpoint of one version. Go on with commits(stream, {sequence, hash: checkpoint.commitHash}). Throws
   * 'manifest.no_checkpoint' (not_found), 'manifest.damaged', 'manifest.forked', 'format.newer'.
   */
  async checkpoint(stream: string, sequence: number, call: Call = {}): Promise<Checkpoint> {
    const { store } = this.#context;
    const key = checkpointKey(stream, sequence);
    const found = new Map<string, Checkpoint>();
    let failure: RrbackupError | undefined;
    for await (const object of store.list(key, callOf(call.signal))) {
      if (object.key !== key) continue;
      try {
        const checkpoint = await this.#readCheckpoint(stream, sequence, object, call.signal);
        found.set(checkpoint.commitHash, checkpoint);
      } catch (error) {
        failure = unfit(error);
      }
    }
    const [checkpoint] = found.values();
    if (found.size > 1) throw forked(stream, sequence);
    if (checkpoint !== undefined) return checkpoint;
    throw (
      failure ??
      new RrbackupError({
        code: 'manifest.no_checkpoint',
        kind: 'not_found',
        message: `there is no checkpoint of version ${sequence} of stream ${stream}`,
      })
    );
  }

  /** What is known already must still be there, or the store shows an older or another history. */
  async #checkKnown(
    stream: string,
    known: KnownCommit,
    first: Group | undefined,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    if (first === undefined) {
      // All log entries from here on may be lost while a checkpoint stands for them.
      if ((await this.checkpoints(stream, known.sequence, callOf(signal))).length > 0) return;
      throw rolledBack(stream, known.sequence);
    }
    if (first.sequence !== known.sequence) return;
    const { versionId } = known;
    if (
      versionId !== undefined &&
      isExactVersion(versionId) &&
      first.objects.some((object) => object.versionId === versionId)
    )
      return;
    const entrants = await this.#readGroup(stream, first, signal);
    if (entrants.candidates.some(({ hash }) => hash === known.hash)) return;
    if (entrants.candidates.length === 0) {
      // Damaged bytes are no other history; a checkpoint may stand for them, too.
      if ((await this.checkpoints(stream, known.sequence, callOf(signal))).length > 0) return;
      choose(stream, entrants, known.hash, undefined);
    }
    throw forked(stream, known.sequence);
  }

  /** What stands at each log entry's key, `first` and then `groups`, some read ahead. */
  async *#entrants(
    stream: string,
    first: Group | undefined,
    groups: AsyncIterable<Group>,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<Entrants> {
    const waiting: Promise<Entrants>[] = [];
    const begin = (group: Group) => {
      const reading = this.#readGroup(stream, group, signal);
      // It is awaited below unless the reader stops early; then nobody wants its error.
      reading.catch(() => undefined);
      waiting.push(reading);
    };
    if (first !== undefined) begin(first);
    for await (const group of groups) {
      begin(group);
      if (waiting.length > lookahead) yield await waiting.shift()!;
    }
    for (const reading of waiting) yield await reading;
  }

  /** All versions of each log entry's key from `from` on (1 at the least), in order. */
  async *#groups(stream: string, from: number, signal: AbortSignal | undefined): AsyncGenerator<Group> {
    const after = commitKey(stream, Math.max(0, from - 1));
    let group: Group | undefined;
    for await (const object of this.#context.store.list(commitsPrefix(stream), {
      ...callOf(signal),
      after,
    })) {
      const sequence = sequenceOfCommit(stream, object.key);
      if (sequence === undefined) continue;
      if (group?.sequence !== sequence) {
        if (group !== undefined) yield group;
        group = { sequence, objects: [] };
      }
      group.objects.push(object);
    }
    if (group !== undefined) yield group;
  }

  /** Of everything that stands at the key, what the repository's keys prove; garbage is remembered only as a failure. */
  async #readGroup(
    stream: string,
    { sequence, objects }: Group,
    signal: AbortSignal | undefined,
  ): Promise<Entrants> {
    const candidates = new Map<string, Candidate>();
    let failure: RrbackupError | undefined;
    for (const object of objects) {
      try {
        const candidate = await this.#readRoot(stream, sequence, object, signal);
        candidates.set(candidate.hash, candidate);
      } catch (error) {
        failure = unfit(error) ?? failure;
      }
    }
    return { sequence, candidates: [...candidates.values()], failure };
  }

  async #readRoot(
    stream: string,
    sequence: number,
    object: StoredObject,
    signal: AbortSignal | undefined,
  ): Promise<Candidate> {
    const what = `version ${sequence} of stream ${stream}`;
    const bytes = await this.#readRootBytes(object, what, signal);
    const plain = openObject(this.#context, commitMagic, rootBinding(stream, sequence), bytes, what);
    const { header, contents } = decodeCommitRoot(plain, what);
    if (header.stream !== stream || header.sequence !== sequence)
      throw damaged('manifest.damaged', `${what} says that it is another`);
    return { hash: sha256(bytes).toString('hex'), versionId: object.versionId, header, contents };
  }

  async #readRootBytes(
    { key, versionId, size_bytes }: StoredObject,
    what: string,
    signal: AbortSignal | undefined,
  ): Promise<Buffer> {
    if (size_bytes > maximumObject_bytes)
      throw damaged('manifest.damaged', `${what} cannot have ${size_bytes} bytes`);
    if (size_bytes === 0) throw damaged('manifest.damaged', `${what} is empty`);
    const call = { range: { offset: 0, length: size_bytes }, ...callOf(signal) };
    return this.#context.store.get(key, versionId === '' ? call : { ...call, versionId });
  }

  async #readCheckpoint(
    stream: string,
    sequence: number,
    object: StoredObject,
    signal: AbortSignal | undefined,
  ): Promise<Checkpoint> {
    const what = `the checkpoint of version ${sequence} of stream ${stream}`;
    const bytes = await this.#readRootBytes(object, what, signal);
    const plain = openObject(this.#context, checkpointMagic, rootBinding(stream, sequence), bytes, what);
    const { commitHash, header, contents } = decodeCheckpointRoot(plain, what);
    if (header.stream !== stream || header.sequence !== sequence)
      throw damaged('manifest.damaged', `${what} says that it is another`);
    const owner = { context: this.#context, stream, what, signal };
    return {
      stream,
      sequence,
      commitHash,
      header,
      parts: [...contents.packParts, ...contents.rowParts],
      packs: () => readPacks(owner, contents),
      rows: () => readRows(owner, contents),
      storedRows: (shape) => readStoredRows(owner, contents, shape),
      storedPacks: () => readStoredPacks(owner, contents),
    };
  }

  #commit(
    stream: string,
    { hash, versionId, header, contents }: Candidate,
    signal: AbortSignal | undefined,
  ): Commit {
    const what = `version ${header.sequence} of stream ${stream}`;
    const owner = { context: this.#context, stream, what, signal };
    return {
      kind: 'version',
      hash,
      versionId,
      header,
      parts: [...contents.packParts, ...contents.rowParts],
      packs: () => readPacks(owner, contents),
      rows: () => readRows(owner, contents),
      storedRows: (shape) => readStoredRows(owner, contents, shape),
      storedPacks: () => readStoredPacks(owner, contents),
    };
  }
}

function callOf(signal: AbortSignal | undefined): Call {
  return signal === undefined ? {} : { signal };
}

async function next<T>(items: AsyncGenerator<T>): Promise<T | undefined> {
  const result = await items.next();
  return result.done === true ? undefined : result.value;
}

/** The failure of one candidate: undefined for one that is gone, thrown on if it says nothing about the bytes. */
function unfit(error: unknown): RrbackupError | undefined {
  if (error instanceof RrbackupError) {
    if (error.code === 'store.missing') return undefined;
    if (error.kind === 'damaged' || error.kind === 'tampered' || error.kind === 'newer_format') return error;
  }
  throw error;
}
