// Rows as bytes: sorted, front-coded paths with their entries. A content of very many segments is cut into pieces that follow
// each other, so that no file is too large for a part. The reader enforces order, names and sizes; it yields one row at a time.

import { ByteReader, type ByteWriter } from '../bytes/cursor.js';
import { comparePaths, hasSafeNames } from '../bytes/path.js';
import { newerFormat, RrbackupError } from '../errors/index.js';
import {
  decodeAttributes,
  decodeSegmentCount,
  decodeSegments,
  encodeAttributes,
  encodeSegments,
  type ChunkNumber,
  type ChunkOfNumber,
} from './entry.js';
import { manifestLimits } from './layout.js';
import type { Entry, Row, Segment } from './types.js';

const slash = 0x2f;

/** The low bits of a row's first byte. */
export const ops = { added: 1, changed: 2, removed: 3, continued: 4 } as const;
/** Set in the first byte where the content goes on in the row behind. */
export const goesOnFlag = 0x80;

/** Part of a row: segments `from` … `to` - 1 of its content; the piece from 0 carries path and attributes. */
export interface RowPiece {
  readonly row: Row;
  readonly from: number;
  readonly to: number;
}

/** The pieces of a row, in the order in which they are written; one for all but very large files. */
export function* rowPieces(row: Row): Generator<RowPiece> {
  const count = segmentCount(row);
  let from = 0;
  do {
    const to = Math.min(count, from + manifestLimits.segmentsPerRow);
    yield { row, from, to };
    from = to;
  } while (from < count);
}

function segmentCount(row: Row): number {
  return row.op === 'removed' ? 0 : row.entry.content.length;
}

/** Writes rows one after another; front coding begins anew with each writer. */
export class RowWriter {
  readonly #writer: ByteWriter;
  readonly #numberOf: ChunkNumber | undefined;
  #before: Uint8Array = new Uint8Array(0);

  constructor(writer: ByteWriter, numberOf?: ChunkNumber) {
    this.#writer = writer;
    this.#numberOf = numberOf;
  }

