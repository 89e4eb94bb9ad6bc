// The heart of the catalog: one row per state of an entry, with the interval of versions in which it holds. Keys and values
// of the table 'nodes' as bytes; does no reading or writing of its own.
//
// key of a state:   directory u48 BE ‖ name ‖ 00 ‖ age u32 BE
//   age 0 is the newest state of that name; an older one has ~from: the states of a name are neighbours, newest first, and
//   a name is less than every longer name that begins with it, because no name holds a NUL.
// value of a state: from u32 ‖ to u32 (all ones: still holds) ‖ row u48 ‖ own u48 ‖ holes u64 ‖ entry (lib/manifest)
//   row: the inode number of the mount, shared by hard links
//   own: of a directory its DirectoryId; of anything else the row number that leads to this very name, which differs from
//   `row` for the second and every later name of a file
//   holes: how many bytes of a file are holes, so that its blocks are known without looking at its segments

import { ByteReader } from '../bytes/cursor.js';
import { sha256 } from '../crypto/index.js';
import { decodeEntry } from '../manifest/entry.js';
import { decodeStatus, MutableStatus } from '../manifest/status.js';
import { entryTypes, type Entry } from '../manifest/types.js';
import { checksum_bytes } from './table.js';
import type { CatalogEntry, CatalogRow, DirectoryId } from './types.js';

/** The value of `to` while a state still holds. Sequence numbers stay below it. */
export const stillHolds = 0xffffffff;

const directory_bytes = 6;
const age_bytes = 4;
const longestName_bytes = 255;
const state_bytes = 28;

const offset = { from: 0, to: 4, row: 8, own: 14, holes: 20, entry: state_bytes } as const;
/** How an entry begins that is a directory. */
const directoryCode = entryTypes.indexOf('directory') + 1;

/** The directory above the root directories of all streams; a root's name in it is its stream's id. */
export const above: DirectoryId = 0;

/** Keys of newest states, one after another in the same memory. */
export class StateKeys {
  readonly #bytes = Buffer.alloc(directory_bytes + longestName_bytes + 1 + age_bytes);
  #directory: DirectoryId = 0;

  /** Of the name that lies there; valid until the next call. */
  newest(directory: DirectoryId, source: Uint8Array, start: number, end: number): Buffer {
    const bytes = this.#bytes;
    if (directory !== this.#directory) {
      bytes.writeUIntBE(directory, 0, directory_bytes);
      this.#directory = directory;
    }
    let at = directory_bytes;
    for (let index = start; index < end; index++) bytes[at++] = source[index]!;
    for (const keyEnd = at + 1 + age_bytes; at < keyEnd; at++) bytes[at] = 0;
    return bytes.subarray(0, at);
  }
}

/** Key of the newest state, or of the one that began at `from`. */
export function stateKey(directory: DirectoryId, name: Uint8Array, from?: number): Buffer {
  const key = Buffer.allocUnsafe(directory_bytes + name.length + 1 + age_bytes);
  key.writeUIntBE(directory, 0, directory_bytes);
  key.set(name, directory_bytes);
  key[directory_bytes + name.length] = 0;
  key.writeUInt32BE(from === undefined ? 0 : ~from >>> 0, directory_bytes + name.length + 1);
  return key;
}

/** The least key behind all states of a name. */
export function afterName(directory: DirectoryId, name: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(directory_bytes + name.length + 1);
  key.writeUIntBE(directory, 0, directory_bytes);
  key.set(name, directory_bytes);
  key[directory_bytes + name.length] = 1;
  return key;
}

/** The least key of a directory; that of its successor ends it. */
export function directoryStart(directory: DirectoryId): Buffer {
  const key = Buffer.allocUnsafe(directory_bytes);
  key.writeUIntBE(directory, 0, directory_bytes);
  return key;
}

export const nameOfKey = (key: Buffer): Buffer => key.subarray(directory_bytes, key.length - age_bytes - 1);
export const isNewest = (key: Buffer): boolean => isNewestAt(key, key.length);
/** The same of a key that ends at `end`. */
export const isNewestAt = (bytes: Buffer, end: number): boolean => bytes.readUInt32BE(end - age_bytes) === 0;

export const fromOf = (state: Buffer): number => state.readUInt32LE(offset.from);
export const toOf = (state: Buffer): number => state.readUInt32LE(offset.to);
export const rowOf = (state: Buffer): number => state.readUIntLE(offset.row, 6);
/** 0: it is no directory. */
export const directoryOf = (state: Buffer): DirectoryId =>
  state[offset.entry] === directoryCode ? state.readUIntLE(offset.own, 6) : 0;
/** The row number that leads to this very name; of a directory the row itself. */
export const ownRowOf = (state: Buffer): number =>
  state[offset.entry] === directoryCode ? rowOf(state) : state.readUIntLE(offset.own, 6);
export const entryBytesOf = (state: Buffer): Buffer => state.subarray(offset.entry);

export function entryOf(state: Buffer): Entry {
  const reader = new ByteReader(entryBytesOf(state), 'a row of the local catalog');
  const entry = decodeEntry(reader);
  reader.end();
  return entry;
}

