// Makes damaged versions readable again as far as what is stored can: a chunk that is gone from one pack may lie in another one,
// of another machine or of an interrupted run. What no pack holds is remembered on this machine, so that the next backup reads
// the files that need it again and stores it anew. Writes new objects only; deletes and overwrites nothing.

import { blockPlaces, PackBuilder, packKey, packsPrefix, parsePackKey, readPackEnd } from '../pack/index.js';
import { toRanges, type VersionRange } from '../catalog/version-ranges.js';
import { randomBytes } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import { CommitWriter } from '../manifest/commit.js';
import { encodeRecordsOf } from '../manifest/records.js';
import { RecordRows } from '../manifest/row-stream.js';
import type { VersionHeader } from '../manifest/types.js';
import type { ChunkId, PackInfo, PackName } from '../pack/types.js';
import { programVersion } from '../program.js';
import type { Run } from '../progress.js';
import { isGap } from '../repository/alarm.js';
import {
  type GoneBlocks,
  goneChunks,
  isGone,
  recallGone,
  rememberGone,
  withoutHealed,
  withUnknownPack,
} from '../repository/damage.js';
import type { Repository } from '../repository/index.js';
import { check, type CheckOptions, type CheckResult } from './check.js';
import { callOf } from './check-inventory.js';
import { type BadBlocks, FileSearch } from './findings-files.js';
import { Findings, type HurtFile, type Remedy } from './findings.js';
import { copyPack, storeCheckpoint } from './stand-in.js';
import { verifyPacks } from './verify.js';

export type RepairOptions = Pick<CheckOptions, 'readData' | 'onFinding' | 'note'> & Run;

export interface RepairResult {
  /** Packs of which something is gone. */
  readonly damagedPacks: readonly PackName[];
  /** Chunks that are gone and that no later log entry places elsewhere; and of how many of them another pack was found. */
  readonly chunks: number;
  readonly supplied: number;
  /** Versions that were added to say where these chunks lie now: the same tree as the one before. */
  readonly added: readonly { readonly host: string; readonly source: string; readonly version: number }[];
  /** How many damaged checkpoints were written anew. */
  readonly checkpoints: number;
  /** As in CheckResult: what was looked at. */
  readonly read: CheckResult['read'];
  readonly readsAll: boolean;
  /** What else is damaged, and is not healed by this: commands for it. */
  readonly remedies: readonly Remedy[];
  /** What is still hurt; the first thousand files, and how many there are. */
  readonly streams: readonly RepairedStream[];
  readonly files: readonly HurtFile[];
  readonly fileCount: number;
}

export interface RepairedStream {
  readonly id: string;
  readonly host: string;
  readonly source: string;
  readonly hurt: readonly VersionRange[];
  readonly hurtFiles: number;
}

/** Open the repository with `sync: false`. Throws as `check` does, and 'repair.tampered'. */
export async function repair(repository: Repository, options: RepairOptions = {}): Promise<RepairResult> {
  const checked = await check(repository, options);
  if (checked.verdict === 'tampered') throw tampered();
  await repository.sync(options);
  const checkpoints = await writeCheckpoints(repository, checked.badCheckpoints, options);
  const gone = new Map(checked.bad);
  await lookAgain(repository, gone, options);
  await copyWhole(repository, gone, options);
  const untold = await untoldChunks(repository, gone, options);
  const wanted = new Set([...untold.values()].flatMap((ids) => [...ids]));
  const { supplies, found } = await findSupplies(repository, gone, wanted, options);
  const added = await tellPlaces(repository, untold, supplies, options);
  const { catalog } = repository;
  const left = withoutHealed(gone, catalog);
  const readable = new Map(
    catalog
      .streams()
      .map(({ id }) => [id, toRanges(catalog.versions(id).map(({ header }) => header.sequence))]),
  );
  const hurt = await new FileSearch(catalog, left, readable).run(options);
  repository.state.makeDirectory();
  rememberGone(repository.state.directory, hurt.withoutPack > 0 ? withUnknownPack(left) : left);
  return {
    damagedPacks: [...gone.keys()],
    checkpoints,
    read: checked.read,
    readsAll: checked.readsAll,
    remedies: checked.remedies.filter((remedy) => !remedy.startsWith('repair')),
    chunks: wanted.size,
    supplied: found,
    added,
    streams: catalog.streams().map(({ id, host, source }) => ({
      id,
      host,
      source,
      hurt: hurt.streams.get(id)?.versions ?? [],
      hurtFiles: hurt.streams.get(id)?.files ?? 0,
    })),
    files: hurt.named,
    fileCount: hurt.count,
  };
}

