// Entries as bytes: the same coding in commits, checkpoints, the records of packs and the catalog. Encoder and decoder hold
// the same limits, so that nothing is stored that will not be read. What decodes is bounded by the bytes that are there.

import type { ByteReader, ByteWriter } from '../bytes/cursor.js';
import { newerFormat, RrbackupError } from '../errors/index.js';
import type { ChunkId } from '../pack/types.js';
import { manifestLimits } from './layout.js';
import { entryTypes, type Entry, type EntryType, type Segment, type Xattr } from './types.js';

/** Encoding: the number of a chunk in an enclosing table, or undefined to write its id out. */
export type ChunkNumber = (id: ChunkId) => number | undefined;
/** Decoding: the id behind such a number, or undefined where the table ends before it. */
export type ChunkOfNumber = (number: number) => ChunkId | undefined;

const chunkId_bytes = 32;
export const maximumMode = 0o7777;
export const maximum32 = 0xffff_ffff;
const second_ns = 1_000_000_000n;
export const secondAsNumber_ns = 1_000_000_000;
const exactInDouble = BigInt(Number.MAX_SAFE_INTEGER);
/** Zigzag of it is still exact in a double. */
export const maximumSeconds = 2 ** 51;

/** How a segment begins; the number of a chunk in a table counts from `table`. */
export const segmentTags = { literal: 0, hole: 1, table: 2 } as const;
const minimumSegment_bytes = 2;

const noBytes = Buffer.alloc(0);
const noXattrs: readonly Xattr[] = Object.freeze([]);
const noContent: readonly Segment[] = Object.freeze([]);

const tooLargeCode = 'manifest.entry_too_large';

export function tooLarge(what: string): RrbackupError {
  return new RrbackupError({
    code: tooLargeCode,
    kind: 'failure',
    message: `it cannot be stored: ${what}`,
  });
}

/** Whether an entry was beyond the limits; the message says which one, and leaves it to others to name the entry. */
export function isTooLarge(error: unknown): error is RrbackupError {
  return error instanceof RrbackupError && error.code === tooLargeCode;
}

function typeCode(type: EntryType): number {
  return entryTypes.indexOf(type) + 1;
}

function isDevice(type: EntryType): boolean {
  return type === 'character-device' || type === 'block-device';
}

/** Seconds (zigzag) and nanoseconds of the second: unlike 64 bits of nanoseconds this holds every time a file system has. */
export function encodeTime(writer: ByteWriter, time_ns: bigint): void {
  // Divisions of BigInts take most of the time here: a quotient out of doubles may be off by one, and its rest, which is small,
  // is exact in 32 bits.
  let seconds = Math.floor(Number(time_ns) / secondAsNumber_ns);
  if (!(Math.abs(seconds) <= maximumSeconds + 1)) throw tooLarge('its time is out of range');
  let rest_ns = (Number(BigInt.asIntN(32, time_ns)) - Math.imul(seconds, secondAsNumber_ns)) | 0;
  if (rest_ns < 0) {
    rest_ns += secondAsNumber_ns;
    seconds -= 1;
  } else if (rest_ns >= secondAsNumber_ns) {
    rest_ns -= secondAsNumber_ns;
    seconds += 1;
  }
  if (Math.abs(seconds) > maximumSeconds) throw tooLarge('its time is out of range');
  writer.varint(seconds < 0 ? -2 * seconds - 1 : 2 * seconds).varint(rest_ns);
}

export function decodeTime(reader: ByteReader): bigint {
  const zigzag = reader.varint(2 * maximumSeconds);
  const seconds = zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
  return BigInt(seconds) * second_ns + BigInt(reader.varint(secondAsNumber_ns - 1));
}

