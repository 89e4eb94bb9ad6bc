// Where each chunk lies: very many small rows under random keys, which one by one cost LMDB more than all else of a commit. So
// they lie in buckets of some dozens, by linear hashing: the bucket of an id follows from its bits and the number of buckets,
// which grows by splitting a few at a time. New chunks gather in memory and are merged at the end of the transaction.
//
// key of a bucket: its number u32 BE. Value: level u8 ‖ three zero bytes ‖ entries of 48 bytes, in no order.
//   A bucket of level l holds the ids whose low l bits are its number's; there are always all buckets below the table's number.
// entry: id 32 ‖ pack u32 ‖ block u32 ‖ offset u32 ‖ size u32
// key 'count' (5 bytes): buckets u32 LE ‖ chunks u48 LE

import type { ChunkId } from '../pack/types.js';
import { catalogDamaged } from './failure.js';
import { checksum_bytes, type Table } from './table.js';

export interface ChunkRecord {
  readonly pack: number;
  readonly block: number;
  readonly offset_bytes: number;
  readonly size_bytes: number;
}

const id_bytes = 32;
const entry_bytes = 48;
const head_bytes = 4;
/** So that even before it is split a bucket is less than half a page of the file. */
const chunksPerBucket = 16;
const countKey = Buffer.from('count');
/** Merged together at the most: 12 MiB. */
export const mostChunksAtOnce = 1 << 18;

/** Bits of an id that choose its bucket, as a signed number. */
const hashOf = (bytes: Uint8Array, at: number): number =>
  bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);

/** Which bucket is whose, among so many; below 2^30. */
class Addresses {
  readonly buckets: number;
  /** Greatest power of two that is not above their number. */
  readonly whole: number;
  readonly #mask: number;
  readonly #half: number;

  constructor(buckets: number) {
    this.buckets = buckets;
    this.whole = 1 << (31 - Math.clz32(buckets));
    this.#mask = this.whole * 2 - 1;
    this.#half = this.whole - 1;
  }

  of(hash: number): number {
    const bucket = hash & this.#mask;
    return bucket < this.buckets ? bucket : hash & this.#half;
  }

  /** How many bits decide about a bucket. */
  level(bucket: number): number {
    const isSplit = bucket < this.buckets - this.whole || bucket >= this.whole;
    return 31 - Math.clz32(this.whole) + (isSplit ? 1 : 0);
  }
}

function isSameId(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): boolean {
  // The first bytes are the same within a bucket more often than not.
  for (let index = id_bytes - 1; index >= 0; index--) if (a[aAt + index] !== b[bAt + index]) return false;
  return true;
}

const read32 = (bytes: Uint8Array, at: number): number => hashOf(bytes, at) >>> 0;

function write32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

const least_bytes = 64 * entry_bytes;

export class ChunkTable {
  readonly #table: Table;
  /** As they were when somebody last looked. */
  #addresses: Addresses | undefined;
  readonly #key = Buffer.alloc(4);
  #added = Buffer.allocUnsafe(least_bytes);
  #addedCount = 0;

  constructor(table: Table) {
    this.#table = table;
  }

  /** A no may be wrong where the file is damaged: then a chunk is stored once more. */
  has(id: ChunkId): boolean {
    return this.#find(id, false) !== undefined;
  }

  get(id: ChunkId): ChunkRecord | undefined {
    return this.#find(id, true);
  }

  #find(id: ChunkId, isForReading: boolean): ChunkRecord | undefined {
    const hash = hashOf(id, 0);
    for (let hasLooked = false; ;) {
      const addresses = (this.#addresses ??= new Addresses(this.#count().buckets));
      const bucket = addresses.of(hash);
      const bytes = this.#table.peek(this.#keyOf(bucket));
      // Bucket 0 is made by the first chunk of all.
      if (bytes === undefined && addresses.buckets === 1) return undefined;
      if (bytes?.[checksum_bytes] !== addresses.level(bucket)) {
        if (hasLooked) throw catalogDamaged('a bucket of chunks is not what it should be');
        hasLooked = true;
        this.#addresses = undefined;
        continue;
      }
      const end = bytes.length;
      for (let at = checksum_bytes + head_bytes; at < end; at += entry_bytes) {
        if (!isSameId(bytes, at, id, 0)) continue;
        this.#table.check(this.#key, bytes);
        return toRecord(bytes, at + id_bytes);
      }
      if (isForReading) this.#table.check(this.#key, bytes);
      return undefined;
    }
  }