/** What was gone the last time may have been brought back, or be what this check has not read. */
async function lookAgain(
  repository: Repository,
  gone: Map<PackName, BadBlocks>,
  run: RepairOptions,
): Promise<void> {
  const { catalog, state } = repository;
  const packs = [...recallGone(state.directory).keys()].flatMap((name) => {
    const info = gone.has(name) ? undefined : catalog.flatPack(name);
    if (info === undefined) return [];
    const { versionId, size_bytes } = info;
    return [{ name, versionId, size_bytes, stored_bytes: size_bytes }];
  });
  await verifyPacks(packs, { repository, catalog, findings: new Findings(run.onFinding), bad: gone, run });
}

/**
 * Packs of which all blocks can be had, but not what is around them: copies take their place. Such a pack counts as gone from
 * here on, so that the log is told of its copy.
 */
async function copyWhole(repository: Repository, gone: Map<PackName, BadBlocks>, run: Run): Promise<void> {
  const { catalog } = repository;
  for (const [name, blocks] of gone) {
    if (blocks === 'all' || blocks.size > 0) continue;
    const info = catalog.pack(name);
    if (info === undefined || withoutHealed(new Map([[name, 'all']]), catalog).size === 0) continue;
    // It is nobody's version yet; whose records it has is of no consequence.
    const { id: stream, head } = catalog.streams()[0]!;
    if (await copyPack(repository, info, { stream, sequence: head + 1 }, run)) gone.set(name, 'all');
  }
}

/** Of those that are damaged the ones whose versions are known. Returns how many that were. */
async function writeCheckpoints(
  repository: Repository,
  bad: CheckResult['badCheckpoints'],
  run: Run,
): Promise<number> {
  const { catalog } = repository;
  let count = 0;
  for (const [stream, sequences] of bad)
    for (const sequence of sequences) {
      const version = catalog.version(stream, sequence);
      if (version === undefined || catalog.root(stream, sequence) === undefined) continue;
      await storeCheckpoint(repository, catalog, version, run);
      count++;
    }
  return count;
}

const hexOf = (id: ChunkId): string => Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('hex');

/**
 * By stream, the ids, in hex, of the chunks whose last place in the stream's own log is gone. A reader that has taken in another
 * stream later may know another place; one that takes them in the other way round does not.
 */
async function untoldChunks(
  repository: Repository,
  gone: GoneBlocks,
  run: Run,
): Promise<Map<string, Set<string>>> {
  const { catalog, chain } = repository;
  const ids = new Set<string>();
  for (const [, blocks] of goneChunks(gone, catalog))
    for (const id of [...blocks.values()].flat()) ids.add(hexOf(id));
  const untold = new Map<string, Set<string>>();
  for (const stream of ids.size === 0 ? [] : catalog.streams()) {
    const last = new Map<string, boolean>();
    try {
      for await (const commit of chain.commits(stream.id, undefined, callOf(run)))
        for await (const { name, blocks } of commit.packs())
          for (const [block, { chunks }] of blocks.entries())
            for (const { id } of chunks) {
              const hex = hexOf(id);
              if (ids.has(hex)) last.set(hex, isGone(gone, { pack: name, block }));
            }
    } catch (error) {
      if (!isGap(error)) throw error;
    }
    untold.set(stream.id, new Set([...last].flatMap(([hex, isLastGone]) => (isLastGone ? [hex] : []))));
  }
  return untold;
}

/** Packs that hold chunks which are wanted, each chunk read and proven. */
async function findSupplies(
  repository: Repository,
  gone: GoneBlocks,
  wanted: ReadonlySet<string>,
  run: Run,
): Promise<{ supplies: PackInfo[]; found: number }> {
  const supplies: PackInfo[] = [];
  const left = new Set(wanted);
  if (left.size === 0) return { supplies, found: 0 };
  for await (const { key, versionId, size_bytes } of repository.store.list(packsPrefix, callOf(run))) {
    const name = parsePackKey(key);
    if (left.size === 0) break;
    if (name === undefined) continue;
    const info =
      repository.catalog.pack(name) ?? (await readInfo(repository, { name, versionId, size_bytes }, run));
    if (info === undefined || (info.versionId !== '' && info.versionId !== versionId)) continue;
    const found = await soundChunks(repository, info, gone, left, run);
    if (found.length > 0) supplies.push(info);
    for (const id of found) left.delete(id);
  }
  return { supplies, found: wanted.size - left.size };
}

