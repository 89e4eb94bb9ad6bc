// Rows as they are stored, entries not decoded: for whoever keeps entries as the same bytes (the catalog) and has a million of
// them to take in. Enforces what RowReader enforces. Batches are bounded, so that paths that share much cannot fill the memory.

import { ByteReader, ByteWriter } from '../bytes/cursor.js';
import { comparePaths, hasSafeNames } from '../bytes/path.js';
import { newerFormat } from '../errors/index.js';
import { decodeSegmentCount, decodeXattrs, encodeEntry, segmentTags } from './entry.js';
import { manifestLimits } from './layout.js';
import { goesOnFlag, ops } from './rows.js';
import { checkStatus, decodeStatus, MutableStatus } from './status.js';
import type { EntryType, Row, Xattr } from './types.js';

const slash = 0x2f;
const chunkId_bytes = 32;
/** Of a number of segments, and what ByteWriter wants to have free for a number. */
const longestCount_bytes = 8;
const batch_bytes = 1 << 20;
const least_bytes = 1024;
/** So few bytes are copied faster one by one. */
const byHand_bytes = 128;
const noBytes = Buffer.alloc(0);

/** `linked`: a hard link, with more than one name and no directory. */
export const rowFlags = { removed: 1, directory: 2, linked: 4, xattrs: 8 } as const;

export interface BatchShape {
  /** Rows in a batch at the most. */
  readonly rows: number;
  /** Free bytes in front of every entry, for the reader's own use. */
  readonly room_bytes: number;
}

/** Some rows, one after another: of each its path, then room, then its entry. */
export class StoredRows {
  readonly #shape: BatchShape;
  /** Grows while the batch is made. */
  bytes: Buffer;
  count = 0;
  #end = 0;
  /** Of each row where its path begins and ends, and where it ends itself. */
  readonly #places: number[] = [];
  readonly #flags: number[] = [];
  readonly #holes_bytes: number[] = [];

  constructor(shape: BatchShape, expected_bytes: number) {
    this.#shape = shape;
    this.bytes = Buffer.allocUnsafeSlow(Math.min(Math.max(expected_bytes, least_bytes), batch_bytes));
  }

  get isFull(): boolean {
    return this.count === this.#shape.rows || this.#end >= batch_bytes;
  }

  get size_bytes(): number {
    return this.#end;
  }

  pathStart(row: number): number {
    return this.#places[row * 3]!;
  }

  pathEnd(row: number): number {
    return this.#places[row * 3 + 1]!;
  }

  /** Behind the room. A removed path has none. */
  entryStart(row: number): number {
    return this.#places[row * 3 + 1]! + this.#shape.room_bytes;
  }

  entryEnd(row: number): number {
    return this.#places[row * 3 + 2]!;
  }

  is(row: number, flag: number): boolean {
    return (this.#flags[row]! & flag) !== 0;
  }

  holes_bytes(row: number): number {
    return this.#holes_bytes[row]!;
  }

  /** Begins a row: the path as it lies in `source`, the first `shared` bytes those of `before`. */
  path(
    before: Uint8Array,
    beforeStart: number,
    shared: number,
    source: Uint8Array,
    from: number,
    to: number,
  ): void {
    const start = this.#end;
    this.#reserve(shared + to - from);
    const { bytes } = this;
    for (let index = 0; index < shared; index++) bytes[start + index] = before[beforeStart + index]!;
    for (let index = from; index < to; index++) bytes[start + shared + index - from] = source[index]!;
    this.#places[this.count * 3] = start;
    this.#places[this.count * 3 + 1] = this.#end;
  }

  /** Ends the row that was begun: nothing else is there. */
  removed(): void {
    this.#finish(rowFlags.removed, 0);
  }

  /** The same: its entry lies there in `source`. `flags`: of rowFlags. */
  entry(source: Uint8Array, from: number, to: number, flags: number, holes_bytes: number): void {
    const at = this.#end + this.#shape.room_bytes;
    this.#reserve(this.#shape.room_bytes + to - from);
    const { bytes } = this;
    if (to - from > byHand_bytes) bytes.set(source.subarray(from, to), at);
    else for (let index = from; index < to; index++) bytes[at + index - from] = source[index]!;
    this.#finish(flags, holes_bytes);
  }

  #finish(flags: number, holes_bytes: number): void {
    this.#places[this.count * 3 + 2] = this.#end;
    this.#flags[this.count] = flags;
    this.#holes_bytes[this.count] = holes_bytes;
    this.count++;
  }

