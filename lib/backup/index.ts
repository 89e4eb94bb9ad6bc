// A backup: compares the source with the newest version, stores what is new, commits. Either a whole new version stands at
// the end or none; packs of a run that did not get there are found and used by the next one.

import os from 'node:os';
import { randomBytes } from '../crypto/index.js';
import { RrbackupError, toRrbackupError } from '../errors/index.js';
import { CommitWriter } from '../manifest/commit.js';
import type { VersionHeader } from '../manifest/types.js';
import { lockHolder, tryLock } from '../posix/flock.js';
import type { Run } from '../progress.js';
import { programVersion } from '../program.js';
import type { Repository } from '../repository/index.js';
import type { SourceConfiguration } from '../repository/types.js';
import { maybeCheckpoint } from './checkpoint.js';
import { ChunkTable } from './chunk-table.js';
import type { Item } from './messages.js';
import { Orphans } from './orphans.js';
import { OwnerNames } from './owner-names.js';
import { Pipeline } from './pipeline.js';
import { type BackupResult, summarize } from './result.js';
import { checkSource } from './source.js';
import { type ChangeToStore, Walk } from './walk.js';

export { previewBackup } from './preview.js';
export type { PreviewResult } from './preview.js';
export type { BackupResult } from './result.js';

export interface BackupOptions extends Run {
  /** Commit even if the source is an empty directory. */
  readonly allowEmpty?: boolean;
}

/** Other writers of the same stream are rare: more lost races than this mean that something else is wrong. */
const maximumAttempts = 5;

/**
 * Backs up one source of this host into its stream. Commits a new version if anything differs from the newest one. Errors:
 * 'backup.source_missing', 'backup.source_empty', 'backup.busy', and whatever the store has to say.
 */
export async function backup(
  repository: Repository,
  source: SourceConfiguration,
  options: BackupOptions = {},
): Promise<BackupResult> {
  checkSource(source, options);
  const stream = repository.streamId(source.name);
  const lockPath = repository.state.lockPath(stream);
  const lock = tryLock(lockPath);
  if (lock === undefined) throw busy(source, lockHolder(lockPath));
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await runOnce(repository, source, stream, options);
      } catch (error) {
        const lostRace = error instanceof RrbackupError && error.code === 'manifest.lost_race';
        if (!lostRace || attempt === maximumAttempts) throw error;
        // Somebody else's version came first: compare with that one instead. What was uploaded is in the journal.
        await repository.sync(options);
      }
    }
  } finally {
    lock.release();
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

  const table = new ChunkTable();
  const orphans = new Orphans(repository);
  await orphans.find(stream, previous, table, options);

  const walk = new Walk({ catalog, source, stream, previous, skip: repository.ownPaths, run: options });
  const writer = new CommitWriter({ ...context, stream, ...call });
  const pipeline = new Pipeline({
    repository,
    stream,
    run,
    sequence,
    sourcePath: Buffer.from(source.path),
    table,
    orphansUsed: orphans.used,
    writer,
    workers: os.availableParallelism(),
    progress: options,
    onRow: (row) => walk.advance(1, row.op === 'removed' ? 0 : row.entry.size_bytes, row.path),
    onSpared: (item, reason) => walk.retract(item, reason),
  });
  const owners = new OwnerNames();
  try {
    for await (const change of walk.changes()) {
      const item = itemOf(change);
      if (item.op !== 'removed') owners.add(item.entry);
      await pipeline.add(item);
    }
    await pipeline.drain();
    const result = (committed?: VersionHeader) =>
      summarize({
        source: source.name,
        walk,
        pipeline,
        committed,
        newest: committed?.sequence ?? previous,
        elapsed_ms: clock.monotonic_ms() - startedAt_ms,
      });
    if (pipeline.rows === 0) return result();

    const adopted = [];
    for await (const info of orphans.adopted(options)) {
      await writer.addPack(info);
      adopted.push(info.name);
    }
    const parent = previous === 0 ? undefined : catalog.version(stream, previous);
    const header = await pipeline.finish(
      () => ({
        stream,
        sequence,
        parentHash: parent?.hash ?? '',
        parentVersionId: head?.headVersionId ?? '',
        run,
        parentRun: parent?.header.run ?? '',
        host: repository.host,
        source: source.name,
        sourcePath: Buffer.from(source.path),
        started_ns,
        finished_ns: clock.now_ns(),
        program: `rrbackup ${programVersion}`,
        statistics: {
          ...walk.statistics,
          added: walk.counts.added,
          changed: walk.counts.changed + walk.counts.metadata,
          removed: walk.counts.removed,
          newBytes: pipeline.newBytes,
          storedBytes: pipeline.storedBytes,
          unreadable: walk.unreadable.length,
        },
        ...owners.maps(),
      }),
      adopted,
    );
    await publish(repository, writer, header, options);
    state.journalClear(stream);
    await afterCommit(repository, header, options);
    return result(header);
  } finally {
    await pipeline.close();
  }
}

async function publish(
  repository: Repository,
  writer: CommitWriter,
  header: VersionHeader,
  options: BackupOptions,
): Promise<void> {
  try {
    await writer.publish(header, options.signal === undefined ? {} : { signal: options.signal });
  } catch (error) {
    // The answer may have been lost after the commit had been made: the history tells whose it is.
    await repository.sync(options).catch(() => undefined);
    const { stream, sequence, run } = header;
    if (repository.catalog.version(stream, sequence)?.header.run !== run) throw error;
  }
}

/** The version stands: what does not succeed from here on is made up for by the next command. */
async function afterCommit(
  repository: Repository,
  { stream, sequence }: VersionHeader,
  options: BackupOptions,
): Promise<void> {
  try {
    await repository.sync(options);
    await maybeCheckpoint(repository, stream, options);
  } catch (error) {
    const { message } = toRrbackupError(error);
    options.onWarning?.(`version ${sequence} is committed, but the catalog does not have it yet: ${message}`);
  }
}

function itemOf(change: ChangeToStore): Item {
  const { path } = change;
  if (change.kind === 'removed') return { op: 'removed', path };
  if (change.kind === 'added') return { op: 'added', path, entry: change.entry };
  return { op: 'changed', path, entry: change.entry, previous: change.previous.entry };
}
