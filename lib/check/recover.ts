// Rebuilds every version's manifest from the packs alone. Each pack carries the rows that were written for its commit; the
// last pack of a run carries the commit's header and names the others. At the end of a history new log entries are written, in
// its middle checkpoints (gap.ts); nothing is overwritten and nothing deleted. New log entries have other hashes than the lost
// ones, so this machine's catalog and pins are taken anew; other machines accept them with init --adopt.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Catalog, openCatalog } from '../catalog/index.js';
import { CommitWriter } from '../manifest/commit.js';
import type { VersionHeader } from '../manifest/types.js';
import type { PackName } from '../pack/types.js';
import type { Run } from '../progress.js';
import type { Repository } from '../repository/index.js';
import { bridgeGaps } from './gap.js';
import { type Candidate, bestLine } from './line.js';
import { isWhole, readAllPacks, type Survey, versionContents, versionsTold } from './survey.js';

export interface RecoverResult {
  /** Packs read, and those that did not decode. */
  readonly packs: number;
  readonly damagedPacks: readonly PackName[];
  readonly streams: readonly RecoveredStream[];
}

export interface RecoveredStream {
  readonly host: string;
  readonly source: string;
  /** Versions whose manifest was there, and those rebuilt. */
  readonly intact: number;
  readonly rebuilt: readonly number[];
  /** Versions that there must have been but that cannot be had: a pack of theirs, or what they build upon, is gone. */
  readonly lost: readonly number[];
}

export async function recover(repository: Repository, run: Run = {}): Promise<RecoverResult> {
  const survey = await readAllPacks(repository, run);
  const told = versionsTold(survey);
  const rebuilt = new Map<string, number[]>();
  await withScratchCatalog(repository.id, async (scratch) => {
    for (const [stream, candidates] of told) {
      const whole = candidates.filter((candidate) => isWhole(candidate, survey));
      rebuilt.set(stream, await recoverStream(repository, scratch, stream, whole, survey, run));
      // From here on this machine knows what is under way: leftovers of before are not asked about again.
      const { state } = repository;
      if (state.journal(stream) === undefined) state.journalClear(stream);
    }
  });
  await repository.adopt(run);
  const streams = [...told].map(([stream, candidates]) =>
    describe(repository, stream, candidates, rebuilt.get(stream)!),
  );
  return { packs: survey.packs.size, damagedPacks: survey.damaged, streams };
}

function describe(
  { catalog }: Repository,
  stream: string,
  candidates: readonly Candidate[],
  rebuilt: readonly number[],
): RecoveredStream {
  const { host, source } = candidates[0]!.header;
  const newest = candidates.reduce((most, { header }) => Math.max(most, header.sequence), 0);
  const there = new Set(catalog.versions(stream).map(({ header }) => header.sequence));
  const lost: number[] = [];
  for (let sequence = 1; sequence <= newest; sequence++) if (!there.has(sequence)) lost.push(sequence);
  return { host, source, intact: there.size - rebuilt.length, rebuilt, lost };
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
  for (const candidate of bestLine(candidates, parent)) {
    const { sequence } = candidate.header;
    run.onProgress?.({
      phase: 'recover',
      files_done: rebuilt.length,
      bytes_done: 0,
      current: `version ${sequence}`,
    });
    const header = { ...candidate.header, parentHash: parent.hash, parentVersionId: parent.versionId };
    const written = await writeCommit(repository, header, candidate, survey, run);
    parent = { sequence, ...written, run: header.run };
    rebuilt.push(sequence);
  }
  return rebuilt;
}

async function writeCommit(
  repository: Repository,
  header: VersionHeader,
  candidate: Candidate,
  survey: Survey,
  run: Run,
): Promise<{ hash: string; versionId: string }> {
  const writer = new CommitWriter({ ...repository.context, stream: header.stream });
  const { packs, rows } = versionContents(repository, candidate, survey, run);
  for await (const info of packs()) await writer.addPack(info);
  for await (const row of rows()) await writer.addRow(row);
  return writer.publish(header, run);
}
