// A version's header as bytes: in the root of its commit, in checkpoints, and once more in the last pack of the commit.

import type { ByteReader, ByteWriter } from '../bytes/cursor.js';
import { RrbackupError } from '../errors/index.js';
import { versionId_bytes } from '../pack/table.js';
import { decodeTime, encodeTime } from './entry.js';
import { manifestLimits } from './layout.js';
import type { VersionHeader, VersionStatistics } from './types.js';

/** In the order in which they are stored. */
const statisticsFields = [
  'files',
  'directories',
  'others',
  'bytes',
  'added',
  'changed',
  'removed',
  'newBytes',
  'storedBytes',
  'unreadable',
] as const satisfies readonly (keyof VersionStatistics)[];

const maximum32 = 0xffff_ffff;

function encodeHex(writer: ByteWriter, hex: string, size_bytes: number): void {
  const bytes = Buffer.from(hex, 'hex');
  if (bytes.length !== size_bytes || hex.length !== 2 * size_bytes)
    throw new RangeError(`not ${size_bytes} bytes: ${hex}`);
  writer.raw(bytes);
}

/** u8 0, or u8 1 and the bytes: the first version has no parent. */
function encodeOptionalHex(writer: ByteWriter, hex: string, size_bytes: number): void {
  writer.u8(hex === '' ? 0 : 1);
  if (hex !== '') encodeHex(writer, hex, size_bytes);
}

function decodeOptionalHex(reader: ByteReader, size_bytes: number): string {
  const flag = reader.u8();
  if (flag > 1) reader.fail(`a flag of ${flag}`);
  return flag === 0 ? '' : reader.raw(size_bytes).toString('hex');
}

function encodeText(writer: ByteWriter, text: string, limit_bytes: number): void {
  if (Buffer.byteLength(text) > limit_bytes) throw tooLarge(`a text of more than ${limit_bytes} bytes`);
  writer.text(text);
}

function tooLarge(what: string): RrbackupError {
  return new RrbackupError({
    code: 'manifest.header_too_large',
    kind: 'failure',
    message: `a version cannot be described: ${what}`,
  });
}

function encodeNames(writer: ByteWriter, names: ReadonlyMap<number, string>): void {
  if (names.size > manifestLimits.names) throw tooLarge(`${names.size} names of users or groups`);
  writer.varint(names.size);
  for (const [id, name] of [...names].sort(([a], [b]) => a - b)) {
    writer.varint(id);
    encodeText(writer, name, manifestLimits.name_bytes);
  }
}

function decodeNames(reader: ByteReader): Map<number, string> {
  const count = reader.varint(manifestLimits.names);
  const names = new Map<number, string>();
  let before = -1;
  for (let index = 0; index < count; index++) {
    const id = reader.varint(maximum32);
    if (id <= before) reader.fail('names out of order');
    names.set(id, reader.text(manifestLimits.name_bytes));
    before = id;
  }
  return names;
}

/** Throws 'manifest.header_too_large' for what no limit admits. */
export function encodeHeader(writer: ByteWriter, header: VersionHeader): void {
  const begin = writer.length;
  const isFirst = header.sequence === 1;
  if (
    !(header.sequence >= 1 && header.sequence <= manifestLimits.sequence) ||
    isFirst !== (header.parentHash === '')
  )
    throw new RangeError(`version ${header.sequence} with parent '${header.parentHash}'`);
  encodeHex(writer, header.stream, manifestLimits.identifier_bytes);
  writer.varint(header.sequence);
  encodeOptionalHex(writer, header.parentHash, manifestLimits.hash_bytes);
  encodeText(writer, header.parentVersionId, versionId_bytes);
  encodeHex(writer, header.run, manifestLimits.identifier_bytes);
  encodeOptionalHex(writer, header.parentRun, manifestLimits.identifier_bytes);
  encodeText(writer, header.host, manifestLimits.text_bytes);
  encodeText(writer, header.source, manifestLimits.text_bytes);
  if (header.sourcePath.length > manifestLimits.path_bytes)
    throw tooLarge('the path of its source is too long');
  writer.bytes(header.sourcePath);
  encodeTime(writer, header.started_ns);
  encodeTime(writer, header.finished_ns);
  encodeText(writer, header.program, manifestLimits.text_bytes);
  for (const field of statisticsFields) writer.varint(header.statistics[field]);
  encodeNames(writer, header.userNames);
  encodeNames(writer, header.groupNames);
  if (writer.length - begin > manifestLimits.header_bytes)
    throw tooLarge('its names of users and groups are too many');
}

export function decodeHeader(reader: ByteReader): VersionHeader {
  const stream = reader.raw(manifestLimits.identifier_bytes).toString('hex');
  const sequence = reader.varint(manifestLimits.sequence);
  const parentHash = decodeOptionalHex(reader, manifestLimits.hash_bytes);
  if (sequence === 0 || (sequence === 1) !== (parentHash === ''))
    reader.fail('a sequence number without its parent');
  return {
    stream,
    sequence,
    parentHash,
    parentVersionId: reader.text(versionId_bytes),
    run: reader.raw(manifestLimits.identifier_bytes).toString('hex'),
    parentRun: decodeOptionalHex(reader, manifestLimits.identifier_bytes),
    host: reader.text(manifestLimits.text_bytes),
    source: reader.text(manifestLimits.text_bytes),
    sourcePath: Buffer.from(reader.bytes(manifestLimits.path_bytes)),
    started_ns: decodeTime(reader),
    finished_ns: decodeTime(reader),
    program: reader.text(manifestLimits.text_bytes),
    statistics: decodeStatistics(reader),
    userNames: decodeNames(reader),
    groupNames: decodeNames(reader),
  };
}

function decodeStatistics(reader: ByteReader): VersionStatistics {
  const entries = statisticsFields.map((field) => [field, reader.varint()] as const);
  return Object.fromEntries(entries) as Record<(typeof statisticsFields)[number], number>;
}