  /** The chunk whose id lies there. Inside a transaction, at whose end it is written. A chunk that is there already has a new place then. */
  add(ids: Uint8Array, idAt: number, { pack, block, offset_bytes, size_bytes }: ChunkRecord): void {
    const at = this.#addedCount * entry_bytes;
    if (at === this.#added.length) {
      const grown = Buffer.allocUnsafe(at * 2);
      this.#added.copy(grown);
      this.#added = grown;
    }
    this.#addedCount++;
    const added = this.#added;
    for (let index = 0; index < id_bytes; index++) added[at + index] = ids[idAt + index]!;
    write32(added, at + id_bytes, pack);
    write32(added, at + id_bytes + 4, block);
    write32(added, at + id_bytes + 8, offset_bytes);
    write32(added, at + id_bytes + 12, size_bytes);
    if (this.#addedCount === mostChunksAtOnce) this.flush();
  }

  /** What was added in a transaction that has come to nothing. */
  forget(): void {
    this.#addresses = undefined;
    this.#addedCount = 0;
    if (this.#added.length > least_bytes) this.#added = Buffer.allocUnsafe(least_bytes);
  }

  /** Last step of a transaction. */
  flush(): void {
    if (this.#addedCount === 0) return;
    new Merge(this.#table, this.#count(), this.#added, this.#addedCount).run();
    this.forget();
  }

  #count(): Count {
    return toCount(this.#table.get(countKey));
  }

  #keyOf(bucket: number): Buffer {
    this.#key.writeUInt32BE(bucket, 0);
    return this.#key;
  }
}

interface Count {
  readonly buckets: number;
  readonly chunks: number;
}

const toCount = (value: Buffer | undefined): Count =>
  value === undefined
    ? { buckets: 1, chunks: 0 }
    : { buckets: value.readUInt32LE(0), chunks: value.readUIntLE(4, 6) };

function sealedCount({ buckets, chunks }: Count): Buffer {
  const sealed = Buffer.alloc(checksum_bytes + 10);
  sealed.writeUInt32LE(buckets, checksum_bytes);
  sealed.writeUIntLE(chunks, checksum_bytes + 4, 6);
  return sealed;
}

const toRecord = (bytes: Uint8Array, at: number): ChunkRecord => ({
  pack: read32(bytes, at),
  block: read32(bytes, at + 4),
  offset_bytes: read32(bytes, at + 8),
  size_bytes: read32(bytes, at + 12),
});

/** Numbers of added chunks stay below it. */
const orderScale = mostChunksAtOnce * 2;

/** Brings added entries into their buckets, and splits as many buckets as the table has to grow by. */
class Merge {
  readonly #table: Table;
  readonly #before: Count;
  readonly #after: Addresses;
  readonly #added: Buffer;
  /** Bucket and number of every added entry, sorted. */
  readonly #order: Float64Array;
  /** How many of these are done. */
  #next = 0;
  #known = 0;
  readonly #key = Buffer.alloc(4);
  #bucket = Buffer.alloc(least_bytes);

  constructor(table: Table, before: Count, added: Buffer, count: number) {
    this.#table = table;
    this.#before = before;
    this.#added = added;
    const wanted = Math.ceil((before.chunks + count) / chunksPerBucket);
    this.#after = new Addresses(Math.max(before.buckets, wanted));
    this.#order = new Float64Array(count);
    for (let index = 0; index < count; index++)
      this.#order[index] = this.#after.of(hashOf(added, index * entry_bytes)) * orderScale + index;
    this.#order.sort();
  }

  run(): void {
    const { buckets, chunks } = this.#before;
    const order = this.#order;
    // What is new first: the buckets that it is taken out of are still whole then.
    let firstNew = order.length;
    while (firstNew > 0 && order[firstNew - 1]! >= buckets * orderScale) firstNew--;
    this.#next = firstNew;
    const before = new Addresses(buckets);
    const after = this.#after.buckets;
    for (let bucket = buckets; bucket < after; bucket++) this.#write(bucket, before.of(bucket));
    const isAll = after > 2 * before.whole;
    let split = isAll ? 0 : buckets - before.whole;
    const splitEnd = isAll ? buckets : after - before.whole;
    this.#next = 0;
    for (;;) {
      const added = this.#next < firstNew ? Math.floor(order[this.#next]! / orderScale) : Infinity;
      const bucket = Math.min(added, split < splitEnd ? split : Infinity);
      if (bucket === Infinity) break;
      if (bucket === split) split++;
      this.#write(bucket, bucket);
    }
    const count = { buckets: after, chunks: chunks + order.length - this.#known };
    this.#table.put(countKey, sealedCount(count));
  }

  /** With what belongs there of an old bucket. */
  #write(bucket: number, source: number): void {
    const end = this.#take(bucket, this.#keep(bucket, source));
    this.#bucket.fill(0, checksum_bytes, checksum_bytes + head_bytes);
    this.#bucket[checksum_bytes] = this.#after.level(bucket);
    this.#key.writeUInt32BE(bucket, 0);
    this.#table.put(this.#key, this.#bucket.subarray(0, end));
  }

  #keep(bucket: number, source: number): number {
    let end = checksum_bytes + head_bytes;
    this.#key.writeUInt32BE(source, 0);
    const old = this.#table.peek(this.#key);
    if (old === undefined) {
      if (this.#before.chunks > 0) throw catalogDamaged('a bucket of chunks is missing');
      return end;
    }
    this.#table.check(this.#key, old);
    const oldEnd = old.length;
    const after = this.#after;
    for (let at = end; at < oldEnd; at += entry_bytes)
      if (after.of(hashOf(old, at)) === bucket) end = this.#append(old, at, end);
    return end;
  }

  #take(bucket: number, start: number): number {
    let end = start;
    const order = this.#order;
    for (; this.#next < order.length; this.#next++) {
      const place = order[this.#next]!;
      if (place >= (bucket + 1) * orderScale) break;
      const from = (place - bucket * orderScale) * entry_bytes;
      const bytes = this.#bucket;
      let at = checksum_bytes + head_bytes;
      while (at < end && !isSameId(bytes, at, this.#added, from)) at += entry_bytes;
      if (at < end) this.#known++;
      end = Math.max(end, this.#append(this.#added, from, at));
    }
    return end;
  }

  /** Returns where the entry ends. */
  #append(source: Uint8Array, from: number, at: number): number {
    const end = at + entry_bytes;
    if (end > this.#bucket.length) {
      const grown = Buffer.alloc(this.#bucket.length * 2);
      this.#bucket.copy(grown);
      this.#bucket = grown;
    }
    const bucket = this.#bucket;
    for (let index = 0; index < entry_bytes; index++) bucket[at + index] = source[from + index]!;
    return end;
  }
}
