// Rebuilds every version's manifest from the packs alone. Each pack carries the rows that were written for its commit; the
// last pack of a run carries the commit's header and names the others. New log entries are written where they are missing;
// nothing is overwritten and nothing deleted. The new chain is a new one (its hashes differ), so this machine's catalog and
// pins are taken anew; other machines accept it with init --adopt.

import { RrbackupError } from '../errors/index.js';
import { comparePaths } from '../bytes/path.js';
import { CommitWriter } from '../manifest/commit.js';
import { type PackRecords, decodeRecords } from '../manifest/records.js';
import type { Row, VersionHeader } from '../manifest/types.js';
import { packsPrefix, parsePackKey, readPackEnd } from '../pack/index.js';
import type { PackInfo, PackName } from '../pack/types.js';
import type { Run } from '../progress.js';
import type { Repository } from '../repository/index.js';

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
  /** Versions that the packs tell of but that cannot be rebuilt, since what they build upon is gone. */
  readonly lost: readonly number[];
}

/** What the first pass keeps of a pack. */
interface PackRecord {
  readonly name: PackName;
  readonly versionId: string;
  readonly size_bytes: number;
  readonly run: string;
  readonly firstPath: Uint8Array | undefined;
}

interface Candidate {
  readonly header: VersionHeader;
  readonly packs: readonly PackName[];
}

interface Survey {
  readonly packs: ReadonlyMap<PackName, PackRecord>;
  readonly damaged: readonly PackName[];
  readonly candidates: readonly Candidate[];
}

export async function recover(repository: Repository, run: Run = {}): Promise<RecoverResult> {
  const survey = await readAllPacks(repository, run);
  const streams: RecoveredStream[] = [];
  for (const [stream, candidates] of groupByStream(survey.candidates)) {
    streams.push(await recoverStream(repository, stream, candidates, survey, run));
  }
  await repository.adopt(run);
  return { packs: survey.packs.size, damagedPacks: survey.damaged, streams };
}

function groupByStream(candidates: readonly Candidate[]): Map<string, Candidate[]> {
  const groups = new Map<string, Candidate[]>();
  for (const candidate of candidates) {
    const group = groups.get(candidate.header.stream);
    if (group === undefined) groups.set(candidate.header.stream, [candidate]);
    else group.push(candidate);
  }
  return groups;
}

async function readPack(
  repository: Repository,
  pack: { name: PackName; versionId: string; size_bytes: number },
  run: Run,
): Promise<{ info: PackInfo; records: PackRecords }> {
  const { info, records } = await readPackEnd(repository.context, pack, run.signal);
  return { info, records: decodeRecords(records, info) };
}

async function readAllPacks(repository: Repository, run: Run): Promise<Survey> {
  const packs = new Map<PackName, PackRecord>();
  const damaged = new Set<PackName>();
  const last: { header: VersionHeader; packs: readonly PackName[] }[] = [];
  let bytes_done = 0;
  const call = run.signal === undefined ? {} : { signal: run.signal };
  for await (const { key, versionId, size_bytes } of repository.store.list(packsPrefix, call)) {
    const name = parsePackKey(key);
    if (name === undefined || packs.has(name)) continue;
    try {
      const { records } = await readPack(repository, { name, versionId, size_bytes }, run);
      packs.set(name, { name, versionId, size_bytes, run: records.run, firstPath: records.rows[0]?.path });
      damaged.delete(name);
      if (records.last !== undefined) {
        last.push({ header: records.last.header, packs: [...records.last.otherPacks, name] });
      }
    } catch (error) {
      if (!(error instanceof RrbackupError) || !['damaged', 'tampered'].includes(error.kind)) throw error;
      damaged.add(name);
    }
    bytes_done += size_bytes;
    run.onProgress?.({ phase: 'recover', files_done: packs.size, bytes_done, current: name });
  }
  return {
    packs,
    damaged: [...damaged],
    candidates: last.filter((candidate) => candidate.packs.every((name) => packs.has(name))),
  };
}

