// What stat(2) shows of an entry, straight out of its bytes and into them: the fields of entry.ts up to the target of a symlink, without
// BigInts, without xattrs, without content. For listings of very many entries; checks what keeps it from going astray.

import type { ByteReader, ByteWriter } from '../bytes/cursor.js';
import { damaged, newerFormat } from '../errors/index.js';
import {
  encodeXattrs,
  maximum32,
  maximumMode,
  maximumSeconds,
  secondAsNumber_ns,
  tooLarge,
} from './entry.js';
import { manifestLimits } from './layout.js';
import { entryTypes, type EntryType, type Xattr } from './types.js';

/** Filled in again for each entry of a listing, so that listing makes no garbage. */
export class MutableStatus {
  type: EntryType = 'file';
  mode = 0;
  uid = 0;
  gid = 0;
  /** Rounded down; what is left of the second is never negative. */
  mtime_s = 0;
  mtimeRest_ns = 0;
  ctime_s = 0;
  ctimeRest_ns = 0;
  /** Inode and device, 32 bits each. */
  inodeHigh = 0;
  inodeLow = 0;
  deviceHigh = 0;
  deviceLow = 0;
  links = 0;
  size_bytes = 0;
  rdevMajor = 0;
  rdevMinor = 0;
  /** Length of a symlink's target. */
  target_bytes = 0;
}
/** With what tells the entry from others on its own file system. */
export type SourceStatus = Readonly<MutableStatus>;
export type EntryStatus = Omit<SourceStatus, 'inodeHigh' | 'inodeLow' | 'deviceHigh' | 'deviceLow'>;

/** More bytes than that no number has. */
const longestVarint_bytes = 8;

// Where decoding is: kept here so that no object has to be made for it.
let bytes: Uint8Array = new Uint8Array(0);
let at = 0;

/** Of the entry that begins at `start`; returns where its xattrs begin, or a symlink's target. Throws 'format.damaged', or 'format.newer' for an unknown type. */
export function decodeStatus(source: Uint8Array, start: number, into: MutableStatus): number {
  if (start >= source.length) throw damaged('format.damaged', 'an entry ends early');
  bytes = source;
  at = start;
  const type = entryTypes[bytes[at++]! - 1];
  if (type === undefined) throw newerFormat('an entry of an unknown type');
  into.type = type;
  into.mode = varint();
  into.uid = varint();
  into.gid = varint();
  into.mtime_s = seconds();
  into.mtimeRest_ns = varint();
  into.ctime_s = seconds();
  into.ctimeRest_ns = varint();
  into.inodeHigh = varint();
  into.inodeLow = varint();
  into.deviceHigh = varint();
  into.deviceLow = varint();
  into.links = varint();
  into.size_bytes = varint();
  const isDevice = type === 'character-device' || type === 'block-device';
  into.rdevMajor = isDevice ? varint() : 0;
  into.rdevMinor = isDevice ? varint() : 0;
  into.target_bytes = type === 'symlink' ? varint() : 0;
  if (at > bytes.length) throw damaged('format.damaged', 'an entry ends early');
  return at;
}

/** The limits that entry.ts has, of what somebody else has written. */
export function checkStatus(status: SourceStatus, reader: ByteReader): void {
  const { type, mode, uid, gid, links, size_bytes, rdevMajor, rdevMinor, target_bytes } = status;
  if (mode > maximumMode) reader.fail(`a mode of ${mode}`);
  const isTime = (seconds: number, rest_ns: number): boolean =>
    Math.abs(seconds) <= maximumSeconds && rest_ns < secondAsNumber_ns;
  if (!isTime(status.mtime_s, status.mtimeRest_ns) || !isTime(status.ctime_s, status.ctimeRest_ns))
    reader.fail('a time that is none');
  const { inodeHigh, inodeLow, deviceHigh, deviceLow } = status;
  if (Math.max(uid, gid, inodeHigh, inodeLow, deviceHigh, deviceLow, rdevMajor, rdevMinor) > maximum32)
    reader.fail('a number is over its limit');
  if (!Number.isSafeInteger(links) || !Number.isSafeInteger(size_bytes)) reader.fail('a number is too large');
  if (type !== 'file' && size_bytes !== 0) reader.fail(`a ${type} with a size`);
  if (target_bytes > manifestLimits.target_bytes) reader.fail('a target is too long');
}

/** What decodeStatus reads, and the extended attributes behind it: all of an entry but a file's content, as entry.ts has it. */
export function encodeStatus(
  writer: ByteWriter,
  status: SourceStatus,
  target: Uint8Array,
  xattrs: readonly Xattr[],
): void {
  const { type } = status;
  writer
    .u8(entryTypes.indexOf(type) + 1)
    .varint(status.mode)
    .varint(status.uid)
    .varint(status.gid);
  encodeSeconds(writer, status.mtime_s, status.mtimeRest_ns);
  encodeSeconds(writer, status.ctime_s, status.ctimeRest_ns);
  writer.varint(status.inodeHigh).varint(status.inodeLow).varint(status.deviceHigh).varint(status.deviceLow);
  writer.varint(status.links).varint(status.size_bytes);
  if (type === 'character-device' || type === 'block-device')
    writer.varint(status.rdevMajor).varint(status.rdevMinor);
  if (type === 'symlink') {
    if (target.length > manifestLimits.target_bytes) throw tooLarge('its target is too long');
    writer.bytes(target);
  }
  encodeXattrs(writer, xattrs);
}

function encodeSeconds(writer: ByteWriter, seconds: number, rest_ns: number): void {
  if (!(Math.abs(seconds) <= maximumSeconds)) throw tooLarge('its time is out of range');
  writer.varint(seconds < 0 ? -2 * seconds - 1 : 2 * seconds).varint(rest_ns);
}

function seconds(): number {
  const zigzag = varint();
  return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
}

/** Behind the end there are no bytes, which is noticed once everything is read. */
function varint(): number {
  let byte = bytes[at++]!;
  if (byte < 0x80) return byte;
  let value = byte & 0x7f;
  let scale = 0x80;
  for (let count = 1; count < longestVarint_bytes; count++) {
    byte = bytes[at++]!;
    value += (byte & 0x7f) * scale;
    if (!(byte >= 0x80)) return value;
    scale *= 0x80;
  }
  throw damaged('format.damaged', 'a number in an entry is too large');
}
