// A backup: compares the source with the newest version, stores what is new, commits. Either a whole new version stands at
// the end or none; packs of a run that did not get there are found and used by the next one.

import os from 'node:os';
import type { Feed } from '../catalog/index.js';
import { defaultLevel } from '../compression/index.js';
import { randomBytes } from '../crypto/index.js';
import { RrbackupError, toRrbackupError } from '../errors/index.js';
import type { PublishedCommit } from '../manifest/chain.js';
import { CommitWriter } from '../manifest/commit.js';
import type { VersionHeader } from '../manifest/types.js';
import { lockHolder, tryLock } from '../posix/flock.js';
import { saveMemory } from '../posix/memory.js';
import type { Run } from '../progress.js';
import { programVersion } from '../program.js';
import { recallGone, rememberGone, withoutHealed } from '../repository/damage.js';
import type { Repository } from '../repository/index.js';
import type { SourceConfiguration } from '../repository/types.js';
import { maybeCheckpoint } from './checkpoint.js';
import { ChunkTable } from './chunk-table.js';
import { compareOptions } from './compare-options.js';
import { Comparison } from './compare.js';
import { Orphans } from './orphans.js';
import { Pipeline } from './pipeline.js';
import { type BackupResult, summarize } from './result.js';
import { helpersFor, scout } from './scout.js';
import { sourceSettings } from './settings.js';
import { OpenSource, type SourceOptions } from './source.js';
import { Tracker } from './tracker.js';

export { previewBackup } from './preview.js';
export type { PreviewResult } from './preview.js';
export type { BackupResult } from './result.js';

export interface BackupOptions extends Run, SourceOptions {
  /** As zstd counts them, 1 (fast) to 19 (small); null: nothing is compressed. Default: what suits most data. */
  readonly compressionLevel?: number | null;
}

/** About a pack. */
const much_bytes = 16 * 1024 * 1024;

/** What another machine of this name may be the cause of. */
const anothers = ['manifest.lost_race', 'manifest.undecided', 'backup.history_gone'];

/** Other writers of the same stream are rare: more lost races than this mean that something else is wrong. */
const maximumAttempts = 5;

/**
 * Backs up one source of this host into its stream. Commits a new version if anything differs from the newest one. Errors:
 * 'backup.source_missing', 'backup.source_empty' and others of a source that is refused (source.ts), 'backup.busy', and whatever the store has to say.
 */
export async function backup(
  repository: Repository,
  source: SourceConfiguration,
  options: BackupOptions = {},
): Promise<BackupResult> {
  const opened = new OpenSource(source, options);
  try {
    return await backUp(repository, source, opened, options);
  } finally {
    opened.close();
  }
}

async function backUp(
  repository: Repository,
  source: SourceConfiguration,
  opened: OpenSource,
  options: BackupOptions,
): Promise<BackupResult> {
  const stream = repository.streamId(source.name);
  const { state } = repository;
  const lockPath = state.lockPath(stream);
  // Where this machine cannot keep a lock, the store alone keeps two runs apart.
  const lock = state.attempt(() => tryLock(lockPath) ?? 'taken');
  if (lock === 'taken') throw busy(source, lockHolder(lockPath));
  const letGo = saveMemory();
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await runOnce(repository, source, opened, stream, options);
      } catch (error) {
        const isAnothers = error instanceof RrbackupError && anothers.includes(error.code);
        if (!isAnothers || attempt === maximumAttempts) throw error;
        // Somebody else's version came first: compare with that one instead. What was uploaded is in the journal. Or its last
        // pack did, and the commit, if it was not lost, is there a moment later.
        await repository.sync(options);
      }
    }
  } finally {
    letGo();
    lock?.release();
  }
}

function busy(source: SourceConfiguration, pid: number | undefined): RrbackupError {
  return new RrbackupError({
    code: 'backup.busy',
    kind: 'busy',
    message: `another backup of ${source.name} is running on this machine${pid === undefined ? '' : ` (process ${pid})`}`,
    guidance: 'wait until it has ended, or stop it, then run this one again',
  });
}