/** High and low 32 bits as two varints: cheaper to decode than 64 bits in one. */
function encode64(writer: ByteWriter, value: bigint): void {
  if (value > exactInDouble) writer.varint(Number(value >> 32n)).varint(Number(value & 0xffff_ffffn));
  else {
    const whole = Number(value);
    const high = Math.floor(whole / 2 ** 32);
    writer.varint(high).varint(whole - high * 2 ** 32);
  }
}

function decode64(reader: ByteReader): bigint {
  const high = reader.varint(maximum32);
  const low = reader.varint(maximum32);
  return high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low);
}

/** Everything but the content. */
export function encodeAttributes(writer: ByteWriter, entry: Entry): void {
  writer.u8(typeCode(entry.type)).varint(entry.mode).varint(entry.uid).varint(entry.gid);
  encodeTime(writer, entry.mtime_ns);
  encodeTime(writer, entry.ctime_ns);
  encode64(writer, entry.inode);
  encode64(writer, entry.device);
  if (!Number.isSafeInteger(entry.size_bytes)) throw tooLarge('it is too long');
  writer.varint(entry.links).varint(entry.size_bytes);
  if (isDevice(entry.type)) writer.varint(entry.rdevMajor).varint(entry.rdevMinor);
  if (entry.type === 'symlink') {
    if (entry.target.length > manifestLimits.target_bytes) throw tooLarge('its target is too long');
    writer.bytes(entry.target);
  }
  encodeXattrs(writer, entry.xattrs);
}

export function encodeXattrs(writer: ByteWriter, xattrs: readonly Xattr[]): void {
  let total_bytes = 0;
  if (xattrs.length > manifestLimits.xattrs) throw tooLarge('it has too many extended attributes');
  writer.varint(xattrs.length);
  for (const { name, value } of xattrs) {
    total_bytes += name.length + value.length;
    if (name.length > manifestLimits.xattrName_bytes || value.length > manifestLimits.xattrValue_bytes)
      throw tooLarge('one of its extended attributes is too large');
    writer.bytes(name).bytes(value);
  }
  if (total_bytes > manifestLimits.xattrs_bytes) throw tooLarge('its extended attributes are too large');
}

export function decodeXattrs(reader: ByteReader): readonly Xattr[] {
  const count = reader.varint(manifestLimits.xattrs);
  if (count === 0) return noXattrs;
  const xattrs: Xattr[] = [];
  let total_bytes = 0;
  let before: Buffer | undefined;
  for (let index = 0; index < count; index++) {
    const name = reader.bytes(manifestLimits.xattrName_bytes);
    const value = reader.bytes(manifestLimits.xattrValue_bytes);
    total_bytes += name.length + value.length;
    if (name.length === 0 || name.includes(0)) reader.fail('a bad name of an extended attribute');
    if (before !== undefined && Buffer.compare(before, name) >= 0)
      reader.fail('extended attributes out of order');
    if (total_bytes > manifestLimits.xattrs_bytes) reader.fail('too many extended attributes');
    xattrs.push({ name, value });
    before = name;
  }
  return xattrs;
}

/** An entry with no content yet; `size_bytes` is what its content will have to add up to. Byte fields are views. */
export function decodeAttributes(reader: ByteReader): Entry {
  const code = reader.u8();
  const type = entryTypes[code - 1];
  if (type === undefined) throw newerFormat('an entry of an unknown type');
  const mode = reader.varint(maximumMode);
  const uid = reader.varint(maximum32);
  const gid = reader.varint(maximum32);
  const mtime_ns = decodeTime(reader);
  const ctime_ns = decodeTime(reader);
  const inode = decode64(reader);
  const device = decode64(reader);
  const links = reader.varint();
  const size_bytes = reader.varint();
  if (type !== 'file' && size_bytes !== 0) reader.fail(`a ${type} with a size`);
  const rdevMajor = isDevice(type) ? reader.varint(maximum32) : 0;
  const rdevMinor = isDevice(type) ? reader.varint(maximum32) : 0;
  const target = type === 'symlink' ? reader.bytes(manifestLimits.target_bytes) : noBytes;
  const xattrs = decodeXattrs(reader);
  const content = noContent;
  return {
    type,
    mode,
    uid,
    gid,
    mtime_ns,
    ctime_ns,
    inode,
    device,
    links,
    size_bytes,
    rdevMajor,
    rdevMinor,
    target,
    xattrs,
    content,
  };
}

