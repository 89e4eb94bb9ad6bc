// A log entry that is lost in the middle of a history: those behind it name it as their parent, so that it can never be made
// again as it was. What the packs tell of it becomes a checkpoint, which stands for the lost entry under its hash; readers go on
// behind it. One that is made of a part says so for all that builds upon it. Writes beside what is there.

import { type Catalog, syncCatalog } from '../catalog/index.js';
import { randomBytes } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import type { ChainReader, PublishedCommit } from '../manifest/chain.js';
import type { Checkpoint } from '../manifest/checkpoint.js';
import { markedInPart, versionsInPart } from '../manifest/in-part.js';
import { commitsPrefix, sequenceOfCommit } from '../manifest/names.js';
import { readEntry } from '../manifest/entrants.js';
import type { Commit, VersionHeader } from '../manifest/types.js';
import type { Run } from '../progress.js';
import { isGap } from '../repository/alarm.js';
import type { Repository } from '../repository/index.js';
import { callOf } from './check-inventory.js';
import { bestLine, bestLines, type Candidate } from './line.js';
import { fillHole, fitting, partOf } from './part.js';
import { storeCheckpoint } from './stand-in.js';
import { hasAllRows, type Survey } from './survey.js';

/** What a gap must end with, so that the log goes on behind it. */
interface End {
  readonly sequence: number;
  /** Of the lost log entry. */
  readonly hash: string;
  /** Undefined where nothing behind it tells. */
  readonly run: string | undefined;
}

/** A log entry that the repository's keys prove. */
interface Entry {
  readonly header: VersionHeader;
  readonly published: PublishedCommit;
}

export interface Bridged {
  readonly rebuilt: number[];
  /** Whether the whole log can be read to its end now. */
  readonly isWhole: boolean;
}

/**
 * Reads a stream's log into a catalog, and bridges every gap in it that the packs tell enough of. Where they do not, a
 * checkpoint leads on, and where there is none, what they tell of a part.
 */
export async function bridgeGaps(
  repository: Repository,
  scratch: Catalog,
  stream: string,
  candidates: readonly Candidate[],
  survey: Survey,
  run: Run,
): Promise<Bridged> {
  const { chain } = repository;
  const rebuilt: number[] = [];
  // Lost versions are told at the end, by who reads what has come of it.
  const { signal, onProgress } = run;
  const quiet = { ...(signal && { signal }), ...(onProgress && { onProgress }) };
  for (;;) {
    try {
      await syncCatalog({ catalog: scratch, chain: stepByStep(chain), streams: [stream], run: quiet });
      const head = scratch.stream(stream)?.head ?? 0;
      const behind = await firstCheckpoint(chain, stream, head + 1, run);
      if (behind === undefined) return { rebuilt, isWhole: true };
      if (behind.sequence === head + 1) {
        await scratch.ingestCheckpoint(behind, quiet);
        continue;
      }
    } catch (error) {
      if (!isGap(error)) throw error;
    }
    const known = scratch.stream(stream);
    const before = {
      sequence: known?.head ?? 0,
      run: known === undefined ? '' : scratch.version(stream, known.head)!.header.run,
    };
    const end = await endOfGap(repository, stream, before.sequence + 1, run);
    const fitting = candidates.filter(
      ({ header }) =>
        header.sequence < end.sequence ||
        (header.sequence === end.sequence && (end.run === undefined || header.run === end.run)),
    );
    const told = bestLine(
      fitting.filter((candidate) => hasAllRows(candidate, survey)),
      before,
    );
    const isFilled = told.length === end.sequence - before.sequence;
    const further = isFilled ? undefined : await firstCheckpoint(chain, stream, before.sequence + 1, run);
    if (further !== undefined) {
      await scratch.ingestCheckpoint(further, quiet);
      continue;
    }
    const hashOf = ({ header: { sequence } }: Candidate): string =>
      sequence === end.sequence ? end.hash : randomBytes(32).toString('hex');
    const last = await newestEntry(repository, stream, run);
    // An entry that only has nothing to build upon says more than packs of which some are lost.
    const own = isFilled ? undefined : await readableFrom(repository, stream, before.sequence + 1, run);
    const isOwn = own?.header.sequence === before.sequence + 1;
    if (isOwn && (await standInEntry(repository, scratch, own, last, survey, run))) continue;
    // What builds upon a part is one, and may have rows that nothing is there for.
    let isInPart = versionsInPart(scratch.versions(stream).map(({ header }) => header)).has(before.sequence);
    for (const candidate of isFilled ? told : bestLines(fitting, before)) {
      const { sequence } = candidate.header;
      isInPart ||= sequence !== (scratch.stream(stream)?.head ?? 0) + 1 || !hasAllRows(candidate, survey);
      await fillHole(repository, scratch, candidate.header, survey, run);
      const contents = partOf(repository, scratch, candidate, survey, run);
      const header = isInPart ? markedInPart(candidate.header, Math.max(last, sequence)) : candidate.header;
      await standIn(repository, scratch, { header, hash: hashOf(candidate), contents }, run);
      rebuilt.push(sequence);
    }
    if ((scratch.stream(stream)?.head ?? 0) >= end.sequence) continue;
    // Nobody tells of what comes before the next entry: it begins anew from what is left.
    for (let from = (scratch.stream(stream)?.head ?? 0) + 1, isRead = false; !isRead;) {
      const next = await readableFrom(repository, stream, from, run);
      if (next === undefined) return { rebuilt, isWhole: false };
      isRead = await standInEntry(repository, scratch, next, last, survey, run);
      from = next.header.sequence + 1;
    }
  }
}