export function toCatalogEntry(name: Buffer, state: Buffer): CatalogEntry {
  const to = toOf(state);
  const directory = directoryOf(state);
  return {
    name,
    id: rowOf(state),
    directory: directory === 0 ? undefined : directory,
    from: fromOf(state),
    to: to === stillHolds ? Infinity : to,
    entry: entryOf(state),
  };
}

/** A state as a row. One object serves a whole listing. */
export class MutableRow implements CatalogRow {
  nameBytes: Uint8Array = new Uint8Array(0);
  nameStart = 0;
  nameEnd = 0;
  id = 0;
  position = 0;
  directory: DirectoryId | undefined;
  holes_bytes = 0;
  readonly status = new MutableStatus();

  /** The state begins at `at`. */
  set(state: Buffer, at: number): this {
    const own = read48(state, at + offset.own);
    const isDirectory = state[at + offset.entry] === directoryCode;
    this.id = read48(state, at + offset.row);
    this.position = isDirectory ? this.id : own;
    this.directory = isDirectory ? own : undefined;
    this.holes_bytes = read32(state, at + offset.holes) + read32(state, at + offset.holes + 4) * 2 ** 32;
    decodeStatus(state, at + offset.entry, this.status);
    return this;
  }

  setName(bytes: Uint8Array, start: number, end: number): this {
    this.nameBytes = bytes;
    this.nameStart = start;
    this.nameEnd = end;
    return this;
  }

  /** Of a key that begins and ends there. */
  setNameOfKey(bytes: Buffer, start: number, end: number): this {
    return this.setName(bytes, start + directory_bytes, end - age_bytes - 1);
  }
}

/** Whether the state that begins there holds in a version. */
export const holdsAt = (bytes: Buffer, at: number, sequence: number): boolean =>
  read32(bytes, at + offset.from) <= sequence && read32(bytes, at + offset.to) > sequence;

/** Without the checks of Buffer's own methods, which take most of the time here. */
const read32 = (bytes: Buffer, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
const read48 = (bytes: Buffer, at: number): number =>
  read32(bytes, at) + (bytes[at + 4]! | (bytes[at + 5]! << 8)) * 2 ** 32;

/** What a state needs in front of its entry to be ready for Table.put. */
export const stateRoom_bytes = checksum_bytes + state_bytes;

/** The whole state, still open, ready for Table.put: made around an entry that has room in front. `own`: a DirectoryId, or the row number of this very name. */
export function sealedState(
  bytes: Buffer,
  entry: { readonly start: number; readonly end: number; readonly holes_bytes: number },
  from: number,
  row: number,
  own: number,
): Buffer {
  const at = entry.start - state_bytes;
  write32(bytes, at + offset.from, from);
  write32(bytes, at + offset.to, stillHolds);
  write48(bytes, at + offset.row, row);
  write48(bytes, at + offset.own, own);
  write32(bytes, at + offset.holes, entry.holes_bytes);
  write32(bytes, at + offset.holes + 4, entry.holes_bytes / 2 ** 32);
  return bytes.subarray(at - checksum_bytes, entry.end);
}

/** The least significant bits of a number below 2^53. */
function write32(bytes: Buffer, at: number, value: number): void {
  const word = value | 0;
  bytes[at] = word;
  bytes[at + 1] = word >>> 8;
  bytes[at + 2] = word >>> 16;
  bytes[at + 3] = word >>> 24;
}

function write48(bytes: Buffer, at: number, value: number): void {
  write32(bytes, at, value);
  const high = Math.floor(value / 2 ** 32);
  bytes[at + 4] = high;
  bytes[at + 5] = high >>> 8;
}

/** A stored state with another end, ready for Table.put. */
export function withEnd(state: Buffer, to: number): Buffer {
  const sealed = Buffer.allocUnsafe(checksum_bytes + state.length);
  sealed.set(state, checksum_bytes);
  sealed.writeUInt32LE(to, checksum_bytes + offset.to);
  return sealed;
}

/** A stored state with another beginning, ready for Table.put. */
export function withStart(state: Buffer, from: number): Buffer {
  const sealed = withEnd(state, toOf(state));
  sealed.writeUInt32LE(from, checksum_bytes + offset.from);
  return sealed;
}

/** A stored state under other numbers, ready for Table.put; `own` as in StateWriter.finish. */
export function withNumbers(state: Buffer, row: number, own: number): Buffer {
  const sealed = withEnd(state, toOf(state));
  sealed.writeUIntLE(row, checksum_bytes + offset.row, 6);
  sealed.writeUIntLE(own, checksum_bytes + offset.own, 6);
  return sealed;
}

/**
 * Hard links share a row number: within a stream, what has several links and is the same in every byte of its entry, inode
 * and device among them.
 */
export function linkKey(stream: number, entry: Uint8Array): Buffer {
  const key = Buffer.allocUnsafe(4 + 32);
  key.writeUInt32BE(stream, 0);
  key.set(sha256(entry), 4);
  return key;
}
