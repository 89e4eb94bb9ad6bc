// Answers the questions of CatalogReader by range reads of the tables. Works in any thread; never writes, never asks the
// store. Keeps no cursor open between two calls, so that nothing pins old pages.

import { existsSync } from 'node:fs';

import { splitPath } from '../bytes/path.js';
import type { ChunkId, ChunkPlace } from '../pack/types.js';
import { compareVersions } from './changes.js';
import { openDatabase, type CatalogDatabase } from './database.js';
import { catalogMissing } from './failure.js';
import { newestStates, olderState, stateAt } from './lookup.js';
import { PackTable } from './packs.js';
import {
  childKey,
  directoryKey,
  gapKey,
  numberKey,
  streamKey,
  toDirectory,
  toDirectoryPlace,
  toGap,
  toStream,
  toVersion,
  type StreamRecord,
} from './records.js';
import { Rows } from './rows.js';
import {
  above,
  afterName,
  directoryOf,
  directoryStart,
  fromOf,
  nameOfKey,
  stateKey,
  stillHolds,
  toCatalogEntry,
  toOf,
} from './state.js';
import { Stretch } from './stretch.js';
import { checksum_bytes } from './table.js';
import type {
  CatalogEntry,
  CatalogReader,
  CatalogRow,
  Change,
  DirectoryCursor,
  DirectoryId,
  EntryExtras,
  EntryPlace,
  StreamInfo,
  VersionInfo,
} from './types.js';

/** Most directories have no more entries. */
const firstRows = 64;

export class Reader implements CatalogReader {
  readonly repositoryId: string;
  protected readonly database: CatalogDatabase;
  protected readonly packTable: PackTable;
  protected readonly rows: Rows;

  constructor(database: CatalogDatabase, repositoryId: string) {
    this.database = database;
    this.repositoryId = repositoryId;
    this.packTable = new PackTable(database.tables);
    this.rows = new Rows(database.tables);
  }