  /** Order and names are the caller's duty (checkRow). Throws 'manifest.entry_too_large' for what no limit admits. */
  add({ row, from, to }: RowPiece): void {
    const op = from > 0 ? ops.continued : ops[row.op];
    this.#writer.u8(op | (to < segmentCount(row) ? goesOnFlag : 0));
    if (from === 0) this.#path(row.path);
    if (row.op === 'removed') return;
    if (from === 0) encodeAttributes(this.#writer, row.entry);
    if (row.entry.type === 'file') encodeSegments(this.#writer, row.entry.content, this.#numberOf, from, to);
  }

  #path(path: Uint8Array): void {
    const shared = sharedBytes(this.#before, path);
    this.#writer
      .varint(shared)
      .varint(path.length - shared)
      .raw(path, shared);
    this.#before = path;
  }
}

/** How many bytes two paths have in common from their start. */
export function sharedBytes(before: Uint8Array, path: Uint8Array): number {
  const length = Math.min(path.length, before.length);
  let shared = 0;
  while (shared < length && path[shared] === before[shared]) shared++;
  return shared;
}

/** The path of a row that may follow one of path `before`; throws 'manifest.bad_row' (kind failure) otherwise. */
export function checkRow(row: Row, before: Uint8Array | undefined): Uint8Array {
  const why =
    row.path.length > manifestLimits.path_bytes
      ? 'its path is too long'
      : !hasSafeNames(row.path, 0)
        ? 'its path is not safe'
        : before !== undefined && comparePaths(before, row.path) >= 0
          ? 'it is out of order'
          : undefined;
  if (why === undefined) return row.path;
  throw badRow(why);
}

export function badRow(why: string): RrbackupError {
  return new RrbackupError({
    code: 'manifest.bad_row',
    kind: 'failure',
    message: `a row cannot be stored: ${why}`,
  });
}

interface OpenFile {
  readonly op: 'added' | 'changed';
  readonly path: Buffer;
  readonly entry: Entry;
  /** Segments as they are stored: of a content that is too much no object is made. */
  readonly pieces: { readonly bytes: Uint8Array; readonly count: number }[];
  segmentCount: number;
  total_bytes: number;
}

/** Reads the payloads of one sequence of rows, one after another, as one sequence. */
export class RowReader {
  readonly #what: string;
  readonly #withContent: boolean;
  #last: Buffer | undefined;
  /** A file whose content goes on. */
  #open: OpenFile | undefined;

  /** `what` names the rows' object in errors. Without content: it is checked, and left out of the entries. */
  constructor(what: string, { withContent = true } = {}) {
    this.#what = what;
    this.#withContent = withContent;
  }

  /**
   * The rows of one payload, as views of it (paths are copies). Throws 'format.damaged' for rows out of order, unsafe names,
   * sizes that do not add up; 'format.newer' for operations and types of a later version.
   */
  *read(payload: Uint8Array, chunkOf?: ChunkOfNumber): Generator<Row, undefined> {
    const reader = new ByteReader(payload, this.#what);
    let before: Buffer = Buffer.alloc(0);
    while (reader.remaining > 0) {
      const first = reader.u8();
      const goesOn = (first & goesOnFlag) !== 0;
      const op = first & ~goesOnFlag;
      if (op < ops.added || op > ops.continued) throw newerFormat(this.#what);
      if ((op === ops.continued) !== (this.#open !== undefined)) reader.fail('a row in pieces is not whole');
      let row: Row | undefined;
      if (op === ops.continued) row = this.#segments(reader, goesOn, chunkOf);
      else {
        before = this.#path(reader, before);
        row = this.#row(reader, op, before, goesOn, chunkOf);
      }
      if (row !== undefined) yield row;
    }
  }

  /** Call when there is no further payload. */
  end(): void {
    if (this.#open !== undefined)
      new ByteReader(Buffer.alloc(0), this.#what).fail('its last row is not whole');
  }

  #path(reader: ByteReader, before: Buffer): Buffer {
    const shared = reader.varint(before.length);
    const suffix = reader.bytes(manifestLimits.path_bytes - shared);
    const path = Buffer.allocUnsafe(shared + suffix.length);
    before.copy(path, 0, 0, shared);
    suffix.copy(path, shared);
    const component = shared === 0 ? 0 : path.lastIndexOf(slash, shared - 1) + 1;
    if (!hasSafeNames(path, component)) reader.fail('an unsafe path');
    if (this.#last !== undefined && comparePaths(this.#last, path) >= 0) reader.fail('rows out of order');
    this.#last = path;
    return path;
  }

  #row(
    reader: ByteReader,
    op: number,
    path: Buffer,
    goesOn: boolean,
    chunkOf?: ChunkOfNumber,
  ): Row | undefined {
    if (op === ops.removed) {
      if (goesOn) reader.fail('a removed path with content');
      return { op: 'removed', path };
    }
    const name = op === ops.added ? 'added' : 'changed';
    const entry = decodeAttributes(reader);
    if (entry.type === 'file') {
      this.#open = { op: name, path, entry, pieces: [], segmentCount: 0, total_bytes: 0 };
      return this.#segments(reader, goesOn, chunkOf);
    }
    if (goesOn) reader.fail(`a ${entry.type} with content`);
    return { op: name, path, entry };
  }

  #segments(reader: ByteReader, goesOn: boolean, chunkOf?: ChunkOfNumber): Row | undefined {
    const open = this.#open!;
    const count = decodeSegmentCount(reader, open.segmentCount, goesOn);
    const from = reader.position;
    open.segmentCount += count;
    open.total_bytes += decodeSegments(reader, count, undefined, chunkOf);
    open.pieces.push({ bytes: reader.view(from, reader.position), count });
    if (goesOn) return undefined;
    const { op, path, entry, pieces, segmentCount, total_bytes } = open;
    if (total_bytes !== entry.size_bytes)
      reader.fail(`content of ${total_bytes} bytes in a file of ${entry.size_bytes}`);
    this.#open = undefined;
    if (segmentCount === 0 || !this.#withContent) return { op, path, entry };
    const content: Segment[] = [];
    for (const { bytes, count } of pieces)
      decodeSegments(new ByteReader(bytes, this.#what), count, content, chunkOf);
    return { op, path, entry: { ...entry, content } };
  }
}
