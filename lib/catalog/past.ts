// Gives a stream that begins with a checkpoint the versions before it, from a second catalog that has read the log from its
// start (Repository.completePast). Row numbers that were given out stay as they are; until the last transaction no reader sees
// any of it, and every step may be repeated: after a crash, or with another process at the same work, it leads to the same.

import { setImmediate } from 'node:timers/promises';
import { ByteWriter } from '../bytes/cursor.js';
import { interrupted, RrbackupError } from '../errors/index.js';
import type { Run } from '../progress.js';
import type { CatalogDatabase, Tables } from './database.js';
import { catalogDamaged } from './failure.js';
import { rowOfLink } from './links.js';
import { stateAt } from './lookup.js';
import { PackTable } from './packs.js';
import {
  childKey,
  countersKey,
  directoryKey,
  numberKey,
  sealedCounters,
  sealedDirectory,
  sealedDirectoryPlace,
  sealedStream,
  streamKey,
  toCounters,
  toDirectory,
  toDirectoryPlace,
  toPack,
  toStream,
  toTouched,
  toVersion,
  writeTouched,
  type Counters,
  type StreamRecord,
} from './records.js';
import {
  above,
  directoryOf,
  directoryStart,
  entryBytesOf,
  fromOf,
  nameOfKey,
  ownRowOf,
  stateKey,
  toOf,
  withNumbers,
  withStart,
} from './state.js';
import { readStream } from './sequence.js';
import { checksum_bytes } from './table.js';
import type { DirectoryId } from './types.js';
import { XattrKinds } from './xattr-kinds.js';

export interface PastOptions {
  readonly database: CatalogDatabase;
  readonly packs: PackTable;
  /** Of the second catalog. */
  readonly past: CatalogDatabase;
  readonly stream: string;
  readonly run: Run;
  /** How much is written in one transaction, in rows. */
  readonly batch: number;
}

/** What is done in one transaction at the least, and about how many rows that writes. */
interface Step {
  readonly weight: number;
  act(): void;
}

/** A pack has many chunks. */
const packWeight = 256;
const keptDirectories = 65_536;

/**
 * True: all versions are there. False: the second catalog has not read up to where the stream begins. Throws 'catalog.forked'
 * (tampered), 'catalog.damaged' if the checkpoint is not what the log says, and 'interrupted'.
 */
export async function takePast(options: PastOptions): Promise<boolean> {
  const { database, past, stream, run, batch } = options;
  const record = readStream(database.tables, stream);
  if (record?.lacksPast !== true) return true;
  const source = readStream(past.tables, stream);
  const base = source && past.tables.versions.get(numberKey(source.number, record.firstSequence));
  if (base === undefined || source!.head < record.firstSequence) return false;
  const here = database.tables.versions.get(numberKey(record.number, record.firstSequence));
  if (here === undefined || toVersion(here).hash !== toVersion(base).hash) throw forked(record);

  const work = new PastWork(options, record, source!);
  let steps: Step[] = [];
  let weight = 0;
  let written = 0;
  const flush = async (): Promise<boolean> => {
    if (run.signal?.aborted === true) throw interrupted();
    const goesOn = work.write(steps);
    written += weight;
    run.onProgress?.({ phase: 'catalog', files_done: written, bytes_done: 0 });
    steps = [];
    weight = 0;
    // Others in this thread have something to do as well.
    await setImmediate();
    return goesOn;
  };
  for (const step of work.steps()) {
    steps.push(step);
    weight += step.weight;
    if (weight >= batch && !(await flush())) return true;
  }
  if (await flush()) work.finish();
  return true;
}

class PastWork {
  readonly #database: CatalogDatabase;
  readonly #tables: Tables;
  readonly #past: Tables;
  readonly #packs: PackTable;
  readonly #pastPacks: PackTable;
  /** The first version that is there already, and the stream's number here and there. */
  readonly #base: number;
  readonly #id: string;
  readonly #number: number;
  readonly #source: StreamRecord;
  /** Directories there, and what they are here. */
  readonly #directories = new Map<DirectoryId, DirectoryId>();
  #counters!: Counters;

