// What the packs of a repository tell, all of them together: which versions there were, and their rows. Reads the end of every
// pack; never writes.

import { comparePaths } from '../bytes/path.js';
import { sha256 } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import { decodeRecords, type PackRecords, type StoredRecords } from '../manifest/records.js';
import type { Row } from '../manifest/types.js';
import { packKey, packsPrefix, parsePackKey, readPackEnd } from '../pack/index.js';
import type { PackInfo, PackName } from '../pack/types.js';
import type { Run } from '../progress.js';
import type { Repository } from '../repository/index.js';
import type { StoredObject } from '../store/types.js';
import type { Candidate } from './line.js';

/** What the first pass keeps of a pack. */
export interface PackRecord {
  readonly name: PackName;
  readonly versionId: string;
  readonly size_bytes: number;
  readonly run: string;
  readonly part: number;
  readonly rowCount: number;
  readonly firstPath: Uint8Array | undefined;
  readonly last: PackRecords['last'];
}

export interface Survey {
  readonly packs: ReadonlyMap<PackName, PackRecord>;
  readonly damaged: readonly PackName[];
}

export async function readPack(
  repository: Repository,
  pack: { name: PackName; versionId: string; size_bytes: number },
  run: Run,
): Promise<{ info: PackInfo; records: StoredRecords }> {
  const { info, records } = await readPackEnd(repository.context, pack, run.signal);
  return { info, records: decodeRecords(records, info) };
}

export async function readAllPacks(repository: Repository, run: Run): Promise<Survey> {
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
      const { run: itsRun, part, rowCount, firstPath, last } = records;
      packs.set(name, { name, versionId, size_bytes, run: itsRun, part, rowCount, firstPath, last });
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
  { versionId, size_bytes }: StoredObject,
  { signal }: Run,
): Promise<boolean> {
  const call = { ...(signal && { signal }), most_bytes: size_bytes };
  const bytes = await store.get(packKey(name), { ...call, ...(versionId === '' ? {} : { versionId }) });
  return sha256(bytes).toString('hex') === name;
}

/** By stream, what the last packs of runs say; whether all of it is there is not asked. */
export function versionsTold({ packs }: Survey): Map<string, Candidate[]> {
  const told = new Map<string, Candidate[]>();
  for (const { name, last } of packs.values()) {
    if (last === undefined) continue;
    const { header, otherPacks } = last;
    const candidate = { header, packs: [...otherPacks, name] };
    told.set(header.stream, [...(told.get(header.stream) ?? []), candidate]);
  }
  return told;
}

/**
 * Whether no row is lost: every pack is there, and every part of the run's rows among them, none another one in disguise; or
 * packs are lost, but there are as many rows as the version's header says.
 */
export function hasAllRows(candidate: Candidate, survey: Survey): boolean {
  const { run, statistics } = candidate.header;
  const left = packsLeft(candidate, survey);
  const own = packsOfRun(left, run);
  if (left.length === candidate.packs.length && own.every(({ part }) => part < own.length)) return true;
  const rows = own.reduce((sum, pack) => sum + pack.rowCount, 0);
  return rows === statistics.added + statistics.changed + statistics.removed;
}

/** Those that are there, and are not a second copy of another pack of the version under the name of one that is lost. */
function packsLeft({ header: { run }, packs: names }: Candidate, { packs }: Survey): PackRecord[] {
  const parts = new Set<number>();
  return names
    .flatMap((name) => packs.get(name) ?? [])
    .filter((pack) => pack.run !== run || (!parts.has(pack.part) && parts.add(pack.part)));
}

/** Without those that the run adopted: their rows are another run's. */
function packsOfRun(packs: Iterable<PackRecord>, run: string): PackRecord[] {
  return [...packs].filter((pack) => pack.run === run);
}

/**
 * The rows of all packs of a run in path order. Each pack's rows are sorted; a pack is read when its first row's turn has
 * come, so that about as many packs are open at a time as the run had workers.
 */
export async function* mergeRows(
  repository: Repository,
  packs: readonly PackRecord[],
  run: Run,
): AsyncGenerator<Row> {
  const waiting = packs
    .flatMap((pack) => (pack.firstPath === undefined ? [] : [{ pack, firstPath: pack.firstPath }]))
    .sort((a, b) => comparePaths(a.firstPath, b.firstPath));
  const open: { row: Row; readonly others: Generator<Row, undefined> }[] = [];
  for (;;) {
    let least = open[0];
    for (const other of open) {
      if (comparePaths(other.row.path, least!.row.path) < 0) least = other;
    }
    const first = waiting[0];
    if (first !== undefined && (least === undefined || comparePaths(first.firstPath, least.row.path) < 0)) {
      waiting.shift();
      const others = (await readPack(repository, first.pack, run)).records.rows();
      const row = others.next().value;
      if (row !== undefined) open.push({ row, others });
      continue;
    }
    if (least === undefined) return;
    yield least.row;
    const next = least.others.next().value;
    if (next !== undefined) least.row = next;
    else open.splice(open.indexOf(least), 1);
  }
}

/** What of a version is stored: every pack that it added, with its table, and its rows in path order. */
export interface VersionContents {
  packs(): AsyncGenerator<PackInfo>;
  rows(): AsyncGenerator<Row>;
}

/** A version as if its log entry were there, as far as its packs are. */
export function versionContents(
  repository: Repository,
  candidate: Candidate,
  survey: Survey,
  run: Run,
): VersionContents {
  return contentsOf(repository, packsLeft(candidate, survey), candidate.header.run, run);
}

/** What is left of a run whose last pack is lost. */
export function headlessContents(
  repository: Repository,
  id: string,
  survey: Survey,
  run: Run,
): VersionContents {
  const parts = new Map(packsOfRun(survey.packs.values(), id).map((pack) => [pack.part, pack]));
  return contentsOf(repository, [...parts.values()], id, run);
}

function contentsOf(
  repository: Repository,
  packs: readonly PackRecord[],
  id: string,
  run: Run,
): VersionContents {
  return {
    async *packs() {
      for (const pack of packs) yield (await readPack(repository, pack, run)).info;
    },
    rows: () => mergeRows(repository, packsOfRun(packs, id), run),
  };
}
