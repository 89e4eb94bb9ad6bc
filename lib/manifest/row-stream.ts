// Rows as bytes where they come up: a backup's worker writes each once for the commit, with the ids of its chunks, and once for
// the records of its pack, with their numbers there. No row is ever an object. The bytes are those of rows.ts.

import { ByteWriter } from '../bytes/cursor.js';
import { comparePaths, hasSafeNames } from '../bytes/path.js';
import type { ChunkId } from '../pack/types.js';
import { alone } from '../workers/alone.js';
import { manifestLimits } from './layout.js';
import { badRow, goesOnFlag, ops, sharedBytes } from './rows.js';
import { checkSegmentCount, encodeAttributes, segmentTags } from './entry.js';
import type { Row } from './types.js';

/** A block of the pack that these records are of. Its place among the pack's chunks is known once it is closed. */
export interface OwnBlock {
  readonly records: RecordRows;
  firstChunk: number;
}

/** A piece of a file's content; without an id it is a hole. */
export interface StoredSegment {
  readonly id: ChunkId | undefined;
  readonly size_bytes: number;
  /** Where this run has stored the chunk: block and position there. */
  readonly own: { readonly block: OwnBlock; readonly position: number } | undefined;
}

/** One row whose attributes are encoded (entry.ts); `content` only of files. */
export interface EncodedRow {
  readonly op: 'added' | 'changed' | 'removed';
  readonly path: Uint8Array;
  readonly attributes: Uint8Array;
  readonly content: readonly StoredSegment[] | undefined;
}

/** Rows that follow each other in path order, ready to stand in a part of a commit. */
export interface EncodedRows {
  readonly bytes: Uint8Array;
  readonly count: number;
  readonly first: Uint8Array;
  readonly last: Uint8Array;
}

const noPath = new Uint8Array(0);

/** A row that was put together as an object; its chunks go by their ids. */
export function encodeRow(row: Row): EncodedRow {
  const { op, path } = row;
  if (op === 'removed') return { op, path, attributes: noPath, content: undefined };
  const attributes = new ByteWriter();
  encodeAttributes(attributes, row.entry);
  const content =
    row.entry.type !== 'file'
      ? undefined
      : row.entry.content.map((segment) => ({
          id: segment.kind === 'hole' ? undefined : segment.id,
          size_bytes: segment.size_bytes,
          own: undefined,
        }));
  return { op, path, attributes: attributes.view(), content };
}

function writeRow(
  writer: ByteWriter,
  { op, path, attributes, content }: EncodedRow,
  before: Uint8Array,
  writeSegment: (segment: StoredSegment) => void,
): void {
  const count = content?.length ?? 0;
  checkSegmentCount(count);
  let from = 0;
  do {
    const to = Math.min(count, from + manifestLimits.segmentsPerRow);
    writer.u8((from > 0 ? ops.continued : ops[op]) | (to < count ? goesOnFlag : 0));
    if (from === 0) {
      const shared = sharedBytes(before, path);
      writer
        .varint(shared)
        .varint(path.length - shared)
        .raw(path, shared)
        .raw(attributes);
    }
    if (content !== undefined) {
      writer.varint(to - from);
      for (let index = from; index < to; index++) writeSegment(content[index]!);
    }
    from = to;
  } while (from < count);
}

/** Rows in path order for the commit. */
export class CommitRows {
  readonly #writer = new ByteWriter(64 * 1024);
  #count = 0;
  #first: Uint8Array = noPath;
  #last: Uint8Array = noPath;

  get length(): number {
    return this.#writer.length;
  }