  constructor({ database, packs, past }: PastOptions, record: StreamRecord, source: StreamRecord) {
    this.#database = database;
    this.#tables = database.tables;
    this.#past = past.tables;
    this.#packs = packs;
    this.#pastPacks = new PackTable(past.tables);
    this.#base = record.firstSequence;
    this.#id = record.id;
    this.#number = record.number;
    this.#source = source;
  }

  *steps(): Generator<Step, void, undefined> {
    yield* this.#packSteps();
    yield* this.#stateSteps();
    yield* this.#touchedSteps();
  }

  /** In one transaction. False: another process has finished meanwhile. */
  write(steps: readonly Step[]): boolean {
    const { meta } = this.#tables;
    return this.#database.transaction(() => {
      const record = this.#record();
      if (!record.lacksPast) return false;
      this.#disturb(record);
      this.#counters = toCounters(meta.get(countersKey));
      for (const step of steps) step.act();
      meta.put(countersKey, sealedCounters(this.#counters));
      return true;
    });
  }

  /** The last transaction: all of it shows. */
  finish(): void {
    this.#database.transaction(() => {
      const record = this.#record();
      if (!record.lacksPast) return;
      const { streams, versions, meta } = this.#tables;
      const { number, firstSequence } = this.#source;
      const rows = this.#past.versions.scan(numberKey(number, 0), numberKey(number, this.#base));
      for (const { key, value } of rows)
        versions.put(
          numberKey(this.#number, key.readUInt32BE(4)),
          Buffer.concat([Buffer.alloc(checksum_bytes), value]),
        );
      streams.put(streamKey(this.#id), sealedStream({ ...record, firstSequence, lacksPast: false }));
      const all = Array.from(streams.scan(Buffer.of(0), Buffer.of(0xff)));
      if (!all.some(({ key, value }) => toStream(key.toString('latin1'), value).lacksPast))
        new XattrKinds(meta).complete(new XattrKinds(this.#past.meta));
    });
  }

  #record(): StreamRecord {
    const record = readStream(this.#tables, this.#id);
    if (record === undefined) throw catalogDamaged('a stream has gone while its older versions were read in');
    return record;
  }

  /** Whoever takes in a commit right now may believe that directories of its own making are empty: no longer. */
  #disturb(record: StreamRecord): void {
    if (record.pending === undefined || record.pending.writer === '') return;
    const pending = { ...record.pending, writer: '' };
    this.#tables.streams.put(streamKey(this.#id), sealedStream({ ...record, pending }));
  }

  *#packSteps(): Generator<Step, void, undefined> {
    for (const { key, value } of this.#past.packs.scan(numberKey(0), numberKey(0xffffffff))) {
      const { name } = toPack(value);
      if (this.#packs.numberOf(name) !== undefined) continue;
      const number = key.readUInt32BE(0);
      yield {
        weight: packWeight,
        act: () => {
          this.#packs.add(this.#pastPacks.flatInfo(number), this.#counters);
        },
      };
    }
  }

  *#stateSteps(): Generator<Step, void, undefined> {
    const left: DirectoryId[] = [above];
    for (let directory = left.pop(); directory !== undefined; directory = left.pop()) {
      const start = directory === above ? childKey(above, Buffer.from(this.#id, 'latin1')) : undefined;
      yield* this.#directorySteps(directory);
      const children = this.#past.children.scan(
        start ?? directoryStart(directory),
        start ? Buffer.concat([start, Buffer.of(0)]) : directoryStart(directory + 1),
      );
      for (const { value } of children) left.push(toDirectory(value));
    }
  }

  *#directorySteps(directory: DirectoryId): Generator<Step, void, undefined> {
    const root = Buffer.from(this.#id, 'latin1');
    const isAbove = directory === above;
    let name: Buffer | undefined;
    let states: Buffer[] = [];
    const step = (of: Buffer, all: readonly Buffer[]): Step => ({
      weight: all.length,
      act: () => {
        this.#takeName(directory, of, all);
      },
    });
    const pairs = this.#past.nodes.scan(
      isAbove ? stateKey(above, root) : directoryStart(directory),
      isAbove ? Buffer.concat([stateKey(above, root, 0), Buffer.of(0)]) : directoryStart(directory + 1),
    );
    // All states of a name are neighbours, the newest first.
    for (const { key, value } of pairs) {
      const next = nameOfKey(key);
      if (name === undefined || !next.equals(name)) {
        if (name !== undefined && states.length > 0) yield step(name, states);
        name = Buffer.from(next);
        states = [];
      }
      if (fromOf(value) < this.#base) states.push(value);
    }
    if (name !== undefined && states.length > 0) yield step(name, states);
  }

  /** `states`: those that began before the base, newest first. */
  #takeName(from: DirectoryId, name: Buffer, states: readonly Buffer[]): void {
    const directory = this.#here(from);
    const [latest, ...older] = states;
    if (toOf(latest!) <= this.#base) {
      for (const state of states) this.#insert(directory, name, state);
      return;
    }
    this.#extend(directory, name, latest!);
    for (const state of older) this.#insert(directory, name, state);
  }

  /** A state that still held at the base is there already, only not from its beginning. */
  #extend(directory: DirectoryId, name: Buffer, state: Buffer): void {
    const { nodes, ids } = this.#tables;
    const newest = nodes.get(stateKey(directory, name));
    const base = stateAt(nodes, directory, name, this.#base, newest);
    if (base === undefined || Buffer.compare(entryBytesOf(base), entryBytesOf(state)) !== 0)
      throw catalogDamaged('the checkpoint that it begins with is not what the log says');
    const from = fromOf(state);
    if (fromOf(base) === from) return;
    const isNewest = fromOf(newest!) === fromOf(base);
    if (!isNewest) nodes.remove(stateKey(directory, name, fromOf(base)));
    nodes.put(stateKey(directory, name, isNewest ? undefined : from), withStart(base, from));
    ids.put(ownRowOf(base), directory, name, from);
  }

  #insert(directory: DirectoryId, name: Buffer, state: Buffer): void {
    const { nodes, ids } = this.#tables;
    const from = fromOf(state);
    const newest = nodes.get(stateKey(directory, name));
    const olderKey = stateKey(directory, name, from);
    if (newest !== undefined && (fromOf(newest) === from || nodes.has(olderKey))) return;
    const own = this.#counters.row++;
    ids.put(own, directory, name, from);
    const behind = directoryOf(state);
    const row = rowOfLink(this.#tables, this.#number, state, own);
    const numbered = withNumbers(state, row, behind === 0 ? own : this.#here(behind));
    nodes.put(newest === undefined ? stateKey(directory, name) : olderKey, numbered);
  }

  *#touchedSteps(): Generator<Step, void, undefined> {
    const { number } = this.#source;
    const pages = this.#past.touched.scan(numberKey(number, 0), numberKey(number, this.#base + 1));
    for (const { key, value } of pages) {
      const names = Array.from(toTouched(value));
      const here = numberKey(this.#number, key.readUInt32BE(4), key.readUInt32BE(8));
      yield {
        weight: names.length,
        act: () => {
          const writer = new ByteWriter(4096).u32(0);
          for (const { directory, name } of names) writeTouched(writer, this.#here(directory), name);
          this.#tables.touched.put(here, writer.view());
        },
      };
    }
  }

  /** What a directory of the second catalog is in this one; made where it is none yet. */
  #here(directory: DirectoryId): DirectoryId {
    if (directory === above) return above;
    const known = this.#directories.get(directory);
    if (known !== undefined) return known;
    const place = this.#past.directories.get(directoryKey(directory));
    if (place === undefined) throw catalogDamaged(`directory ${directory} of older versions is missing`);
    const { parent: parentThere, name } = toDirectoryPlace(place);
    const parent = this.#here(parentThere);
    const { children, directories } = this.#tables;
    const found = children.get(childKey(parent, name));
    const here = found === undefined ? this.#counters.directory++ : toDirectory(found);
    if (found === undefined) {
      children.put(childKey(parent, name), sealedDirectory(here));
      directories.put(directoryKey(here), sealedDirectoryPlace({ stream: this.#number, parent, name }));
    }
    if (this.#directories.size >= keptDirectories) this.#directories.clear();
    this.#directories.set(directory, here);
    return here;
  }
}

function forked({ source, firstSequence }: StreamRecord): RrbackupError {
  return new RrbackupError({
    code: 'catalog.forked',
    kind: 'tampered',
    message: `version ${firstSequence} of '${source}' is not the one that this machine has read before: its log entry is another`,
    guidance: 'find out who wrote to the repository; delete the local catalog to accept what is stored now',
  });
}