/**
 * The line of versions that the packs tell: from the newest back along the run ids. A run that reached its last pack but
 * not its commit has the same number as the one that came after it, and nobody's parent.
 */
function lineOf(candidates: readonly Candidate[]): Candidate[] {
  const line: Candidate[] = [];
  const newestFirst = [...candidates].sort(
    (a, b) => b.header.sequence - a.header.sequence || Number(b.header.finished_ns - a.header.finished_ns),
  );
  for (const candidate of newestFirst) {
    const successor = line[0]?.header;
    if (successor === undefined || candidate.header.sequence < successor.sequence - 1) {
      line.unshift(candidate);
    } else if (
      candidate.header.sequence === successor.sequence - 1 &&
      candidate.header.run === successor.parentRun
    ) {
      line.unshift(candidate);
    }
  }
  return line;
}

async function recoverStream(
  repository: Repository,
  stream: string,
  candidates: readonly Candidate[],
  survey: Survey,
  run: Run,
): Promise<RecoveredStream> {
  const line = lineOf(candidates);
  let parent = { sequence: 0, hash: '', versionId: '', run: '' };
  for await (const commit of repository.chain.commits(stream, undefined, run)) {
    const { sequence, run: itsRun } = commit.header;
    parent = { sequence, hash: commit.hash, versionId: commit.versionId, run: itsRun };
  }
  const intact = parent.sequence;
  const rebuilt: number[] = [];
  const lost: number[] = [];
  for (const candidate of line) {
    const { sequence, parentRun } = candidate.header;
    if (sequence <= intact) continue;
    if (sequence !== parent.sequence + 1 || parentRun !== parent.run) {
      lost.push(sequence);
      continue;
    }
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
  const { host, source } = line[0]!.header;
  return { host, source, intact, rebuilt, lost };
}

async function writeCommit(
  repository: Repository,
  header: VersionHeader,
  candidate: Candidate,
  survey: Survey,
  run: Run,
): Promise<{ hash: string; versionId: string }> {
  const writer = new CommitWriter({ ...repository.context, stream: header.stream });
  const packs = candidate.packs.map((name) => survey.packs.get(name)!);
  for (const pack of packs) await writer.addPack((await readPack(repository, pack, run)).info);
  const own = packs.filter((pack) => pack.run === header.run);
  for await (const row of mergeRows(repository, own, run)) await writer.addRow(row);
  return writer.publish(header, run);
}

/**
 * The rows of all packs of a run in path order. Each pack's rows are sorted; a pack is read when its first row's turn has
 * come, so that about as many packs are open at a time as the run had workers.
 */
async function* mergeRows(
  repository: Repository,
  packs: readonly PackRecord[],
  run: Run,
): AsyncGenerator<Row> {
  const waiting = packs
    .flatMap((pack) => (pack.firstPath === undefined ? [] : [{ pack, firstPath: pack.firstPath }]))
    .sort((a, b) => comparePaths(a.firstPath, b.firstPath));
  const open: { rows: readonly Row[]; next: number }[] = [];
  const nextOf = (from: { rows: readonly Row[]; next: number }) => from.rows[from.next]!;
  for (;;) {
    let least = open[0];
    for (const other of open) {
      if (comparePaths(nextOf(other).path, nextOf(least!).path) < 0) least = other;
    }
    const first = waiting[0];
    if (
      first !== undefined &&
      (least === undefined || comparePaths(first.firstPath, nextOf(least).path) < 0)
    ) {
      waiting.shift();
      open.push({ rows: (await readPack(repository, first.pack, run)).records.rows, next: 0 });
      continue;
    }
    if (least === undefined) return;
    yield nextOf(least);
    least.next++;
    if (least.next === least.rows.length) open.splice(open.indexOf(least), 1);
  }
}
