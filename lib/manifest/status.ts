// What stat(2) shows of an entry, straight out of its bytes: the fields of entry.ts up to the target of a symlink, without
// BigInts, without xattrs, without content. For listings of very many entries; checks what keeps it from going astray.

import { damaged, newerFormat } from '../errors/index.js';
import { entryTypes, type EntryType } from './types.js';

export interface EntryStatus {
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Rounded down; what is left of the second is never negative. */
  readonly mtime_s: number;
  readonly mtimeRest_ns: number;
  readonly ctime_s: number;
  readonly ctimeRest_ns: number;
  readonly links: number;
  readonly size_bytes: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** Length of a symlink's target. */
  readonly target_bytes: number;
}

/** More bytes than that no number has. */
const longestVarint_bytes = 8;

// Where decoding is: kept here so that no object has to be made for it.
let bytes: Uint8Array = new Uint8Array(0);
let at = 0;

/** Of the entry that begins at `start`. Throws 'format.damaged', or 'format.newer' for an unknown type. */
export function decodeStatus(source: Uint8Array, start: number): EntryStatus {
  bytes = source;
  at = start;
  const type = entryTypes[bytes[at++]! - 1];
  if (type === undefined) throw newerFormat('an entry of an unknown type');
  const mode = varint();
  const uid = varint();
  const gid = varint();
  const mtime_s = seconds();
  const mtimeRest_ns = varint();
  const ctime_s = seconds();
  const ctimeRest_ns = varint();
  // Inode and device, two halves each.
  for (let half = 0; half < 4; half++) varint();
  const links = varint();
  const size_bytes = varint();
  const isDevice = type === 'character-device' || type === 'block-device';
  const rdevMajor = isDevice ? varint() : 0;
  const rdevMinor = isDevice ? varint() : 0;
  const target_bytes = type === 'symlink' ? varint() : 0;
  if (at > bytes.length) throw damaged('format.damaged', 'an entry ends early');
  return {
    type,
    mode,
    uid,
    gid,
    mtime_s,
    mtimeRest_ns,
    ctime_s,
    ctimeRest_ns,
    links,
    size_bytes,
    rdevMajor,
    rdevMinor,
    target_bytes,
  };
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
