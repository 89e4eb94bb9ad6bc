// Brings commits into the tables: many rows to a transaction, so that neither a first backup of millions of files nor a
// thousand small commits is slow, and memory stays bounded. What a commit does to the tables is commit-work.ts.

import { setImmediate } from 'node:timers/promises';
import { ByteReader, ByteWriter } from '../bytes/cursor.js';
import { randomBytes } from '../crypto/index.js';
import { interrupted } from '../errors/index.js';
import { toStoredRows, type BatchShape, type StoredRows } from '../manifest/stored-rows.js';
import type { Commit } from '../manifest/types.js';
import { encodePackInfo, scanPackInfo, type FlatPackInfo } from '../pack/table.js';
import type { PackInfo } from '../pack/types.js';
import type { Run } from '../progress.js';
import { CommitWork } from './commit-work.js';
import { mostChunksAtOnce } from './chunk-table.js';
import type { CatalogDatabase } from './database.js';
import type { PackTable } from './packs.js';
import {
  countersKey,
  sealedCounters,
  sealedStream,
  streamKey,
  toCounters,
  type Counters,
  type StreamRecord,
} from './records.js';
import { isIngested, isPending, readStream, type Beginning } from './sequence.js';
import { stateRoom_bytes } from './state.js';
import { undoPending } from './undo.js';

/** A transaction is written when so many rows and packs, or rows and packs of so much weight, have come together. */
export const defaultBatch = 16_384;
const weight_bytes = 8 << 20;
const chunkWeight_bytes = weight_bytes / mostChunksAtOnce;
/** Rows that are decoded at a time. */
const piece = 4096;

export class Ingestion {
  readonly #database: CatalogDatabase;
  readonly #packs: PackTable;
  readonly #run: Run;
  readonly #batch: number;
  readonly #writer = randomBytes(8).toString('hex');
  #queue: (() => void)[] = [];
  #queuedRows = 0;
  #queued_bytes = 0;
  /** How many steps at the front of the queue end with a whole commit. */
  #whole = 0;
  #hasFailed = false;
  #counters!: Counters;
  #work: CommitWork | undefined;
  #rows = 0;
  /** How many there will be at the end of the commit at hand, as far as it says itself. */
  #expectedRows = 0;

  constructor(database: CatalogDatabase, packs: PackTable, run: Run, batch: number) {
    this.#database = database;
    this.#packs = packs;
    this.#run = run;
    this.#batch = batch;
  }

