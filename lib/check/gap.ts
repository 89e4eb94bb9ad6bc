// A log entry that is lost in the middle of a history: those behind it name it as their parent, so that it can never be made
// again as it was. What the packs tell of it becomes a checkpoint, which stands for the lost entry under its hash; readers go on
// behind it. Writes beside what is there.

import { type Catalog, syncCatalog } from '../catalog/index.js';
import { walkTree } from '../catalog/changes.js';
import { randomBytes, sha256 } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import type { ChainReader } from '../manifest/chain.js';
import { type Checkpoint, writeCheckpoint } from '../manifest/checkpoint.js';
import { commitMagic, maximumObject_bytes } from '../manifest/layout.js';
import { checkpointKey, commitsPrefix, sequenceOfCommit } from '../manifest/names.js';
import { openObject, rootBinding } from '../manifest/object.js';
import { decodeCommitRoot } from '../manifest/root.js';
import type { Row, VersionHeader } from '../manifest/types.js';
import type { Run } from '../progress.js';
import { isGap } from '../repository/alarm.js';
import type { Repository } from '../repository/index.js';
import { callOf } from './check-inventory.js';
import { bestLine, type Candidate } from './line.js';
import { keepBeside } from './put-beside.js';
import { type Survey, versionContents } from './survey.js';

/** What a gap must end with, so that the log goes on behind it. */
interface End {
  readonly sequence: number;
  /** Of the lost log entry. */
  readonly hash: string;
  /** Undefined where nothing behind it tells. */
  readonly run: string | undefined;
}

export interface Bridged {
  readonly rebuilt: number[];
  /** Whether the whole log can be read to its end now. */
  readonly isWhole: boolean;
}

/** Reads a stream's log into a catalog, and bridges every gap in it that the packs tell enough of. */
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
      return { rebuilt, isWhole: true };
    } catch (error) {
      if (!isGap(error)) throw error;
    }
    const known = scratch.stream(stream);
    const first = (known?.head ?? 0) + 1;
    const parentRun = known === undefined ? '' : scratch.version(stream, known.head)!.header.run;
    const end = await endOfGap(repository, stream, first, run);
    const fitting = candidates.filter(
      ({ header }) =>
        header.sequence < end.sequence ||
        (header.sequence === end.sequence && (end.run === undefined || header.run === end.run)),
    );
    const line = bestLine(fitting, { sequence: first - 1, run: parentRun });
    if (line.length !== end.sequence - first + 1) {
      const further = await firstCheckpoint(chain, stream, first, run);
      if (further === undefined) return { rebuilt, isWhole: false };
      await scratch.ingestCheckpoint(further, quiet);
      continue;
    }
    for (const candidate of line) {
      const isLast = candidate.header.sequence === end.sequence;
      const hash = isLast ? end.hash : randomBytes(32).toString('hex');
      await standIn(repository, scratch, candidate, hash, survey, run);
      rebuilt.push(candidate.header.sequence);
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
    : entry;
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
): Promise<{ header: VersionHeader; hash: string } | undefined> {
  const call = callOf(run);
  for await (const { key, versionId, size_bytes } of store.list(commitsPrefix(stream), call)) {
    const sequence = sequenceOfCommit(stream, key);
    if (sequence === undefined || sequence < first || size_bytes > maximumObject_bytes) continue;
    const what = `version ${sequence} of stream ${stream}`;
    try {
      const bytes = await store.get(key, { ...call, ...(versionId === '' ? {} : { versionId }) });
      const plain = openObject(context, commitMagic, rootBinding(stream, sequence), bytes, what);
      return { header: decodeCommitRoot(plain, what).header, hash: sha256(bytes).toString('hex') };
    } catch (error) {
      if (!isUnfit(error)) throw error;
    }
  }
  return undefined;
}

/** Takes the version into the catalog as if its log entry were there, and stores the tree that this makes. */
async function standIn(
  repository: Repository,
  scratch: Catalog,
  candidate: Candidate,
  hash: string,
  survey: Survey,
  run: Run,
): Promise<void> {
  const { stream, sequence } = candidate.header;
  const { store, context } = repository;
  run.onProgress?.({ phase: 'recover', files_done: 0, bytes_done: 0, current: `version ${sequence}` });
  const header = { ...candidate.header, parentHash: scratch.stream(stream)?.headHash ?? '' };
  const contents = versionContents(repository, candidate, survey, run);
  await scratch.ingest({ kind: 'version', hash, versionId: '', header, parts: [], ...contents }, run);
  await keepBeside(store, checkpointKey(stream, sequence), callOf(run));
  await writeCheckpoint(
    context,
    {
      commitHash: hash,
      header,
      packs: scratch.packsOf(stream, sequence),
      rows: wholeTree(scratch, stream, sequence),
    },
    run.signal,
  );
}

function* wholeTree(catalog: Catalog, stream: string, sequence: number): Generator<Row> {
  for (const { path, found } of walkTree(catalog, catalog.root(stream, sequence)!, sequence))
    yield { op: 'added', path, entry: found.entry };
}