  /** Throws 'manifest.bad_row' for a row that no commit may hold, 'manifest.entry_too_large' for too large a content. */
  add(row: EncodedRow): void {
    const { path } = row;
    if (path.length > manifestLimits.path_bytes) throw badRow('its path is too long');
    if (!hasSafeNames(path, 0)) throw badRow('its path is not safe');
    if (this.#count > 0 && comparePaths(this.#last, path) >= 0) throw badRow('it is out of order');
    writeRow(this.#writer, row, this.#count === 0 ? noPath : this.#last, this.#literal);
    if (this.#count === 0) this.#first = path;
    this.#last = path;
    this.#count++;
  }

  readonly #literal = ({ id, size_bytes }: StoredSegment): void => {
    if (id === undefined) this.#writer.varint(segmentTags.hole);
    else this.#writer.varint(segmentTags.literal).raw(id);
    this.#writer.varint(size_bytes);
  };

  /** What was added since the last time, alone in its memory; undefined if that is nothing. */
  take(): EncodedRows | undefined {
    if (this.#count === 0) return undefined;
    const bytes = alone(this.#writer.view());
    const rows = {
      bytes,
      count: this.#count,
      first: alone(this.#first),
      last: alone(this.#last),
    };
    this.#writer.reset();
    this.#count = 0;
    return rows;
  }
}

/** At least one row, in path order. */
export function encodeRows(rows: readonly EncodedRow[]): EncodedRows {
  const writer = new CommitRows();
  for (const row of rows) writer.add(row);
  const encoded = writer.take();
  if (encoded === undefined) throw new RangeError('no rows');
  return encoded;
}

/** A number that is filled in later takes three bytes, whatever it is: as LEB128 allows. */
const openNumber_bytes = 3;
const maximumOpenNumber = 2 ** 21 - 1;

interface Run {
  readonly first: Uint8Array;
  readonly start: number;
}

/** The rows for the records of one pack. They come in runs, each in path order, but the runs in any order. */
export class RecordRows {
  readonly #writer = new ByteWriter(256 * 1024);
  readonly #runs: Run[] = [];
  readonly #openAt: number[] = [];
  readonly #openBlocks: OwnBlock[] = [];
  readonly #openPositions: number[] = [];
  #before: Uint8Array | undefined;
  #count = 0;
  #paths_bytes = 0;

  get count(): number {
    return this.#count;
  }

  get length_bytes(): number {
    return this.#writer.length;
  }

  /** No more rows fit: the pack has to be closed. */
  get isFull(): boolean {
    return (
      this.#count >= manifestLimits.rowsPerRecords - 1 ||
      this.#paths_bytes >= manifestLimits.pathsPerRecords_bytes - manifestLimits.path_bytes
    );
  }

  add(row: EncodedRow): void {
    if (this.#before === undefined) this.#runs.push({ first: row.path, start: this.#writer.length });
    writeRow(this.#writer, row, this.#before ?? noPath, this.#numbered);
    this.#before = row.path;
    this.#count++;
    this.#paths_bytes += row.path.length;
  }

  readonly #numbered = ({ id, size_bytes, own }: StoredSegment): void => {
    const writer = this.#writer;
    if (own?.block.records === this) {
      this.#openAt.push(writer.length);
      this.#openBlocks.push(own.block);
      this.#openPositions.push(own.position);
      writer.raw(openNumber);
    } else if (id === undefined) writer.varint(segmentTags.hole);
    else writer.varint(segmentTags.literal).raw(id);
    writer.varint(size_bytes);
  };

  /** The next row may stand anywhere. */
  endRun(): void {
    this.#before = undefined;
  }

  /** Writes all rows in path order. Every block that they name is closed. */
  finish(into: ByteWriter): ByteWriter {
    const bytes = this.#writer.view();
    for (let index = 0; index < this.#openAt.length; index++) {
      const at = this.#openAt[index]!;
      const number = segmentTags.table + this.#openBlocks[index]!.firstChunk + this.#openPositions[index]!;
      if (number > maximumOpenNumber || number < segmentTags.table)
        throw new RangeError(`chunk number ${number}`);
      bytes[at] = (number & 0x7f) | 0x80;
      bytes[at + 1] = ((number >> 7) & 0x7f) | 0x80;
      bytes[at + 2] = number >> 14;
    }
    const runs = this.#runs.map((run, index) => ({
      ...run,
      end: this.#runs[index + 1]?.start ?? bytes.length,
    }));
    runs.sort((a, b) => comparePaths(a.first, b.first));
    for (const { start, end } of runs) into.raw(bytes.subarray(start, end));
    return into;
  }
}

const openNumber = new Uint8Array(openNumber_bytes);
