// Rebuilds every version's manifest from the packs alone. Each pack carries the rows that were written for its commit; the
// last pack of a run carries the commit's header and names the others. New log entries are written where they are missing;
// nothing is overwritten and nothing deleted. The new chain is a new one (its hashes differ), so this machine's catalog and
// pins are taken anew; other machines accept it with init --adopt.

import { RrbackupError } from '../errors/index.js';
import { comparePaths } from '../bytes/path.js';
import { CommitWriter } from '../manifest/commit.js';
import { sha256 } from '../crypto/index.js';
import { type PackRecords, decodeRecords } from '../manifest/records.js';
import type { Row, VersionHeader } from '../manifest/types.js';
import { packKey, packsPrefix, parsePackKey, readPackEnd } from '../pack/index.js';
import type { PackInfo, PackName } from '../pack/types.js';
import type { Run } from '../progress.js';
import { isGap } from '../repository/alarm.js';
import type { Repository } from '../repository/index.js';
import type { StoredObject } from '../store/types.js';
import { type Candidate, bestLine } from './line.js';

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

/** What the first pass keeps of a pack. */
interface PackRecord {
  readonly name: PackName;
  readonly versionId: string;
  readonly size_bytes: number;
  readonly run: string;
  readonly part: number;
  readonly firstPath: Uint8Array | undefined;
  readonly last: PackRecords['last'];
}

interface Survey {
  readonly packs: ReadonlyMap<PackName, PackRecord>;
  readonly damaged: readonly PackName[];
}

export async function recover(repository: Repository, run: Run = {}): Promise<RecoverResult> {
  const survey = await readAllPacks(repository, run);
  const told = versionsTold(survey);
  const rebuilt = new Map<string, number[]>();
  for (const [stream, candidates] of told) {
    const whole = candidates.filter((candidate) => isWhole(candidate, survey));
    rebuilt.set(stream, await recoverStream(repository, stream, whole, survey, run));
    // From here on this machine knows what is under way: leftovers of before are not asked about again.
    const { state } = repository;
    if (state.journal(stream) === undefined) state.journalClear(stream);
  }
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
  let bytes_done = 0;
  const call = run.signal === undefined ? {} : { signal: run.signal };
  for await (const object of repository.store.list(packsPrefix, call)) {
    const { key, versionId, size_bytes } = object;
    const name = parsePackKey(key);
    if (name === undefined) continue;
    try {
      const { records } = await readPack(repository, { name, versionId, size_bytes }, run);
      // Of several objects under one name, each of them a pack of ours, only one has the bytes of the name.
      if (packs.has(name) && !(await hasBytesOfName(repository, name, object, run))) continue;
      const { run: itsRun, part, last } = records;
      packs.set(name, {
        name,
        versionId,
        size_bytes,
        run: itsRun,
        part,
        firstPath: records.rows[0]?.path,
        last,
      });
    } catch (error) {
      const isOfThePack =
        error instanceof RrbackupError && ['damaged', 'tampered', 'not_found'].includes(error.kind);
      if (!isOfThePack) throw error;
      damaged.add(name);
    }
    bytes_done += size_bytes;
    run.onProgress?.({ phase: 'recover', files_done: packs.size, bytes_done, current: name });
  }
  return { packs, damaged: [...damaged].filter((name) => !packs.has(name)) };
}

async function hasBytesOfName(
  { store }: Repository,
  name: PackName,
  { versionId }: StoredObject,
  { signal }: Run,
): Promise<boolean> {
  const call = signal === undefined ? {} : { signal };
  const bytes = await store.get(packKey(name), { ...call, ...(versionId === '' ? {} : { versionId }) });
  return sha256(bytes).toString('hex') === name;
}

/** By stream, what the last packs of runs say; whether all of it is there is not asked. */
function versionsTold({ packs }: Survey): Map<string, Candidate[]> {
  const told = new Map<string, Candidate[]>();
  for (const { name, last } of packs.values()) {
    if (last === undefined) continue;
    const { header, otherPacks } = last;
    const candidate = { header, packs: [...otherPacks, name] };
    told.set(header.stream, [...(told.get(header.stream) ?? []), candidate]);
  }
  return told;
}

/** Whether every pack is there and every part of the run's rows is among them: none is another one in disguise. */
function isWhole({ header, packs: names }: Candidate, { packs }: Survey): boolean {
  if (!names.every((name) => packs.has(name))) return false;
  const own = ownPacks(header, names, packs);
  return (
    new Set(own.map(({ part }) => part)).size === own.length && own.every(({ part }) => part < own.length)
  );
}

/** Without those that the run adopted: their rows are another run's. */
function ownPacks(header: VersionHeader, names: readonly PackName[], packs: Survey['packs']): PackRecord[] {
  return names.map((name) => packs.get(name)!).filter(({ run }) => run === header.run);
}

/** Returns the versions whose log entries were written. */
async function recoverStream(
  repository: Repository,
  stream: string,
  candidates: readonly Candidate[],
  survey: Survey,
  run: Run,
): Promise<number[]> {
  let parent = { sequence: 0, hash: '', versionId: '', run: '' };
  try {
    for await (const { header, hash, versionId } of repository.chain.commits(stream, undefined, run))
      parent = { sequence: header.sequence, hash, versionId, run: header.run };
  } catch (error) {
    // What stands behind the gap names a parent that can never be made again: nothing fits between.
    if (isGap(error)) return [];
    throw error;
  }
  const rebuilt: number[] = [];
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
  const packs = candidate.packs.map((name) => survey.packs.get(name)!);
  for (const pack of packs) await writer.addPack((await readPack(repository, pack, run)).info);
  const own = ownPacks(header, candidate.packs, survey.packs);
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
