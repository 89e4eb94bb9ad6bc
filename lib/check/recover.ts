// Rebuilds every version's manifest from the packs alone. Each pack carries the rows that were written for its commit; the
// last pack of a run carries the commit's header and names the others. At the end of a history new log entries are written, in
// its middle checkpoints (gap.ts); what packs that are lost keep from being whole says so; nothing is overwritten and nothing deleted. New log entries have other hashes than the lost
// ones, so this machine's catalog and pins are taken anew; other machines accept them with init --adopt.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Catalog, openCatalog } from '../catalog/index.js';
import { toRanges } from '../catalog/version-ranges.js';
import { randomBytes } from '../crypto/index.js';
import { CommitWriter } from '../manifest/commit.js';
import { markedInPart, versionsInPart } from '../manifest/in-part.js';
import type { VersionHeader } from '../manifest/types.js';
import type { PackName } from '../pack/types.js';
import type { Run } from '../progress.js';
import { recallGone, rememberGone, withUnknownPack } from '../repository/damage.js';
import type { Repository } from '../repository/index.js';
import { callOf } from './check-inventory.js';
import { FileSearch, type HurtFiles } from './findings-files.js';
import type { HurtFile } from './findings.js';
import { bridgeGaps, standIn } from './gap.js';
import { bestLines, type Candidate } from './line.js';
import { fillHole, partOf } from './part.js';
import {
  hasAllRows,
  readAllPacks,
  type Survey,
  type VersionContents,
  versionContents,
  versionsTold,
} from './survey.js';

export interface RecoverResult {
  /** Packs read, and those that did not decode. */
  readonly packs: number;
  readonly damagedPacks: readonly PackName[];
  /** Packs that versions name and that are not stored, where something is missed. */
  readonly missingPacks: readonly PackName[];
  readonly streams: readonly RecoveredStream[];
  /** Files that need contents which no pack is known to hold; the first thousand, and how many there are. */
  readonly files: readonly HurtFile[];
  readonly fileCount: number;
}

export interface RecoveredStream {
  readonly host: string;
  readonly source: string;
  /** Versions whose manifest was there, and those rebuilt. */
  readonly intact: number;
  readonly rebuilt: readonly number[];
  /** Of all of them those that are there in part only: entries may be missing, or stand as they were before. */
  readonly inPart: readonly number[];
  /** Versions that there must have been but that cannot be had: nothing tells of them. */
  readonly lost: readonly number[];
}

export async function recover(repository: Repository, run: Run = {}): Promise<RecoverResult> {
  const survey = await readAllPacks(repository, run);
  const told = versionsTold(survey);
  for (const stream of await repository.chain.streams(callOf(run)))
    if (!told.has(stream)) told.set(stream, []);
  const rebuilt = new Map<string, number[]>();
  await withScratchCatalog(repository.id, async (scratch) => {
    for (const [stream, candidates] of told) {
      rebuilt.set(stream, await recoverStream(repository, scratch, stream, candidates, survey, run));
      // From here on this machine knows what is under way: leftovers of before are not asked about again.
      const { state } = repository;
      if (state.journal(stream) === undefined) state.journalClear(stream);
    }
  });
  await repository.adopt(run);
  const hurt = await findHurt(repository, run);
  if (hurt.count > 0) {
    const { state } = repository;
    state.makeDirectory();
    rememberGone(state.directory, withUnknownPack(recallGone(state.directory)));
  }
  const streams = [...told].flatMap(([stream, candidates]) =>
    describe(repository, stream, candidates, rebuilt.get(stream)!),
  );
  // What a pack held that is missing may lie elsewhere by now.
  const misses = hurt.count > 0 || streams.some(({ inPart }) => inPart.length > 0);
  return {
    packs: survey.packs.size,
    damagedPacks: survey.damaged,
    missingPacks: misses ? missingPacks([...told.values()].flat(), survey) : [],
    streams,
    files: hurt.named,
    fileCount: hurt.count,
  };
}

function findHurt({ catalog }: Repository, run: Run): Promise<HurtFiles> {
  const readable = new Map(
    catalog
      .streams()
      .map(({ id }) => [id, toRanges(catalog.versions(id).map(({ header }) => header.sequence))]),
  );
  return new FileSearch(catalog, new Map(), readable).run(run);
}

