// The smaller tables of the catalog as bytes: streams, versions, directories, touched names, packs. Keys and
// values only; does no reading or writing of its own. The states of entries are in state.ts.

import { ByteReader, ByteWriter } from '../bytes/cursor.js';
import { decodeHeader, encodeHeader } from '../manifest/header.js';
import type { FlatPackInfo } from '../pack/table.js';
import { codecs, type Codec } from '../pack/types.js';
import { checksum_bytes } from './table.js';
import type { DirectoryId, StreamInfo, VersionInfo } from './types.js';

const what = 'a row of the local catalog';
const text_bytes = 1 << 16;

/** A writer that has left room for the checksum. */
const sealing = (): ByteWriter => new ByteWriter(256).u32(0);

export const numberKey = (...numbers: number[]): Buffer => {
  const key = Buffer.allocUnsafe(numbers.length * 4);
  numbers.forEach((number, index) => key.writeUInt32BE(number, index * 4));
  return key;
};

// ---- streams -------------------------------------------------------------------------------------------------------

/** A version that is being ingested: rows of it may be in the tables, no version shows them yet. */
export interface PendingVersion {
  readonly sequence: number;
  /** Of the backup that made or makes it: the version need not be committed yet. */
  readonly run: string;
  /** Who works on it, so that two at once notice each other. */
  readonly writer: string;
}

export interface StreamRecord extends Omit<StreamInfo, 'endsInGap'> {
  /** Short number that stands for the stream in keys. */
  readonly number: number;
  readonly pending: PendingVersion | undefined;
}

export const streamKey = (id: string): Buffer => Buffer.from(id, 'latin1');

export function sealedStream(stream: StreamRecord): Buffer {
  const writer = sealing()
    .varint(stream.number)
    .varint(stream.head)
    .text(stream.headHash)
    .text(stream.headVersionId)
    .varint(stream.firstSequence)
    .varint(stream.lacksPast ? 1 : 0)
    .text(stream.host)
    .text(stream.source)
    .bytes(stream.sourcePath)
    .varint(stream.pending?.sequence ?? 0);
  if (stream.pending !== undefined) writer.text(stream.pending.run).text(stream.pending.writer);
  return writer.take();
}

export function toStream(id: string, value: Buffer): StreamRecord {
  const reader = new ByteReader(value, what);
  const number = reader.varint();
  const head = reader.varint();
  const headHash = reader.text(text_bytes);
  const headVersionId = reader.text(text_bytes);
  const firstSequence = reader.varint();
  const lacksPast = reader.varint() === 1;
  const host = reader.text(text_bytes);
  const source = reader.text(text_bytes);
  const sourcePath = reader.bytes(text_bytes);
  const sequence = reader.varint();
  const pending =
    sequence === 0 ? undefined : { sequence, run: reader.text(text_bytes), writer: reader.text(text_bytes) };
  reader.end();
  return {
    ...{ id, host, source, sourcePath, head, headHash, headVersionId, firstSequence, lacksPast },
    ...{ number, pending },
  };
}

/** In the table of a catalog's own facts: behind which version the history could not be read. */
export const gapKey = (id: string): Buffer => Buffer.from(`gap ${id}`, 'latin1');

export const sealedGap = (head: number): Buffer => sealing().varint(head).take();

export const toGap = (value: Buffer): number => new ByteReader(value, what).varint();

// ---- versions ------------------------------------------------------------------------------------------------------

export function sealedVersion({ header, hash, stored_bytes }: VersionInfo): Buffer {
  const writer = sealing().text(hash).varint(stored_bytes);
  encodeHeader(writer, header);
  return writer.take();
}

export function toVersion(value: Buffer): VersionInfo {
  const reader = new ByteReader(value, what);
  const hash = reader.text(text_bytes);
  const stored_bytes = reader.varint();
  const header = decodeHeader(reader);
  reader.end();
  return { header, hash, stored_bytes };
}

// ---- directories ---------------------------------------------------------------------------------------------------

/** parent u48 BE ‖ name → directory. */
export function childKey(parent: DirectoryId, name: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(6 + name.length);
  key.writeUIntBE(parent, 0, 6);
  key.set(name, 6);
  return key;
}

export function sealedDirectory(directory: DirectoryId): Buffer {
  const sealed = Buffer.allocUnsafe(checksum_bytes + 6);
  sealed.writeUIntLE(directory, checksum_bytes, 6);
  return sealed;
}