async function readInfo(
  { context }: Repository,
  pack: { name: PackName; versionId: string; size_bytes: number },
  { signal }: Run,
): Promise<PackInfo | undefined> {
  try {
    return (await readPackEnd(context, pack, signal)).info;
  } catch (error) {
    if (isOfPack(error)) return undefined;
    throw error;
  }
}

const isOfPack = (error: unknown): boolean =>
  error instanceof RrbackupError && ['damaged', 'tampered', 'not_found', 'newer_format'].includes(error.kind);

/** Ids of chunks of the pack that are wanted and can be read. */
async function soundChunks(
  { packs }: Repository,
  info: PackInfo,
  gone: GoneBlocks,
  wanted: ReadonlySet<string>,
  { signal }: Run,
): Promise<string[]> {
  const found: string[] = [];
  for (const placed of blockPlaces(info)) {
    const wantedHere = placed.filter(({ id }) => wanted.has(hexOf(id)));
    const [first] = wantedHere;
    if (first === undefined) continue;
    const { block } = first.place;
    if (isGone(gone, { pack: info.name, block })) continue;
    for (const { id, place } of wantedHere) {
      try {
        const plain = (await packs.readBlocks([place], signal)).get(block)!;
        packs.chunkFrom(plain, place, id);
        found.push(hexOf(id));
      } catch (error) {
        if (!isOfPack(error)) throw error;
      }
    }
  }
  return found;
}

/**
 * Adds a version to each stream whose log entries have named the damaged packs. It names the packs that hold their chunks too:
 * the last place that a log tells counts, for every reader, whatever else it has read.
 */
async function tellPlaces(
  repository: Repository,
  untold: ReadonlyMap<string, ReadonlySet<string>>,
  supplies: readonly PackInfo[],
  run: Run,
): Promise<RepairResult['added']> {
  const added = [];
  for (const [stream, ids] of untold) {
    const useful = supplies.filter(({ blocks }) =>
      blocks.some(({ chunks }) => chunks.some(({ id }) => ids.has(hexOf(id)))),
    );
    if (useful.length === 0) continue;
    const { host, source } = repository.catalog.stream(stream)!;
    added.push({ host, source, version: await addVersion(repository, stream, useful, run) });
  }
  return added;
}

/** The tree of the newest version once more, with further packs. Throws 'manifest.lost_race'. */
async function addVersion(
  repository: Repository,
  stream: string,
  packs: readonly PackInfo[],
  run: Run,
): Promise<number> {
  const { catalog, clock, context, store } = repository;
  repository.refuseBehindGap(stream);
  const { head, headHash, headVersionId } = catalog.stream(stream)!;
  const before = catalog.version(stream, head)!.header;
  const call = callOf(run);
  const writer = new CommitWriter({ ...context, stream, ...call });
  const header: VersionHeader = {
    ...before,
    sequence: head + 1,
    parentHash: headHash,
    parentVersionId: headVersionId,
    run: randomBytes(16).toString('hex'),
    parentRun: before.run,
    // When the scan began stays: the tree is of that time.
    finished_ns: clock.now_ns(),
    program: `rrbackup ${programVersion} repair`,
    statistics: { ...before.statistics, added: 0, changed: 0, removed: 0, newBytes: 0, storedBytes: 0 },
  };
  const last = { header, otherPacks: packs.map(({ name }) => name) };
  const about = { stream, run: header.run, sequence: header.sequence, part: 0, last };
  const { bytes, encodedInfo } = new PackBuilder(context).finish(() =>
    encodeRecordsOf(about, new RecordRows()),
  );
  const { versionId } = await store.put(packKey(encodedInfo.name), bytes, call);
  for (const pack of packs) await writer.addPack(pack);
  await writer.addPack({ ...encodedInfo, versionId });
  const published = await writer.publish(header, call);
  await repository.takeIn(stream, header.sequence, published, run);
  return header.sequence;
}

function tampered(): RrbackupError {
  return new RrbackupError({
    code: 'repair.tampered',
    kind: 'tampered',
    message: 'the store shows another history than this machine has seen: nothing is repaired on top of it',
    guidance: 'rrbackup check says more; rrbackup init --adopt accepts the history as it is now',
  });
}