function missingPacks(candidates: readonly Candidate[], { packs, damaged }: Survey): PackName[] {
  const known = new Set([...packs.keys(), ...damaged]);
  return [...new Set(candidates.flatMap((candidate) => candidate.packs))].filter((name) => !known.has(name));
}

function describe(
  { catalog }: Repository,
  stream: string,
  candidates: readonly Candidate[],
  rebuilt: readonly number[],
): RecoveredStream[] {
  const named = candidates[0]?.header ?? catalog.stream(stream);
  // Names that lead nowhere.
  if (named === undefined) return [];
  const { host, source } = named;
  const headers = catalog.versions(stream).map(({ header }) => header);
  const newest = [...headers, ...candidates.map(({ header }) => header)].reduce(
    (most, { sequence }) => Math.max(most, sequence),
    0,
  );
  const there = new Set(headers.map(({ sequence }) => sequence));
  const lost: number[] = [];
  for (let sequence = 1; sequence <= newest; sequence++) if (!there.has(sequence)) lost.push(sequence);
  const inPart = [...versionsInPart(headers)];
  return [{ host, source, intact: there.size - rebuilt.length, rebuilt, inPart, lost }];
}

/** What this machine has of the history is not believed here: the log is read anew. */
async function withScratchCatalog(
  repositoryId: string,
  work: (scratch: Catalog) => Promise<void>,
): Promise<void> {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'rrbackup-recover-'));
  const { catalog } = await openCatalog({ path: path.join(directory, 'catalog.mdb'), repositoryId });
  try {
    await work(catalog);
  } finally {
    await catalog.close();
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

/** Returns the versions that are readable again. */
async function recoverStream(
  repository: Repository,
  scratch: Catalog,
  stream: string,
  candidates: readonly Candidate[],
  survey: Survey,
  run: Run,
): Promise<number[]> {
  const { rebuilt, isWhole } = await bridgeGaps(repository, scratch, stream, candidates, survey, run);
  if (!isWhole) return rebuilt;
  const known = scratch.stream(stream);
  let parent =
    known === undefined
      ? { sequence: 0, hash: '', versionId: '', run: '' }
      : {
          sequence: known.head,
          hash: known.headHash,
          versionId: known.headVersionId,
          run: scratch.version(stream, known.head)!.header.run,
        };
  const line = bestLines(candidates, parent);
  const first = parent.sequence + 1;
  let isInPart = versionsInPart(scratch.versions(stream).map(({ header }) => header)).has(parent.sequence);
  // Rows have to fit the tree before them where some are lost; it is needed for nothing else.
  const needsTree =
    isInPart ||
    line.some(
      (candidate, index) => candidate.header.sequence !== first + index || !hasAllRows(candidate, survey),
    );
  for (const candidate of line) {
    const { sequence } = candidate.header;
    run.onProgress?.({
      phase: 'recover',
      files_done: rebuilt.length,
      bytes_done: 0,
      current: `version ${sequence}`,
    });
    const isBehindHole = sequence !== parent.sequence + 1;
    isInPart ||= isBehindHole || !hasAllRows(candidate, survey);
    const own = { ...candidate.header, parentHash: parent.hash, parentVersionId: parent.versionId };
    const header = isInPart ? markedInPart(own, sequence) : own;
    if (isBehindHole) {
      // No log entry can follow a number that is missing.
      await fillHole(repository, scratch, header, survey, run);
      const contents = partOf(repository, scratch, candidate, survey, run);
      const hash = randomBytes(32).toString('hex');
      await standIn(repository, scratch, { header, hash, contents }, run);
      parent = { sequence, hash, versionId: '', run: header.run };
    } else {
      const contents = isInPart
        ? partOf(repository, scratch, candidate, survey, run)
        : versionContents(repository, candidate, survey, run);
      const written = await writeCommit(repository, header, contents, run);
      if (needsTree)
        await scratch.ingest({ kind: 'version', ...written, header, parts: [], ...contents }, run);
      parent = { sequence, ...written, run: header.run };
    }
    rebuilt.push(sequence);
  }
  return rebuilt;
}

async function writeCommit(
  repository: Repository,
  header: VersionHeader,
  { packs, rows }: VersionContents,
  run: Run,
): Promise<{ hash: string; versionId: string }> {
  const writer = new CommitWriter({ ...repository.context, stream: header.stream });
  for await (const info of packs()) await writer.addPack(info);
  for await (const row of rows()) await writer.addRow(row);
  return writer.publish(header, run);
}
