// The records inside packs: the rows of the commit that a pack was written for, so that all versions come back from packs
// alone. Knows the payload only; lib/pack seals and opens it.

import { ByteReader, ByteWriter } from '../bytes/cursor.js';
import { newerFormat } from '../errors/index.js';
import { naming } from '../pack/naming.js';
import type { ChunkId, PackInfo, PackName } from '../pack/types.js';
import type { ChunkNumber, ChunkOfNumber } from './entry.js';
import { decodeHeader, encodeHeader } from './header.js';
import { manifestLimits } from './layout.js';
import type { RecordRows } from './row-stream.js';
import { checkRow, rowPieces, RowReader, RowWriter } from './rows.js';
import type { Row, VersionHeader } from './types.js';

const recordsVersion = 1;

/** What one pack says of the commit that it was written for. */
export interface PackRecords {
  readonly stream: string;
  /** Ties the packs of one backup run together; a run that never committed leaves packs with records too. */
  readonly run: string;
  /** The number that the run meant to commit. */
  readonly sequence: number;
  /** Of this pack among those of its run; each number once. */
  readonly part: number;
  /** Sorted within this pack; the rows of a commit are those of all packs of its run, merged. */
  readonly rows: readonly Row[];
  /** Only in the run's last pack. */
  readonly last?: {
    readonly header: VersionHeader;
    /** All other packs that belong to the commit: those of this run, and adopted ones of earlier runs. */
    readonly otherPacks: readonly PackName[];
  };
}

/** The same as it lies in a pack, whole and checked. Rows become objects one at a time: there may be a million of them. */
export interface StoredRecords extends Omit<PackRecords, 'rows'> {
  readonly rowCount: number;
  /** Path of the first row, if there is one. */
  readonly firstPath: Uint8Array | undefined;
  /** All of them, each time anew. */
  rows(): Generator<Row, undefined>;
}

/**
 * varint version ‖ stream 16 ‖ run 16 ‖ varint sequence ‖ varint part ‖ u8 last ‖ [header ‖ varint count ‖ names 32 each] ‖
 * varint row count ‖ rows. At most 1,048,576 rows and 128 MiB of paths; `chunkIndex` is PackBuilder.finish's resolver.
 */
export function encodeRecords(records: PackRecords, chunkIndex: ChunkNumber): Uint8Array {
  const writer = encodeRecordsStart(records);
  encodeRows(writer, records.rows, chunkIndex);
  return writer.view();
}

/** The same from rows that are encoded already. */
export function encodeRecordsOf(about: Omit<PackRecords, 'rows'>, rows: RecordRows): Uint8Array {
  return rows.finish(encodeRecordsStart(about, rows.length_bytes).varint(rows.count)).view();
}

/** `rows_bytes`: what will follow, if that is known. */
function encodeRecordsStart(records: Omit<PackRecords, 'rows'>, rows_bytes = 0): ByteWriter {
  const writer = new ByteWriter(64 * 1024 + rows_bytes)
    .varint(recordsVersion)
    .raw(Buffer.from(records.stream, 'hex'))
    .raw(Buffer.from(records.run, 'hex'))
    .varint(records.sequence)
    .varint(records.part)
    .u8(records.last === undefined ? 0 : 1);
  if (records.last !== undefined) {
    encodeHeader(writer, records.last.header);
    writer.varint(records.last.otherPacks.length);
    for (const name of records.last.otherPacks) writer.raw(Buffer.from(name, 'hex'));
  }
  return writer;
}

function encodeRows(writer: ByteWriter, rows: readonly Row[], chunkIndex: ChunkNumber): void {
  if (rows.length > manifestLimits.rowsPerRecords) throw new RangeError(`${rows.length} rows in one pack`);
  writer.varint(rows.length);
  const rowWriter = new RowWriter(writer, chunkIndex);
  let before: Uint8Array | undefined;
  let paths_bytes = 0;
  for (const row of rows) {
    before = checkRow(row, before);
    paths_bytes += row.path.length;
    for (const piece of rowPieces(row)) rowWriter.add(piece);
  }
  if (paths_bytes > manifestLimits.pathsPerRecords_bytes)
    throw new RangeError(`${paths_bytes} bytes of paths in one pack`);
}

/** What encodeRecords wrote into the pack `info`. Throws 'manifest.damaged' or newer_format, naming the pack. */
export function decodeRecords(payload: Uint8Array, info: PackInfo): StoredRecords {
  const what = `the records of pack ${info.name}`;
  return naming('manifest.damaged', what, () => {
    const reader = new ByteReader(payload, what);
    if (reader.varint() !== recordsVersion) throw newerFormat(what);
    const stream = reader.raw(manifestLimits.identifier_bytes).toString('hex');
    const run = reader.raw(manifestLimits.identifier_bytes).toString('hex');
    const sequence = reader.varint(manifestLimits.sequence);
    const part = reader.varint();
    const lastFlag = reader.u8();
    if (lastFlag > 1) reader.fail(`a flag of ${lastFlag}`);
    const last = lastFlag === 0 ? undefined : decodeLast(reader);
    const { header } = last ?? {};
    if (
      header !== undefined &&
      (header.stream !== stream || header.run !== run || header.sequence !== sequence)
    )
      reader.fail('a header of another commit');
    const rowCount = reader.varint(manifestLimits.rowsPerRecords);
    const bytes = reader.raw(reader.remaining);
    const ids: ChunkId[] = info.blocks.flatMap((block) => block.chunks.map(({ id }) => id));
    const chunkOf: ChunkOfNumber = (number) => ids[number];
    const firstPath = checkRows(reader, bytes, rowCount, chunkOf, what);
    const rows = (): Generator<Row, undefined> => new RowReader(what).read(bytes, chunkOf);
    return {
      stream,
      run,
      sequence,
      part,
      rowCount,
      firstPath,
      rows,
      ...(last === undefined ? {} : { last }),
    };
  });
}

function decodeLast(reader: ByteReader): { header: VersionHeader; otherPacks: PackName[] } {
  const header = decodeHeader(reader);
  const count = reader.varint();
  if (count * manifestLimits.hash_bytes > reader.remaining) reader.fail(`${count} packs`);
  const names = Buffer.from(reader.raw(count * manifestLimits.hash_bytes));
  return {
    header,
    // Texts only when they are wanted: they take three times the memory.
    get otherPacks() {
      return Array.from({ length: count }, (_, index) => nameAt(names, index));
    },
  };
}

function nameAt(names: Buffer, index: number): PackName {
  return names.toString('hex', index * manifestLimits.hash_bytes, (index + 1) * manifestLimits.hash_bytes);
}

/** Returns the first one's path. */
function checkRows(
  reader: ByteReader,
  bytes: Uint8Array,
  count: number,
  chunkOf: ChunkOfNumber,
  what: string,
): Uint8Array | undefined {
  const rows = new RowReader(what, { withContent: false });
  let firstPath: Uint8Array | undefined;
  let found = 0;
  let paths_bytes = 0;
  for (const { path } of rows.read(bytes, chunkOf)) {
    firstPath ??= path;
    paths_bytes += path.length;
    found++;
    if (found > count || paths_bytes > manifestLimits.pathsPerRecords_bytes) reader.fail('too many rows');
  }
  rows.end();
  if (found !== count) reader.fail(`${found} rows instead of ${count}`);
  return firstPath;
}
