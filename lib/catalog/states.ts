// Every state that any file ever had, with the chunks that it needs: one walk over the whole table, for whoever asks what a
// lost chunk costs. Reads only, a page at a time, so that others get their turn and nothing stays open.

import { ByteReader } from '../bytes/cursor.js';
import { decodeXattrs, segmentTags } from '../manifest/entry.js';
import { decodeStatus, MutableStatus } from '../manifest/status.js';
import { entryTypes } from '../manifest/types.js';
import type { Tables } from './database.js';
import { directoryKey, toDirectoryPlace, toStream } from './records.js';
import { directoryStart, entryBytesOf, fromOf, nameOfKey, stillHolds, toOf } from './state.js';
import { Stretch } from './stretch.js';
import { checksum_bytes, type Table } from './table.js';
import type { DirectoryId } from './types.js';

/** Valid only while it is visited, all of it. */
export interface FileState {
  readonly directory: DirectoryId;
  readonly name: Buffer;
  /** First version in which the state holds, and the first in which it no longer does (Infinity: still does). */
  readonly from: number;
  readonly to: number;
  /** Ids of the chunks of its content, in order. */
  readonly chunks: readonly Buffer[];
}

const pageRows = 512;
/** Rows of very large files are long: no more than this is held of them at once, and one row. */
const page_bytes = 4 << 20;
const chunkId_bytes = 32;
const directory_bytes = 6;
const fileCode = entryTypes.indexOf('file') + 1;
const end = Buffer.alloc(directory_bytes + 1, 0xff);

/**
 * Visits files that have content, directory by directory, the states of one name one after another. Returns where to go on
 * (`from` of the next call), undefined at the end. Versions that are not complete yet may be among them.
 */
export function visitFileStates(
  nodes: Table,
  from: Buffer | undefined,
  visit: (file: FileState) => void,
): Buffer | undefined {
  const found = new Stretch();
  let isCut = false;
  nodes.stretch(from ?? directoryStart(0), end, pageRows, found, () => {
    isCut = found.used_bytes >= page_bytes;
    return isCut;
  });
  for (let row = 0; row < found.rows; row++) {
    const state = found.stored(row).subarray(checksum_bytes);
    const entry = entryBytesOf(state);
    if (entry[0] !== fileCode) continue;
    const chunks = chunksOf(entry);
    if (chunks.length === 0) continue;
    const key = found.key(row);
    const to = toOf(state);
    visit({
      directory: key.readUIntBE(0, directory_bytes),
      name: nameOfKey(key),
      from: fromOf(state),
      to: to === stillHolds ? Infinity : to,
      chunks,
    });
  }
  if (found.rows < pageRows && !isCut) return undefined;
  return Buffer.concat([found.key(found.rows - 1), Buffer.of(0)]);
}

const status = new MutableStatus();

function chunksOf(entry: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  const reader = new ByteReader(entry, 'a row of the local catalog');
  reader.skip(decodeStatus(entry, 0, status));
  decodeXattrs(reader);
  for (let count = reader.varint(); count > 0; count--) {
    if (reader.varint() === segmentTags.literal) chunks.push(reader.raw(chunkId_bytes));
    reader.varint();
  }
  return chunks;
}

export function streamOf(tables: Tables, directory: DirectoryId): string | undefined {
  const place = tables.directories.get(directoryKey(directory));
  if (place === undefined) return undefined;
  const number = toDirectoryPlace(place).stream;
  for (const { key, value } of tables.streams.scan(Buffer.of(0), Buffer.of(0xff))) {
    const id = key.toString('latin1');
    if (toStream(id, value).number === number) return id;
  }
  return undefined;
}