export const toDirectory = (value: Buffer): DirectoryId => value.readUIntLE(0, 6);

/** Where a directory stands, whatever the version. The root of a stream has parent 0. */
export interface DirectoryPlace {
  readonly stream: number;
  readonly parent: DirectoryId;
  readonly name: Buffer;
}

export function directoryKey(directory: DirectoryId): Buffer {
  const key = Buffer.allocUnsafe(6);
  key.writeUIntBE(directory, 0, 6);
  return key;
}

export const sealedDirectoryPlace = (place: DirectoryPlace): Buffer =>
  sealing().varint(place.stream).varint(place.parent).bytes(place.name).take();

export function toDirectoryPlace(value: Buffer): DirectoryPlace {
  const reader = new ByteReader(value, what);
  return { stream: reader.varint(), parent: reader.varint(), name: reader.bytes(text_bytes) };
}

// ---- touched names -------------------------------------------------------------------------------------------------

/** Which names a version touched, many to a value: (directory, name) after (directory, name). */
export interface Touched {
  readonly directory: DirectoryId;
  readonly name: Buffer;
}

export const writeTouched = (writer: ByteWriter, directory: DirectoryId, name: Uint8Array): void => {
  writer.varint(directory).bytes(name);
};

export function* toTouched(value: Buffer): Generator<Touched, void, undefined> {
  const reader = new ByteReader(value, what);
  while (reader.remaining > 0) yield { directory: reader.varint(), name: reader.bytes(text_bytes) };
}

// ---- packs ---------------------------------------------------------------------------------------------------------

/** What is needed of a pack to read a block of it; without the chunk ids, which would be most of it. */
export interface PackRecord {
  readonly name: string;
  readonly versionId: string;
  readonly header: Buffer;
  /** Per block: offset u48, stored u32, plain u32, codec u8. */
  readonly blocks: Buffer;
}

const block_bytes = 15;

export function sealedPack({ name, versionId, header, blocks: numbers }: FlatPackInfo): Buffer {
  const writer = sealing().text(name).text(versionId).bytes(header);
  const count = numbers.length / 4;
  const blocks = Buffer.alloc(count * block_bytes);
  let offset_bytes = header.length;
  for (let block = 0; block < count; block++) {
    const at = block * block_bytes;
    const stored_bytes = numbers[block * 4]!;
    blocks.writeUIntLE(offset_bytes, at, 6);
    blocks.writeUInt32LE(stored_bytes, at + 6);
    blocks.writeUInt32LE(numbers[block * 4 + 1]!, at + 10);
    blocks.writeUInt8(numbers[block * 4 + 2]!, at + 14);
    offset_bytes += stored_bytes;
  }
  return writer.bytes(blocks).take();
}

export function toPack(value: Buffer): PackRecord {
  const reader = new ByteReader(value, what);
  return {
    name: reader.text(text_bytes),
    versionId: reader.text(text_bytes),
    header: reader.bytes(text_bytes),
    blocks: reader.bytes(value.length),
  };
}

export function blockOf(
  pack: PackRecord,
  block: number,
): { offset_bytes: number; stored_bytes: number; plain_bytes: number; codec: Codec } | undefined {
  const at = block * block_bytes;
  if (at + block_bytes > pack.blocks.length) return undefined;
  return {
    offset_bytes: pack.blocks.readUIntLE(at, 6),
    stored_bytes: pack.blocks.readUInt32LE(at + 6),
    plain_bytes: pack.blocks.readUInt32LE(at + 10),
    codec: pack.blocks.readUInt8(at + 14) === codecs.zstd ? codecs.zstd : codecs.stored,
  };
}

// ---- counters ------------------------------------------------------------------------------------------------------

export const countersKey = Buffer.from('counters');

/** The next free number of each kind; 0 is never given out. */
export interface Counters {
  row: number;
  directory: number;
  pack: number;
  stream: number;
}

export function sealedCounters(counters: Counters): Buffer {
  return sealing()
    .varint(counters.row)
    .varint(counters.directory)
    .varint(counters.pack)
    .varint(counters.stream)
    .take();
}

export function toCounters(value: Buffer | undefined): Counters {
  if (value === undefined) return { row: 1, directory: 1, pack: 1, stream: 1 };
  const reader = new ByteReader(value, what);
  return { row: reader.varint(), directory: reader.varint(), pack: reader.varint(), stream: reader.varint() };
}