  streams(): StreamInfo[] {
    const records: StreamInfo[] = [];
    for (const { key, value } of this.database.tables.streams.scan(Buffer.of(0), Buffer.of(0xff))) {
      const record = toStream(key.toString('latin1'), value);
      if (record.head > 0) records.push(this.#toStreamInfo(record));
    }
    return records;
  }

  stream(id: string): StreamInfo | undefined {
    const record = this.streamRecord(id);
    return record === undefined || record.head === 0 ? undefined : this.#toStreamInfo(record);
  }

  versions(stream: string): VersionInfo[] {
    const record = this.streamRecord(stream);
    if (record === undefined) return [];
    const start = numberKey(record.number, 0);
    const end = numberKey(record.number, record.head + 1);
    return Array.from(this.database.tables.versions.scan(start, end), ({ value }) => toVersion(value));
  }

  version(stream: string, sequence: number): VersionInfo | undefined {
    const record = this.streamRecord(stream);
    if (record === undefined || sequence > record.head) return undefined;
    const value = this.database.tables.versions.get(numberKey(record.number, sequence));
    return value && toVersion(value);
  }

  isReadable(directory: DirectoryId, sequence: number): boolean {
    return this.rows.isReadable(directory, sequence);
  }

  root(stream: string, sequence: number): CatalogEntry | undefined {
    const record = this.streamRecord(stream);
    if (record === undefined || !this.#isKnown(record, sequence)) return undefined;
    return this.lookup(above, Buffer.from(stream, 'latin1'), sequence);
  }

  lookup(directory: DirectoryId, name: Uint8Array, sequence: number): CatalogEntry | undefined {
    const state = stateAt(this.database.tables.nodes, directory, name, sequence);
    return state && toCatalogEntry(Buffer.from(name), state);
  }

  lookupRow(directory: DirectoryId, name: Uint8Array, sequence: number): CatalogRow | undefined {
    return this.rows.lookup(directory, name, sequence);
  }

  visitRows(
    directory: DirectoryId,
    sequence: number,
    position: number,
    expected: number,
    visit: (row: CatalogRow) => boolean,
  ): void {
    this.rows.visit(directory, sequence, position, expected, visit);
  }

  cursor(directory: DirectoryId, sequence: number, after?: Uint8Array): DirectoryCursor {
    const start = after === undefined ? directoryStart(directory) : afterName(directory, after);
    return this.rows.cursor(directory, sequence, start, firstRows);
  }

  *list(directory: DirectoryId, sequence: number, after?: Uint8Array): IterableIterator<CatalogEntry> {
    const start = after === undefined ? directoryStart(directory) : afterName(directory, after);
    for (const { name, state } of this.#newestStates(directory, start)) {
      const held = stateAt(this.database.tables.nodes, directory, name, sequence, state);
      if (held !== undefined) yield toCatalogEntry(name, held);
    }
  }

  *#newestStates(
    directory: DirectoryId,
    start: Buffer,
  ): Generator<{ name: Buffer; state: Buffer }, void, undefined> {
    let from: Buffer | undefined = start;
    for (let limit = 16; from !== undefined; limit = Math.min(limit * 2, 512)) {
      // A stretch of its own for each page, because anything may be read until the next one.
      const found = new Stretch();
      from = newestStates(this.database.tables.nodes, directory, from, limit, found);
      for (let row = 0; row < found.rows; row++)
        yield { name: nameOfKey(found.key(row)), state: found.stored(row).subarray(checksum_bytes) };
    }
  }

  find(stream: string, sequence: number, path: Uint8Array): CatalogEntry | undefined {
    const record = this.streamRecord(stream);
    if (record === undefined || !this.#isKnown(record, sequence)) return undefined;
    const place = this.#place(stream, path);
    return place && this.lookup(place.directory, place.name, sequence);
  }

  /** Parent directory and name of a path. What lies below a directory never outlives it, so no ancestor needs a look. */
  #place(stream: string, path: Uint8Array): { directory: DirectoryId; name: Buffer } | undefined {
    let directory: DirectoryId = above;
    let name: Buffer = Buffer.from(stream, 'latin1');
    for (const next of splitPath(path)) {
      const below = this.childDirectory(directory, name);
      if (below === undefined) return undefined;
      directory = below;
      name = next;
    }
    return { directory, name };
  }

  history(stream: string, path: Uint8Array): CatalogEntry[] {
    const record = this.streamRecord(stream);
    const place = record && this.#place(stream, path);
    if (place === undefined) return [];
    const states: CatalogEntry[] = [];
    const pairs = this.database.tables.nodes.scan(
      stateKey(place.directory, place.name),
      afterName(place.directory, place.name),
    );
    for (const { value } of pairs) {
      // Rows of a commit that is still being ingested are not history yet, nor is a past that is not complete.
      if (!isShown(value, record!)) continue;
      const entry = toCatalogEntry(place.name, value);
      states.push({
        ...entry,
        from: Math.max(entry.from, record!.firstSequence),
        to: entry.to > record!.head ? Infinity : entry.to,
      });
    }
    return states.reverse();
  }

  *namesEver(directory: DirectoryId): IterableIterator<{ name: Buffer; directory: DirectoryId | undefined }> {
    const span = this.#spanOf(directory);
    const { nodes } = this.database.tables;
    for (const { name, state } of this.#newestStates(directory, directoryStart(directory))) {
      const last = fromOf(state) > span.head ? olderState(nodes, directory, name, span.head) : state;
      if (last === undefined || !isShown(last, span)) continue;
      yield { name, directory: this.#directoryBehind(directory, name, state, span) };
    }
  }

  directoryEver(stream: string, path: Uint8Array): DirectoryId | undefined {
    const record = this.streamRecord(stream);
    const place = record && this.#place(stream, path);
    if (place === undefined) return undefined;
    const newest = this.database.tables.nodes.get(stateKey(place.directory, place.name));
    return newest && this.#directoryBehind(place.directory, place.name, newest, record!);
  }

  /** Of a name that was a directory in any version that is shown. */
  #directoryBehind(parent: DirectoryId, name: Buffer, newest: Buffer, span: Span): DirectoryId | undefined {
    if (directoryOf(newest) !== 0 && isShown(newest, span)) return directoryOf(newest);
    const directory = this.childDirectory(parent, name);
    if (directory === undefined) return undefined;
    for (const { value } of this.database.tables.nodes.scan(stateKey(parent, name), afterName(parent, name)))
      if (directoryOf(value) !== 0 && isShown(value, span)) return directory;
    return undefined;
  }

  changes(stream: string, from: number, to: number): IterableIterator<Change> {
    const record = this.streamRecord(stream);
    const roots = record && { number: record.number, name: Buffer.from(stream, 'latin1') };
    return compareVersions(this, this.database.tables, roots, from, to);
  }

  entryById(id: number): CatalogEntry | undefined {
    const found = this.rows.state(id);
    return found && toCatalogEntry(found.name, found.state);
  }

  row(id: number): CatalogRow | undefined {
    return this.rows.row(id);
  }

  directoryById(id: number): DirectoryId | undefined {
    return this.rows.directoryById(id);
  }

  extrasById(id: number): EntryExtras | undefined {
    return this.rows.extras(id);
  }

  isUnheardOf(xattr: Uint8Array): boolean {
    return this.rows.isUnheardOf(xattr);
  }

  placeOf(id: number): EntryPlace | undefined {
    return this.database.tables.ids.get(id);
  }

  directoryPlace(directory: DirectoryId): EntryPlace | undefined {
    const value = this.database.tables.directories.get(directoryKey(directory));
    const place = value && toDirectoryPlace(value);
    return place === undefined || place.parent === above
      ? undefined
      : { directory: place.parent, name: place.name };
  }

  chunk(id: ChunkId): ChunkPlace | undefined {
    return this.packTable.chunk(id);
  }

  hasChunk(id: ChunkId): boolean {
    return this.packTable.hasChunk(id);
  }

  /** Cheap, but not for every read: LMDB keeps a timer for each until the event loop turns. A few times a second is plenty. */
  refresh(): void {
    this.database.refresh();
  }

  async close(): Promise<void> {
    await this.database.close();
  }

  /** Gaps are possible: versions whose log entries are lost, between others that are there. */
  #isKnown({ number, head }: StreamRecord, sequence: number): boolean {
    return sequence <= head && this.database.tables.versions.has(numberKey(number, sequence));
  }