/** varint count, then segments `from` … `to` - 1. Throws 'manifest.entry_too_large' for a content of too many. */
export function encodeSegments(
  writer: ByteWriter,
  content: readonly Segment[],
  numberOf?: ChunkNumber,
  from = 0,
  to = content.length,
): void {
  checkSegmentCount(content.length);
  writer.varint(to - from);
  for (let index = from; index < to; index++) {
    const segment = content[index]!;
    if (segment.kind === 'hole') writer.varint(segmentTags.hole);
    else {
      const number = numberOf?.(segment.id);
      if (number === undefined) writer.varint(segmentTags.literal).raw(segment.id);
      else writer.varint(segmentTags.table + number);
    }
    writer.varint(segment.size_bytes);
  }
}

/** Throws 'manifest.entry_too_large' for a content that no reader would take. */
export function checkSegmentCount(count: number): void {
  if (count > manifestLimits.segmentsPerFile) throw tooLarge('it is in too many pieces');
}

/** How many segments follow those `before` them of the same content, in a row that goes on or not. */
export function decodeSegmentCount(reader: ByteReader, before = 0, goesOn = false): number {
  const count = reader.varint(manifestLimits.segmentsPerFile - before);
  const isPossible = count * minimumSegment_bytes <= reader.remaining;
  if (!isPossible || (goesOn && count < manifestLimits.segmentsPerRow)) reader.fail(`${count} segments`);
  return count;
}

/** Appends so many to `content`, if it is given, and returns how many bytes of the file they cover. Ids are views. */
export function decodeSegments(
  reader: ByteReader,
  count: number,
  content: Segment[] | undefined,
  chunkOf?: ChunkOfNumber,
): number {
  let total_bytes = 0;
  for (let index = 0; index < count; index++) {
    const tag = reader.varint();
    let id: ChunkId | undefined;
    if (tag === segmentTags.literal) id = reader.raw(chunkId_bytes);
    else if (tag >= segmentTags.table) {
      id = chunkOf?.(tag - segmentTags.table);
      if (id === undefined) reader.fail(`no chunk has the number ${tag - segmentTags.table}`);
    }
    const size_bytes = reader.varint();
    if (size_bytes === 0) reader.fail('an empty segment');
    total_bytes += size_bytes;
    if (!Number.isSafeInteger(total_bytes)) reader.fail('too large a content');
    content?.push(id === undefined ? { kind: 'hole', size_bytes } : { kind: 'chunk', id, size_bytes });
  }
  return total_bytes;
}

/** A whole entry: attributes, and a file's content behind them. Throws 'manifest.entry_too_large' for what no limit admits. */
export function encodeEntry(writer: ByteWriter, entry: Entry, numberOf?: ChunkNumber): void {
  encodeAttributes(writer, entry);
  if (entry.type === 'file') encodeSegments(writer, entry.content, numberOf);
}

/**
 * What encodeEntry wrote; target, xattrs and ids are views of the reader's bytes. Throws 'format.damaged', or 'format.newer'
 * for an unknown type.
 */
export function decodeEntry(reader: ByteReader, chunkOf?: ChunkOfNumber): Entry {
  const attributes = decodeAttributes(reader);
  if (attributes.type !== 'file') return attributes;
  const content: Segment[] = [];
  const total_bytes = decodeSegments(reader, decodeSegmentCount(reader), content, chunkOf);
  if (total_bytes !== attributes.size_bytes)
    reader.fail(`content of ${total_bytes} bytes in a file of ${attributes.size_bytes}`);
  return content.length === 0 ? attributes : { ...attributes, content };
}
