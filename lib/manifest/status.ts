// What stat(2) shows of an entry, straight out of its bytes: the fields of entry.ts up to the target of a symlink, without
// BigInts, without xattrs, without content. For listings of very many entries; checks what keeps it from going astray.

import { damaged, newerFormat } from '../errors/index.js';
import { entryTypes, type EntryType } from './types.js';

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

/** Of the entry that begins at `start`. Throws 'format.damaged', or 'format.newer' for an unknown type. */
export function decodeStatus(source: Uint8Array, start: number, into: MutableStatus): void {
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
