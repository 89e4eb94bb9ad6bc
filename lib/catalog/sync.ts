// Brings the catalog up to date with the store: every stream's commits behind the newest that is known, and where a commit
// is lost, the checkpoint behind it; where somebody waits for the newest version only, what leads to it fastest. Reads the store only.

import { RrbackupError } from '../errors/index.js';
import type { ChainReader } from '../manifest/chain.js';
import { missingCommits } from '../manifest/choice.js';
import type { Checkpoint } from '../manifest/checkpoint.js';
import type { Run } from '../progress.js';
import type { Catalog } from './catalog.js';

export interface SyncOptions {
  readonly catalog: Catalog;
  readonly chain: Pick<ChainReader, 'streams' | 'commits' | 'checkpoints' | 'checkpoint'>;
  /** Only these; default all of the repository. */
  readonly streams?: readonly string[];
  readonly run: Run;
  /** A stream that is not known begins with its newest checkpoint, where it has one: it lacks its past then. */
  readonly newestFirst?: boolean;
}

const callOf = ({ signal }: Run): { signal?: AbortSignal } => (signal === undefined ? {} : { signal });

const badCommit = 'catalog.bad_commit';
const gapCodes = new Set([
  'manifest.missing_commit',
  'manifest.damaged_commit',
  'manifest.damaged',
  'manifest.undecided',
  badCommit,
]);

/**
 * Returns how many versions were new. Throws what the chain and `Catalog.ingest` throw; what came before the failure is in
 * the catalog then. Lost versions with a checkpoint behind them are a warning.
 */
export async function syncCatalog({
  catalog,
  chain,
  streams,
  run,
  newestFirst = false,
}: SyncOptions): Promise<{ ingested: number }> {
  catalog.refresh();
  const call = callOf(run);
  let ingested = 0;
  for (const stream of streams ?? (await chain.streams(call))) {
    if (newestFirst && catalog.stream(stream) === undefined)
      ingested += await beginWithNewest(catalog, chain, stream, run, call);
    // Of who knows the stream the newest version is remembered: that it is gone comes out anyway.
    const isNew = catalog.stream(stream)?.endsInGap !== false;
    let endedAt: number | undefined;
    for (let isBehind = true; isBehind;) {
      const known = catalog.stream(stream);
      const after = known && { sequence: known.head, hash: known.headHash, versionId: known.headVersionId };
      let gap: RrbackupError | undefined;
      try {
        ingested += await catalog.ingestAll(chain.commits(stream, after, call), run);
        isBehind = false;
        // Behind the end of the log there may be a checkpoint that stands for its last entries.
        if (!isNew) continue;
      } catch (error) {
        if (!(error instanceof RrbackupError) || !gapCodes.has(error.code)) throw error;
        gap = error;
        // Those before it may have been in one transaction with it.
        if (error.code === badCommit) await ingestUpTo(catalog, chain, stream, run);
        ingested += (catalog.stream(stream)?.head ?? 0) - (known?.head ?? 0);
      }
      const head = catalog.stream(stream)?.head ?? 0;
      const { checkpoint, newest } = await checkpointBehind(chain, stream, head, call);
      if (newest > head && gap === undefined && endedAt !== head) {
        // Or a backup has come to its end since the log was read.
        endedAt = head;
        isBehind = true;
      } else if (checkpoint !== undefined) {
        await catalog.ingestCheckpoint(checkpoint, run);
        ingested++;
        isBehind = true;
        run.onWarning?.(lostVersions(checkpoint, head + 1));
      } else if (gap !== undefined) throw gap;
      else if (newest > head) throw missingCommits(stream, head + 1, newest);
    }
  }
  return { ingested };
}

/** One commit after another, to the first that cannot be taken in. */
async function ingestUpTo(
  catalog: Catalog,
  chain: SyncOptions['chain'],
  stream: string,
  run: Run,
): Promise<void> {
  const known = catalog.stream(stream);
  const after = known && { sequence: known.head, hash: known.headHash, versionId: known.headVersionId };
  try {
    for await (const commit of chain.commits(stream, after, callOf(run))) await catalog.ingest(commit, run);
  } catch (error) {
    if (!(error instanceof RrbackupError) || !gapCodes.has(error.code)) throw error;
  }
}

/** Returns how many versions that were: one, or none where the log has to be read from its start. */
async function beginWithNewest(
  catalog: Catalog,
  chain: SyncOptions['chain'],
  stream: string,
  run: Run,
  call: { signal?: AbortSignal },
): Promise<number> {
  // Version 1 is as good as a checkpoint of itself.
  for (const sequence of (await chain.checkpoints(stream, 2, call)).reverse()) {
    try {
      await catalog.ingestCheckpoint(await chain.checkpoint(stream, sequence, call), run, {
        lacksPast: true,
      });
      return 1;
    } catch (error) {
      if (!isUnreadable(error)) throw error;
    }
  }
  return 0;
}

/** The log says the same as a checkpoint that cannot be read. */
const isUnreadable = (error: unknown): boolean =>
  error instanceof RrbackupError &&
  ['damaged', 'newer_format', 'not_found'].includes(error.kind) &&
  error.code !== 'catalog.damaged';

/** The first checkpoint behind a version that can be read, and the newest one that is stored, readable or not; 0: there is none. */
async function checkpointBehind(
  chain: SyncOptions['chain'],
  stream: string,
  head: number,
  call: { signal?: AbortSignal },
): Promise<{ checkpoint: Checkpoint | undefined; newest: number }> {
  const sequences = await chain.checkpoints(stream, head + 1, call);
  const newest = sequences.at(-1) ?? 0;
  for (const sequence of sequences) {
    try {
      return { checkpoint: await chain.checkpoint(stream, sequence, call), newest };
    } catch (error) {
      if (!(error instanceof RrbackupError) || error.kind !== 'damaged') throw error;
    }
  }
  return { checkpoint: undefined, newest };
}

function lostVersions({ header, sequence }: Checkpoint, first: number): string {
  if (sequence === first)
    return `the log entry of version ${first} of '${header.source}' is lost; its checkpoint stands in`;
  const which = sequence - 1 === first ? `version ${first}` : `versions ${first} to ${sequence - 1}`;
  return `${which} of '${header.source}' cannot be read: a log entry is lost; later versions can`;
}