  #reserve(size: number): void {
    const end = this.#end + size;
    if (end > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(end, this.bytes.length * 2));
      this.bytes.copy(grown, 0, 0, this.#end);
      this.bytes = grown;
    }
    this.#end = end;
  }
}

const flagsOf = (type: EntryType, links: number, xattrs: readonly Xattr[]): number =>
  (type === 'directory' ? rowFlags.directory : links > 1 ? rowFlags.linked : 0) |
  (xattrs.length > 0 ? rowFlags.xattrs : 0);

/** A file whose content goes on in the next row. */
interface OpenRow {
  readonly path: Buffer;
  readonly attributes: Buffer;
  readonly segments: Buffer[];
  segmentCount: number;
}

/** Reads the payloads of one sequence of rows, one after another, as one sequence. */
export class StoredRowReader {
  readonly #what: string;
  readonly #shape: BatchShape;
  /** Of the last payload. */
  #last: Buffer | undefined;
  /** Of the entry at hand, which may go on in the next row. */
  readonly #status = new MutableStatus();
  #flags = 0;
  #content_bytes = 0;
  #holes_bytes = 0;
  #open: OpenRow | undefined;

  /** `what` names the rows' object in errors. */
  constructor(what: string, shape: BatchShape) {
    this.#what = what;
    this.#shape = shape;
  }