  protected streamRecord(id: string): StreamRecord | undefined {
    const value = this.database.tables.streams.get(streamKey(id));
    return value && toStream(id, value);
  }

  #toStreamInfo(record: StreamRecord): StreamInfo {
    const { id, host, source, sourcePath, head, headHash, headVersionId, firstSequence, lacksPast } = record;
    const endsInGap = this.gapBehind(id) === head;
    return {
      id,
      host,
      source,
      sourcePath,
      head,
      headHash,
      headVersionId,
      firstSequence,
      lacksPast,
      endsInGap,
    };
  }

  /** The version behind which the history could not be read when it was read last; void once there are others behind it. */
  protected gapBehind(id: string): number | undefined {
    const value = this.database.tables.meta.get(gapKey(id));
    return value && toGap(value);
  }

  protected childDirectory(parent: DirectoryId, name: Uint8Array): DirectoryId | undefined {
    const value = this.database.tables.children.get(childKey(parent, name));
    return value && toDirectory(value);
  }

  /** The versions of the stream that a directory belongs to. */
  #spanOf(directory: DirectoryId): Span {
    const place = this.database.tables.directories.get(directoryKey(directory));
    if (place === undefined) return { firstSequence: 0, head: 0 };
    const number = toDirectoryPlace(place).stream;
    for (const { key, value } of this.database.tables.streams.scan(Buffer.of(0), Buffer.of(0xff))) {
      const record = toStream(key.toString('latin1'), value);
      if (record.number === number) return record;
    }
    return { firstSequence: 0, head: stillHolds };
  }
}

type Span = Pick<StreamInfo, 'firstSequence' | 'head'>;

/** Whether a state holds in any of these versions. */
const isShown = (state: Buffer, { firstSequence, head }: Span): boolean =>
  fromOf(state) <= head && toOf(state) > firstSequence;

/**
 * For worker threads: the catalog that another thread or process has opened with `openCatalog` before, read-only. Throws
 * RrbackupError ('catalog.missing', 'catalog.damaged').
 */
export function openCatalogReader(path: string, repositoryId: string): CatalogReader {
  if (!existsSync(path)) throw catalogMissing(path);
  return new Reader(openDatabase({ path, readOnly: true }), repositoryId);
}
