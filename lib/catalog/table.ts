// One named table of the catalog: bytes to bytes, each value under a checksum of its key and itself, so that a damaged
// catalog is an error and never an answer. Knows no row format.

import type { Database } from 'lmdb';

import { catalogDamaged } from './failure.js';
import { filling, type Stretch } from './stretch.js';

export type Store = Database<Buffer, Buffer>;

export interface Pair {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** Bytes of every stored value that are its checksum; the rest is the value. */
export const checksum_bytes = 4;

/**
 * FNV-1a over four bytes at a time, seeded with the lengths: it guards against rot and stray writes, not against people (whoever can write the
 * catalog can read the source, too). A table-driven CRC costs three times as much.
 */
export function checksum(key: Uint8Array, value: Uint8Array, valueStart: number): number {
  let sum = 0x811c9dc5 ^ key.length;
  sum = Math.imul(mix(sum, key, 0, key.length), 0x01000193) ^ (value.length - valueStart);
  return finish(mix(sum, value, valueStart, value.length));
}

/** The same of a row in a stretch. */
function checksumOf({ bytes, places }: Stretch, row: number): number {
  const keyStart = places[row * 4]!;
  const keyEnd = places[row * 4 + 1]!;
  const valueStart = places[row * 4 + 2]! + checksum_bytes;
  const valueEnd = places[row * 4 + 3]!;
  let sum = 0x811c9dc5 ^ (keyEnd - keyStart);
  sum = Math.imul(mix(sum, bytes, keyStart, keyEnd), 0x01000193) ^ (valueEnd - valueStart);
  return finish(mix(sum, bytes, valueStart, valueEnd));
}

function mix(seed: number, bytes: Uint8Array, start: number, length: number): number {
  let sum = seed;
  const whole = length - ((length - start) & 3);
  let at = start;
  for (; at < whole; at += 4) {
    const word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
    sum = Math.imul(sum ^ word, 0x01000193);
    sum ^= sum >>> 15;
  }
  for (; at < length; at++) sum = Math.imul(sum ^ bytes[at]!, 0x01000193);
  return sum;
}

const read32 = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;

function finish(sum: number): number {
  const first = Math.imul(sum ^ (sum >>> 16), 0x85ebca6b);
  return (first ^ (first >>> 13)) >>> 0;
}

export class Table {
  readonly #store: Store;
  readonly #name: string;
  readonly #stretches: Store | undefined;

  /** `stretches`: the same table, opened with stretchCoders. */
  constructor(store: Store, name: string, stretches?: Store) {
    this.#store = store;
    this.#name = name;
    this.#stretches = stretches;
  }

  /** The value, a copy of its own; undefined if there is none. Throws 'catalog.damaged'. */
  get(key: Buffer): Buffer | undefined {
    const stored = this.#store.getBinary(key);
    return stored === undefined ? undefined : this.#open(key, stored);
  }

  has(key: Buffer): boolean {
    return this.#store.getBinaryFast(key) !== undefined;
  }

  /** What is stored, checksum and all, where lmdb has put it: valid until the next read of any table. Nothing is checked. */
  peek(key: Buffer): Buffer | undefined {
    return this.#store.getBinaryFast(key) as Buffer | undefined;
  }

  /** Throws 'catalog.damaged' if what `peek` gave is not what was stored. */
  check(key: Buffer, stored: Buffer): void {
    if (stored.length < checksum_bytes || read32(stored, 0) !== checksum(key, stored, checksum_bytes))
      this.#fail();
  }

  /**
   * `sealed` is a buffer whose first four bytes are free for the checksum; the value follows. It may be re-used at once.
   * Only inside a transaction.
   */
  put(key: Buffer, sealed: Buffer): void {
    const sum = checksum(key, sealed, checksum_bytes);
    sealed[0] = sum;
    sealed[1] = sum >>> 8;
    sealed[2] = sum >>> 16;
    sealed[3] = sum >>> 24;
    void this.#store.put(key, sealed);
  }

  /** Only inside a transaction. */
  remove(key: Buffer): void {
    void this.#store.remove(key);
  }

  /** Up to `limit` pairs with start ≤ key < end, in key order. All are read at once: no cursor stays open behind it. */
  range(start: Buffer, end: Buffer, limit: number): Pair[] {
    const pairs: Pair[] = [];
    for (const { key, value } of this.#store.getRange({ start, end, limit })) {
      pairs.push({ key, value: this.#open(key, value) });
    }
    return pairs;
  }

  /**
   * The same for those who read very many: adds the pairs to a stretch and calls `visit` after each; true ends it. Only for a
   * table that was opened for it.
   */
  stretch(start: Buffer, end: Buffer, limit: number, stretch: Stretch, visit: () => boolean): void {
    if (this.#stretches === undefined) throw new Error(`table '${this.#name}' is not read in stretches`);
    const pairs = this.#stretches.getRange({ start, end, limit })[Symbol.iterator]();
    filling(stretch, () => {
      while (pairs.next().done !== true) {
        const row = stretch.rows - 1;
        const size = stretch.places[row * 4 + 3]! - stretch.places[row * 4 + 2]!;
        if (
          size < checksum_bytes ||
          stretch.bytes.readUInt32LE(stretch.places[row * 4 + 2]) !== checksumOf(stretch, row)
        )
          this.#fail();
        if (visit()) {
          pairs.return?.();
          return;
        }
      }
    });
  }

  /** The same, in pages that grow; safe while anything else reads or time passes. */
  *scan(start: Buffer, end: Buffer): Generator<Pair, void, undefined> {
    let from = start;
    for (let limit = 16; ; limit = Math.min(limit * 2, 512)) {
      const pairs = this.range(from, end, limit);
      yield* pairs;
      const last = pairs.at(-1);
      if (last === undefined || pairs.length < limit) return;
      from = Buffer.concat([last.key, Buffer.of(0)]);
    }
  }

  #open(key: Buffer, stored: Buffer): Buffer {
    this.check(key, stored);
    return stored.subarray(checksum_bytes);
  }

  #fail(): never {
    throw catalogDamaged(`a row of its table '${this.#name}' does not match its checksum`);
  }
}