  /** Throws 'format.damaged' and 'format.newer' as RowReader does. */
  *read(payload: Uint8Array): Generator<StoredRows> {
    const reader = new ByteReader(payload, this.#what);
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
    // Paths in full, and room: about twice the size.
    const next = (): StoredRows => new StoredRows(this.#shape, reader.remaining * 2);
    let batch = next();
    // Front coding begins anew with every payload.
    const before: Before = { bytes: noBytes, start: 0, end: 0 };
    while (reader.remaining > 0) {
      const first = reader.u8();
      const goesOn = (first & goesOnFlag) !== 0;
      const op = first & ~goesOnFlag;
      if (op < ops.added || op > ops.continued) throw newerFormat(this.#what);
      if ((op === ops.continued) !== (this.#open !== undefined)) reader.fail('a row in pieces is not whole');
      if (op === ops.continued) this.#goOn(reader, bytes, goesOn, batch);
      else {
        this.#path(reader, bytes, batch, before);
        if (op !== ops.removed) this.#entry(reader, bytes, goesOn, batch);
        else if (goesOn) reader.fail('a removed path with content');
        else batch.removed();
      }
      if (!batch.isFull) continue;
      yield batch;
      batch = next();
    }
    if (before.bytes !== noBytes) this.#last = Buffer.from(before.bytes.subarray(before.start, before.end));
    if (batch.count > 0) yield batch;
  }

  /** Call when there is no further payload. */
  end(): void {
    if (this.#open !== undefined) new ByteReader(noBytes, this.#what).fail('its last row is not whole');
  }

  #path(reader: ByteReader, bytes: Buffer, batch: StoredRows, before: Before): void {
    const shared = reader.varint(before.end - before.start);
    const suffix_bytes = reader.varint(manifestLimits.path_bytes - shared);
    const from = reader.position;
    reader.skip(suffix_bytes);
    batch.path(before.bytes, before.start, shared, bytes, from, from + suffix_bytes);
    const start = batch.pathStart(batch.count);
    const end = batch.pathEnd(batch.count);
    let component = start + shared;
    while (component > start && batch.bytes[component - 1] !== slash) component--;
    if (start < end && !hasSafeNames(batch.bytes, component, end)) reader.fail('an unsafe path');
    const isFirst = before.bytes === noBytes;
    const isInOrder = isFirst
      ? this.#last === undefined || comparePaths(this.#last, batch.bytes.subarray(start, end)) < 0
      : isBehind(batch.bytes, start, end, before, shared);
    if (!isInOrder) reader.fail('rows out of order');
    before.bytes = batch.bytes;
    before.start = start;
    before.end = end;
  }

  #entry(reader: ByteReader, bytes: Buffer, goesOn: boolean, batch: StoredRows): void {
    const start = reader.position;
    const status = this.#status;
    reader.skip(decodeStatus(bytes, start, status) - start);
    const { type } = status;
    checkStatus(status, reader);
    if (type === 'symlink') reader.skip(status.target_bytes);
    this.#flags = flagsOf(type, status.links, decodeXattrs(reader));
    this.#content_bytes = 0;
    this.#holes_bytes = 0;
    const attributesEnd = reader.position;
    if (type !== 'file') {
      if (goesOn) reader.fail(`a ${type} with content`);
      batch.entry(bytes, start, attributesEnd, this.#flags, 0);
      return;
    }
    const segmentCount = decodeSegmentCount(reader, 0, goesOn);
    const segmentsStart = reader.position;
    this.#segments(reader, segmentCount);
    if (!goesOn) {
      this.#checkSize(reader);
      batch.entry(bytes, start, reader.position, this.#flags, this.#holes_bytes);
      return;
    }
    const [pathStart, pathEnd] = [batch.pathStart(batch.count), batch.pathEnd(batch.count)];
    this.#open = {
      path: Buffer.from(batch.bytes.subarray(pathStart, pathEnd)),
      attributes: Buffer.from(bytes.subarray(start, attributesEnd)),
      segments: [Buffer.from(bytes.subarray(segmentsStart, reader.position))],
      segmentCount,
    };
  }

  #goOn(reader: ByteReader, bytes: Buffer, goesOn: boolean, batch: StoredRows): void {
    const open = this.#open!;
    const segmentCount = decodeSegmentCount(reader, open.segmentCount, goesOn);
    const start = reader.position;
    this.#segments(reader, segmentCount);
    open.segments.push(Buffer.from(bytes.subarray(start, reader.position)));
    open.segmentCount += segmentCount;
    if (goesOn) return;
    this.#checkSize(reader);
    this.#open = undefined;
    const size_bytes = open.segments.reduce((sum, { length }) => sum + length, open.attributes.length);
    const writer = new ByteWriter(size_bytes + longestCount_bytes);
    writer.raw(open.attributes).varint(open.segmentCount);
    for (const segments of open.segments) writer.raw(segments);
    batch.path(open.path, 0, open.path.length, noBytes, 0, 0);
    batch.entry(writer.view(), 0, writer.length, this.#flags, this.#holes_bytes);
  }

  #segments(reader: ByteReader, count: number): void {
    for (let index = 0; index < count; index++) {
      const tag = reader.varint();
      if (tag === segmentTags.literal) reader.skip(chunkId_bytes);
      else if (tag !== segmentTags.hole) reader.fail(`no chunk has the number ${tag - segmentTags.table}`);
      const size_bytes = reader.varint();
      if (size_bytes === 0) reader.fail('an empty segment');
      this.#content_bytes += size_bytes;
      if (tag === segmentTags.hole) this.#holes_bytes += size_bytes;
    }
    if (!Number.isSafeInteger(this.#content_bytes)) reader.fail('too large a content');
  }

  #checkSize(reader: ByteReader): void {
    const { size_bytes } = this.#status;
    if (this.#content_bytes !== size_bytes)
      reader.fail(`content of ${this.#content_bytes} bytes in a file of ${size_bytes}`);
  }
}

/** Path of the row before in this payload, where it lies. */
interface Before {
  bytes: Buffer;
  start: number;
  end: number;
}

/** As comparePaths has it, of a path whose first `shared` bytes are the same. */
function isBehind(bytes: Buffer, start: number, end: number, before: Before, shared: number): boolean {
  const length = Math.min(end - start, before.end - before.start);
  for (let index = shared; index < length; index++) {
    const left = before.bytes[before.start + index]!;
    const right = bytes[start + index]!;
    if (left === right) continue;
    return left === slash || (right !== slash && left < right);
  }
  return end - start > before.end - before.start;
}

/** The same rows out of objects. Order and names are not checked. */
export async function* toStoredRows(
  rows: Iterable<Row> | AsyncIterable<Row>,
  shape: BatchShape,
): AsyncGenerator<StoredRows> {
  const writer = new ByteWriter();
  let batch = new StoredRows(shape, 0);
  for await (const row of rows) {
    batch.path(noBytes, 0, 0, row.path, 0, row.path.length);
    if (row.op === 'removed') batch.removed();
    else {
      const { type, links, xattrs, content } = row.entry;
      let holes_bytes = 0;
      for (const segment of content) if (segment.kind === 'hole') holes_bytes += segment.size_bytes;
      encodeEntry(writer.reset(), row.entry);
      batch.entry(writer.view(), 0, writer.length, flagsOf(type, links, xattrs), holes_bytes);
    }
    if (!batch.isFull) continue;
    yield batch;
    batch = new StoredRows(shape, batch.size_bytes);
  }
  if (batch.count > 0) yield batch;
}
