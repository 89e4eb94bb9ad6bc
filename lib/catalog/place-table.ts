// Where each row number leads. Numbers are given out one after another, so many of them share a row of the table: a page. What
// is written gathers in the page at hand, which goes to the table when another is needed and at the end of the transaction.
//
// key of a page: number >> 5, u48 BE. Value: records in the order of their numbers
// record: slot u8 (number & 31) ‖ directory u48 ‖ from u32 ‖ size of the name u8 ‖ name

import { checksum_bytes, type Table } from './table.js';
import type { DirectoryId } from './types.js';

/** Where a row number leads: directory, name and first version of its state. */
export interface StatePlace {
  readonly directory: DirectoryId;
  readonly name: Buffer;
  readonly from: number;
}

const slots = 32;
/** A record without its name. */
const head_bytes = 12;
const longestName_bytes = 255;
const page_bytes = checksum_bytes + slots * (head_bytes + longestName_bytes);

function pageKey(page: number): Buffer {
  const key = Buffer.allocUnsafe(6);
  key.writeUIntBE(page, 0, 6);
  return key;
}

const pageOf = (row: number): number => Math.floor(row / slots);
const sizeOfRecord = (bytes: Buffer, at: number): number => head_bytes + bytes[at + head_bytes - 1]!;

/** Where the record of the slot is, or would be. */
function find(bytes: Buffer, start: number, end: number, slot: number): number {
  let at = start;
  while (at < end && bytes[at]! < slot) at += sizeOfRecord(bytes, at);
  return at;
}

export class PlaceTable {
  readonly #table: Table;
  /** The page at hand, with room for its checksum in front; only inside a transaction. */
  readonly #bytes = Buffer.alloc(page_bytes);
  #page: number | undefined;
  #end = checksum_bytes;
  /** Of the last record. */
  #lastSlot = -1;
  #isChanged = false;

  constructor(table: Table) {
    this.#table = table;
  }

  get(row: number): StatePlace | undefined {
    const page = pageOf(row);
    const slot = row % slots;
    if (page === this.#page)
      return toPlace(Buffer.from(this.#bytes.subarray(0, this.#end)), checksum_bytes, slot);
    const value = this.#table.get(pageKey(page));
    return value && toPlace(value, 0, slot);
  }

  /** Inside a transaction. */
  put(
    row: number,
    directory: DirectoryId,
    name: Uint8Array,
    from: number,
    nameStart = 0,
    nameEnd = name.length,
  ): void {
    const bytes = this.#bytes;
    const slot = row % slots;
    const name_bytes = nameEnd - nameStart;
    const at = this.#makeRoom(row, head_bytes + name_bytes);
    bytes[at] = slot;
    bytes.writeUIntLE(directory, at + 1, 6);
    bytes.writeUInt32LE(from, at + 7);
    bytes[at + head_bytes - 1] = name_bytes;
    for (let index = 0; index < name_bytes; index++)
      bytes[at + head_bytes + index] = name[nameStart + index]!;
    this.#lastSlot = Math.max(this.#lastSlot, slot);
  }

  /** Inside a transaction. */
  remove(row: number): void {
    this.#makeRoom(row, 0);
    this.#findLast();
  }

  /** A gap of that size in place of the record, if there is one. */
  #makeRoom(row: number, size_bytes: number): number {
    this.#load(pageOf(row));
    this.#isChanged = true;
    const slot = row % slots;
    const bytes = this.#bytes;
    const at = slot > this.#lastSlot ? this.#end : find(bytes, checksum_bytes, this.#end, slot);
    const old_bytes = at < this.#end && bytes[at] === slot ? sizeOfRecord(bytes, at) : 0;
    if (at < this.#end) bytes.copyWithin(at + size_bytes, at + old_bytes, this.#end);
    this.#end += size_bytes - old_bytes;
    return at;
  }

  #load(page: number): void {
    if (page === this.#page) return;
    this.flush();
    const value = this.#table.get(pageKey(page));
    this.#page = page;
    this.#end = checksum_bytes + (value?.copy(this.#bytes, checksum_bytes) ?? 0);
    this.#findLast();
  }

  #findLast(): void {
    this.#lastSlot = -1;
    for (let at = checksum_bytes; at < this.#end; at += sizeOfRecord(this.#bytes, at))
      this.#lastSlot = this.#bytes[at]!;
  }

  /** Last step of a transaction. */
  flush(): void {
    if (this.#page !== undefined && this.#isChanged)
      this.#table.put(pageKey(this.#page), this.#bytes.subarray(0, this.#end));
    this.forget();
  }

  /** What was put in a transaction that has come to nothing. */
  forget(): void {
    this.#page = undefined;
    this.#isChanged = false;
  }
}

function toPlace(bytes: Buffer, start: number, slot: number): StatePlace | undefined {
  const at = find(bytes, start, bytes.length, slot);
  if (at >= bytes.length || bytes[at] !== slot) return undefined;
  const name = bytes.subarray(at + head_bytes, at + sizeOfRecord(bytes, at));
  return { directory: bytes.readUIntLE(at + 1, 6), from: bytes.readUInt32LE(at + 7), name };
}