async function runOnce(
  repository: Repository,
  source: SourceConfiguration,
  opened: OpenSource,
  stream: string,
  options: BackupOptions,
): Promise<BackupResult> {
  const { catalog, clock, context, state } = repository;
  repository.refuseBehindGap(stream);
  const started_ns = clock.now_ns();
  const startedAt_ms = clock.monotonic_ms();
  const head = catalog.stream(stream);
  const previous = head?.head ?? 0;
  const sequence = previous + 1;
  const run = randomBytes(16).toString('hex');
  const call = options.signal === undefined ? {} : { signal: options.signal };

  const tracker = new Tracker(options);
  const gone = recallGone(state.directory);
  const { ownPaths } = repository;
  const { root } = opened;
  const settings = sourceSettings({ source, root, catalog, stream, previous, ownPaths, gone });
  if (previous > 0) opened.checkReplaced(catalog.root(stream, previous));
  const newComparison = (): Comparison => new Comparison(compareOptions(settings, catalog));
  const before = previous === 0 ? undefined : catalog.version(stream, previous);
  tracker.expect(before?.header.statistics, newComparison, opened);

  const table = new ChunkTable();
  const orphans = new Orphans(repository);
  const writer = new CommitWriter({ ...context, stream, ...call });
  const beginning = {
    stream,
    sequence,
    parentHash: before?.hash ?? '',
    run,
    host: repository.host,
    source: source.name,
    sourcePath: Buffer.from(source.path),
  };
  const feed = catalog.feed(beginning);
  const pipeline = new Pipeline({
    repository,
    source: settings,
    run,
    sequence,
    compressionLevel: options.compressionLevel === undefined ? defaultLevel : options.compressionLevel,
    table,
    orphansUsed: orphans.used,
    writer,
    feed,
    workers: os.availableParallelism(),
    progress: options,
    onRemarks: (remarks, path) => tracker.remark(remarks, path),
  });
  try {
    pipeline.begin(helpersFor(before?.header.statistics));
    const scouted = scout(newComparison());
    tracker.add(scouted.figures, undefined);
    await orphans.find(stream, previous, table, options);
    await pipeline.drain(scouted.findings);
    const result = (committed?: VersionHeader, commit_bytes = 0) =>
      summarize({
        source: source.name,
        tracker,
        pipeline,
        committed,
        commit_bytes,
        newest: committed?.sequence ?? previous,
        elapsed_ms: clock.monotonic_ms() - startedAt_ms,
      });
    // What was gone and is stored again is worth a version in which nothing else is new.
    const heals = gone.size > 0 && (pipeline.newBytes > 0 || orphans.areUsed);
    if (pipeline.rows === 0 && !heals) return result();

    const adopted = [];
    for await (const info of orphans.adopted(options)) {
      await writer.addPack(info);
      adopted.push(info.name);
    }
    const header = await pipeline.finish(
      () => ({
        ...beginning,
        parentVersionId: head?.headVersionId ?? '',
        parentRun: before?.header.run ?? '',
        started_ns,
        finished_ns: clock.now_ns(),
        program: `rrbackup ${programVersion}`,
        statistics: {
          ...tracker.figures.statistics,
          added: tracker.figures.counts.added,
          changed: tracker.figures.counts.changed + tracker.figures.counts.metadata,
          removed: tracker.figures.counts.removed,
          newBytes: pipeline.newBytes,
          storedBytes: pipeline.storedBytes,
          unreadable: tracker.unreadable.count,
        },
        userNames: tracker.userNames,
        groupNames: tracker.groupNames,
      }),
      adopted,
    );
    const published = await publish(repository, writer, header, options);
    state.journalClear(stream);
    await afterCommit(repository, header, published, { ...options, feed });
    return result(header, published?.stored_bytes);
  } finally {
    await pipeline.close();
  }
}

/** Undefined where the answer was lost and the history, which the catalog has then, shows that it stands. */
async function publish(
  repository: Repository,
  writer: CommitWriter,
  header: VersionHeader,
  options: BackupOptions,
): Promise<Awaited<ReturnType<CommitWriter['publish']>> | undefined> {
  try {
    return await writer.publish(header, options.signal === undefined ? {} : { signal: options.signal });
  } catch (error) {
    // The answer may have been lost after the commit had been made: the history tells whose it is.
    await repository.sync(options).catch(() => undefined);
    const { stream, sequence, run } = header;
    if (repository.catalog.version(stream, sequence)?.header.run !== run) throw error;
    return undefined;
  }
}

/** The version stands: what does not succeed from here on is made up for by the next command. */
async function afterCommit(
  repository: Repository,
  { stream, sequence, statistics }: VersionHeader,
  published: PublishedCommit | undefined,
  options: BackupOptions & { readonly feed: Feed },
): Promise<void> {
  try {
    if (published !== undefined) await repository.takeIn(stream, sequence, published, options);
    forgetHealed(repository);
    // Who stores much will profit from what other hosts have stored meanwhile; a small run does without the requests.
    if (sequence > 1 && statistics.storedBytes > much_bytes) await repository.sync(options);
    await maybeCheckpoint(repository, stream, options);
  } catch (error) {
    const { message } = toRrbackupError(error);
    options.onWarning?.(`version ${sequence} is committed, but the catalog does not have it yet: ${message}`);
  }
}

function forgetHealed({ catalog, state: { directory } }: Repository): void {
  const gone = recallGone(directory);
  if (gone.size > 0) rememberGone(directory, withoutHealed(gone, catalog));
}
