// Reads a stream's history: finds the log entries, proves each one, and follows the hashes from parent to child. What the
// store lists is a hint; which entry is true is decided by the repository's keys and the chain alone.

import { type Clock, pause, systemClock } from '../clock.js';
import { damaged, RrbackupError } from '../errors/index.js';
import type { Call, StoredObject } from '../store/types.js';
import type { Checkpoint } from './checkpoint.js';
import { readPacks, readRows, readStoredPacks, readStoredRows } from './contents.js';
import { choose, forked, isParent, missingCommits, rolledBack } from './choice.js';
import type { Candidate, Entrants } from './choice.js';
import {
  type Group,
  hasVersion,
  listGroups,
  readEntrants,
  readEntry,
  readRootBytes,
  unfit,
} from './entrants.js';
import { checkpointMagic } from './layout.js';
import {
  checkpointKey,
  checkpointsPrefix,
  commitKey,
  isStreamId,
  sequenceOfCheckpoint,
  streamsPrefix,
} from './names.js';
import { openObject, rootBinding, type ManifestContext } from './object.js';
import { decodeCheckpointRoot } from './root.js';
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

/** Where creates race: how often a head is looked at, how long apart, and for how long after it was stored it may be withdrawn. */
const looks = 3;
const betweenLooks_ms = 1000;
const racing_ms = 3_600_000;

/** What a race looks like to who comes in the middle of it. */
const raceCodes = new Set([
  'manifest.undecided',
  'manifest.forked',
  'manifest.rolled_back',
  'manifest.missing_commit',
]);

/** Call cryptoReady once before. */
export class ChainReader {
  readonly #context: ManifestContext;
  readonly #clock: Clock;

  constructor(context: ManifestContext, clock = systemClock) {
    this.#context = context;
    this.#clock = clock;
  }

  /** The ids of all streams in the repository, sorted. */
  async streams(call: Call = {}): Promise<string[]> {
    return (await this.#context.store.listPrefixes(streamsPrefix, callOf(call.signal))).filter(isStreamId);
  }

  /**
   * The commits behind `after` (default: all), oldest first, each proven. Errors, after everything before them was yielded:
   * 'manifest.missing_commit', 'manifest.damaged_commit' and 'manifest.undecided' (damaged; a checkpoint may lead on, see
   * checkpoints), 'manifest.forked' and 'manifest.rolled_back' (tampered), 'format.newer'.
   *
   * Where the store has no conditional create, a writer that has lost a race withdraws what it has put. So what is young and
   * what does not hold together counts there only if it is the same a moment later; a head that is not stays out.
   */
  async *commits(stream: string, after?: KnownCommit, { signal }: Call = {}): AsyncGenerator<Commit> {
    let known = after;
    let seen: string | undefined;
    for (let look = 1; ; look++) {
      let head: string | undefined;
      try {
        for await (const { chosen, isSettled } of this.#look(stream, known, signal)) {
          const { hash, versionId, header } = chosen;
          if (!isSettled && hash !== seen) {
            head = hash;
            break;
          }
          yield this.#commit(stream, chosen, signal);
          known = { sequence: header.sequence, hash, versionId };
          look = 1;
        }
        if (head === undefined || look === looks) return;
      } catch (error) {
        if (look === looks || (head === undefined && !this.#mayBeRace(error))) throw error;
      }
      seen = head;
      await pause(this.#clock, betweenLooks_ms, signal);
    }
  }

  /** What the store shows now of the history behind `after`. */
  async *#look(
    stream: string,
    after: KnownCommit | undefined,
    signal: AbortSignal | undefined,
  ): AsyncGenerator<{ chosen: Candidate; isSettled: boolean }> {
    const mayRace = !this.#context.store.conditionalCreate;
    let before = after ?? { sequence: 0, hash: '' };
    const groups = listGroups(this.#context, stream, before.sequence, callOf(signal));
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
      const chosen = choose(stream, entrants, { parentHash: before.hash, following, mayRace });
      // Gone between listing and reading: a writer that lost its race has withdrawn it.
      if (chosen === undefined && following === undefined) return;
      if (chosen === undefined) throw missingCommits(stream, sequence, sequence);
      const { hash, modified_ms } = chosen;
      // What follows one of several may be withdrawn itself.
      const isAlone = entrants.candidates.length === 1;
      const isSettled = !mayRace || (isAlone && (isParent(hash, following) || this.#isOld(modified_ms)));
      yield { chosen, isSettled };
      before = { sequence, hash };
      entrants = following;
    }
  }

  /** By two clocks, one of them wrong perhaps: nothing but the trouble of a second look depends on it. */
  #isOld(modified_ms: number): boolean {
    return Number(this.#clock.now_ns() / 1_000_000n) - modified_ms > racing_ms;
  }

  #mayBeRace(error: unknown): boolean {
    const { conditionalCreate } = this.#context.store;
    return !conditionalCreate && error instanceof RrbackupError && raceCodes.has(error.code);
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
    const candidate = await readEntry(this.#context, stream, sequence, object, callOf(call.signal));
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

  /** Whether the store names a version behind this one, be it readable or not. */
  async namesAnyBehind(stream: string, sequence: number, call: Call = {}): Promise<boolean> {
    for await (const group of listGroups(this.#context, stream, sequence + 1, call))
      if (group.sequence > sequence) return true;
    return (await this.checkpoints(stream, sequence + 1, call)).length > 0;
  }

  /**
   * The checkpoint of one version. Go on with commits(stream, {sequence, hash: checkpoint.commitHash}). Throws
   * 'manifest.no_checkpoint' (not_found), 'manifest.damaged', 'manifest.forked', 'format.newer'.
   */
  async checkpoint(stream: string, sequence: number, call: Call = {}): Promise<Checkpoint> {
    const { store } = this.#context;
    const key = checkpointKey(stream, sequence);
    const found = new Map<string, Checkpoint>();
    let newest_ms = -Infinity;
    let failure: RrbackupError | undefined;
    for await (const object of store.list(key, callOf(call.signal))) {
      if (object.key !== key) continue;
      try {
        const checkpoint = await this.#readCheckpoint(stream, sequence, object, call.signal);
        // Of several that stand for the same entry the last one was made because something was wrong with those before.
        if (!found.has(checkpoint.commitHash) || object.modified_ms > newest_ms) {
          found.set(checkpoint.commitHash, checkpoint);
          newest_ms = object.modified_ms;
        }
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
    if (hasVersion(first, known.versionId)) return;
    const entrants = await readEntrants(this.#context, stream, first, callOf(signal));
    if (entrants.candidates.some(({ hash }) => hash === known.hash)) return;
    if (entrants.candidates.length === 0) {
      // Damaged bytes are no other history; a checkpoint may stand for them, too.
      if ((await this.checkpoints(stream, known.sequence, callOf(signal))).length > 0) return;
      choose(stream, entrants, { parentHash: known.hash });
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
      const reading = readEntrants(this.#context, stream, group, callOf(signal));
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

  async #readCheckpoint(
    stream: string,
    sequence: number,
    object: StoredObject,
    signal: AbortSignal | undefined,
  ): Promise<Checkpoint> {
    const what = `the checkpoint of version ${sequence} of stream ${stream}`;
    const bytes = await readRootBytes(this.#context, object, what, callOf(signal));
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
    { hash, versionId, size_bytes, header, contents }: Candidate,
    signal: AbortSignal | undefined,
  ): Commit {
    const what = `version ${header.sequence} of stream ${stream}`;
    const owner = { context: this.#context, stream, what, signal };
    return {
      kind: 'version',
      hash,
      versionId,
      size_bytes,
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