/** A chain of which no reader jumps over lost versions to a checkpoint. */
function stepByStep(
  chain: ChainReader,
): Pick<ChainReader, 'streams' | 'commits' | 'checkpoints' | 'checkpoint'> {
  return {
    streams: (call) => chain.streams(call),
    commits: (stream, after, call) => chain.commits(stream, after, call),
    checkpoint: (stream, sequence, call) => chain.checkpoint(stream, sequence, call),
    checkpoints: async (stream, from = 1, call = {}) =>
      (await chain.checkpoints(stream, from, call)).filter((sequence) => sequence === from),
  };
}

/** The first from a version on that can be read. */
async function firstCheckpoint(
  chain: ChainReader,
  stream: string,
  from: number,
  run: Run,
): Promise<Checkpoint | undefined> {
  for (const sequence of await chain.checkpoints(stream, from, callOf(run))) {
    try {
      return await chain.checkpoint(stream, sequence, callOf(run));
    } catch (error) {
      if (!isUnfit(error)) throw error;
    }
  }
  return undefined;
}

const isUnfit = (error: unknown): boolean =>
  error instanceof RrbackupError && ['damaged', 'tampered', 'not_found'].includes(error.kind);

async function endOfGap(repository: Repository, stream: string, first: number, run: Run): Promise<End> {
  const checkpoint = await firstCheckpoint(repository.chain, stream, first, run);
  const entry = await readableFrom(repository, stream, first, run);
  // What leads on soonest.
  const isCheckpoint =
    entry === undefined || (checkpoint !== undefined && checkpoint.sequence <= entry.header.sequence);
  const behind = isCheckpoint
    ? checkpoint && { header: checkpoint.header, hash: checkpoint.commitHash }
    : { header: entry.header, hash: entry.published.hash };
  const pin = repository.state.recall()?.pins[stream];
  if (behind === undefined)
    return {
      sequence: first,
      hash: pin?.sequence === first ? pin.hash : randomBytes(32).toString('hex'),
      run: undefined,
    };
  const { header, hash } = behind;
  // Its root is there, but a part of it is not.
  if (header.sequence === first) return { sequence: first, hash, run: header.run };
  return { sequence: header.sequence - 1, hash: header.parentHash, run: header.parentRun };
}

/** The first log entry from a version on that the repository's keys prove, whatever it builds upon. */
async function readableFrom(
  { context, store }: Repository,
  stream: string,
  first: number,
  run: Run,
): Promise<Entry | undefined> {
  const call = callOf(run);
  for await (const object of store.list(commitsPrefix(stream), call)) {
    const sequence = sequenceOfCommit(stream, object.key);
    if (sequence === undefined || sequence < first) continue;
    try {
      const { hash, header } = await readEntry(context, stream, sequence, object, call);
      const { versionId, size_bytes } = object;
      return { header, published: { hash, versionId, size_bytes } };
    } catch (error) {
      if (!isUnfit(error)) throw error;
    }
  }
  return undefined;
}

/** A log entry whose parent is lost: in part, with all that its own rows say. False if it cannot be read either. */
async function standInEntry(
  repository: Repository,
  scratch: Catalog,
  { header, published }: Entry,
  last: number,
  survey: Survey,
  run: Run,
): Promise<boolean> {
  const { stream, sequence } = header;
  try {
    const commit = await repository.chain.published(stream, sequence, published, callOf(run));
    await fillHole(repository, scratch, header, survey, run);
    const { packs, rows } = fitting(scratch, stream, commit);
    const of = { header: markedInPart(header, last), hash: commit.hash, contents: { packs, rows } };
    await standIn(repository, scratch, of, run);
    return true;
  } catch (error) {
    if (!isUnfit(error)) throw error;
    return false;
  }
}

/** Takes the version into the catalog as if its log entry were there, and stores the tree that this makes. */
export async function standIn(
  repository: Repository,
  scratch: Catalog,
  of: {
    readonly header: VersionHeader;
    readonly hash: string;
    readonly contents: Pick<Commit, 'packs' | 'rows'>;
  },
  run: Run,
): Promise<void> {
  const { hash, contents } = of;
  const { stream, sequence } = of.header;
  run.onProgress?.({ phase: 'recover', files_done: 0, bytes_done: 0, current: `version ${sequence}` });
  const header = { ...of.header, parentHash: scratch.stream(stream)?.headHash ?? '' };
  await scratch.ingest({ kind: 'version', hash, versionId: '', header, parts: [], ...contents }, run);
  await storeCheckpoint(repository, scratch, { header, hash }, run);
}

/** The number of the newest log entry, whatever it builds upon. */
async function newestEntry({ store }: Repository, stream: string, run: Run): Promise<number> {
  let newest = 0;
  for await (const { key } of store.list(commitsPrefix(stream), callOf(run)))
    newest = Math.max(newest, sequenceOfCommit(stream, key) ?? 0);
  return newest;
}