  /** Queues a commit; it is in the catalog for sure only after `finish`. False: it was there already. */
  async add(commit: Commit, isBase: boolean, lacksPast = false): Promise<boolean> {
    const { header, hash } = commit;
    const known = readStream(this.#database.tables, header.stream);
    if (known !== undefined && isIngested(this.#database.tables, known, header, hash)) return false;
    this.#expectedRows = this.#rows + rowsOf(commit, isBase);
    const work = await this.begin(header, hash, isBase, lacksPast);
    const { shape } = this;
    for await (const rows of commit.storedRows?.(shape) ?? toStoredRows(commit.rows(), shape))
      await this.addRows(work, rows);
    await this.end(work, commit);
    return true;
  }

  /** How `addRows` wants its rows. */
  get shape(): BatchShape {
    return { rows: Math.min(this.#batch, piece), room_bytes: stateRoom_bytes };
  }

  /** `hash`: undefined where the version is not committed yet. */
  async begin(
    version: Beginning,
    hash: string | undefined,
    isBase: boolean,
    lacksPast: boolean,
  ): Promise<CommitWork> {
    await this.#undoOthers(version);
    const { tables } = this.#database;
    const work = new CommitWork(tables, version, hash, () => this.#counters, this.#writer);
    this.#push(1, 0, () => {
      this.#work = work;
      work.begin(isBase, lacksPast);
    });
    return work;
  }

  /** A run that never came to its end may have left very many rows: they are taken back in transactions of their own. */
  async #undoOthers(version: Beginning): Promise<void> {
    const { tables } = this.#database;
    const left = (): StreamRecord | undefined => {
      const known = readStream(tables, version.stream);
      // Of an earlier version the end may be in the queue, or on its way in another process.
      const isInPlace = known?.pending?.sequence === version.sequence;
      return isInPlace && !isPending(known, version) ? known : undefined;
    };
    let steps: Generator<void, void, undefined> | undefined;
    while (left() !== undefined) {
      this.#database.transaction(() => {
        const known = left();
        if (known === undefined) return;
        steps ??= undoPending(tables, known, known.pending!.sequence);
        if (steps.next().done !== true) return;
        tables.streams.put(streamKey(known.id), sealedStream({ ...known, pending: undefined }));
      });
      await setImmediate();
    }
  }

  /** Returns whether what was queued has been written. */
  async addRows(work: CommitWork, rows: StoredRows): Promise<boolean> {
    this.#rows += rows.count;
    const isWritten = this.#push(rows.count, rows.bytes.length, () => {
      work.rows(rows);
    });
    // Others in this thread have something to do as well: a mount's readers, a backup's workers.
    if (isWritten) await setImmediate();
    return isWritten;
  }

  /** All rows are there. */
  async end(work: CommitWork, commit: Commit): Promise<void> {
    const { header, hash, versionId, parts, size_bytes } = commit;
    let stored_bytes = parts.reduce((sum, part) => sum + part.size_bytes, size_bytes ?? 0);
    // Packs last, so that no chunk counts as stored because of a commit that turned out not to be readable.
    for await (const pack of commit.storedPacks?.() ?? toFlat(commit.packs())) {
      stored_bytes += pack.size_bytes;
      this.#push(1, weightOf(pack), () => {
        this.#packs.add(pack, this.#counters);
      });
    }
    // What stands in for a lost log entry names packs of other versions, too.
    if (size_bytes === undefined) stored_bytes = header.statistics.storedBytes;
    this.#push(1, 0, () => {
      work.end({ header, hash, versionId, stored_bytes });
      this.#work = undefined;
    });
    this.#whole = this.#queue.length;
  }

  /** Writes what is queued. */
  finish(): void {
    this.#flush();
  }

  /** After a commit that could not be read to its end: writes the whole ones before it. */
  finishWhole(): void {
    if (this.#hasFailed) return;
    this.#queue.length = this.#whole;
    this.#flush();
  }

  /** Returns whether what was queued has been written. */
  #push(rows: number, weight: number, step: () => void): boolean {
    this.#queue.push(step);
    this.#queuedRows += rows;
    this.#queued_bytes += weight;
    const isFull = this.#queuedRows >= this.#batch || this.#queued_bytes >= weight_bytes;
    if (isFull) this.#flush();
    return isFull;
  }

  #flush(): void {
    if (this.#run.signal?.aborted === true) throw interrupted();
    if (this.#queue.length === 0) return;
    const { tables } = this.#database;
    this.#hasFailed = true;
    this.#database.transaction(() => {
      this.#counters = toCounters(tables.meta.get(countersKey));
      this.#work?.resume();
      for (const step of this.#queue) step();
      tables.meta.put(countersKey, sealedCounters(this.#counters));
    });
    this.#hasFailed = false;
    this.#queue = [];
    this.#queuedRows = 0;
    this.#queued_bytes = 0;
    this.#whole = 0;
    this.#run.onProgress?.({
      phase: 'catalog',
      files_done: this.#rows,
      files_total: Math.max(this.#rows, this.#expectedRows),
      bytes_done: 0,
    });
  }
}

/** Packs may weigh more: chunks cost the less the more of them come together. */
const weightOf = ({ blocks, chunks }: FlatPackInfo): number =>
  512 + blocks.length + (chunks.length / 2) * chunkWeight_bytes;

async function* toFlat(packs: AsyncIterable<PackInfo>): AsyncGenerator<FlatPackInfo> {
  for await (const pack of packs) {
    const writer = new ByteWriter();
    encodePackInfo(writer, pack);
    yield scanPackInfo(new ByteReader(writer.view(), 'a pack of a version'), 'a pack of a version');
  }
}

function rowsOf({ header: { statistics } }: Commit, isBase: boolean): number {
  const { files, directories, others, added, changed, removed } = statistics;
  return isBase ? files + directories + others : added + changed + removed;
}
