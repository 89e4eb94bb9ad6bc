// The table of chunks that a run stores or may re-use, shared by all worker threads so that no two of them store the same
// chunk. Open addressing in one SharedArrayBuffer of fixed size; pages never touched cost no memory. When it is full,
// chunks are no longer remembered: stored twice at worst, never lost.

import type { ChunkId } from '../pack/types.js';

/** 2^21 slots of 16 bytes: 32 MiB at most, room for 1.5 million new chunks a run. */
const slotCountDefault = 1 << 21;
const maximumLoad = 0.75;
const wordsPerSlot = 4;

// First word of a slot. A writer claims an empty slot by compare-and-swap, fills in the tag, then publishes the owner.
const empty = 0;
const filling = -1;

/** Owner of a chunk that this run stores itself. Chunks found in an interrupted run's pack k have owner firstOrphan + k. */
const thisRun = 1;
const firstOrphan = 2;

export type Claim =
  /** Nobody has it: the caller must store it. */
  | { readonly kind: 'mine' }
  /** Stored, or being stored, by this run. */
  | { readonly kind: 'known' }
  /** In a pack that an interrupted run left behind. */
  | { readonly kind: 'orphan'; readonly pack: number };

const mine: Claim = { kind: 'mine' };
const known: Claim = { kind: 'known' };

export class ChunkTable {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #mask: number;

  constructor(buffer?: SharedArrayBuffer, slotCount = slotCountDefault) {
    // The last slot's place behind the table counts the entries.
    this.buffer = buffer ?? new SharedArrayBuffer((slotCount + 1) * wordsPerSlot * 4);
    this.#words = new Int32Array(this.buffer);
    this.#mask = this.buffer.byteLength / (wordsPerSlot * 4) - 2;
  }

  get #countAt(): number {
    return (this.#mask + 1) * wordsPerSlot;
  }

  get size(): number {
    return Atomics.load(this.#words, this.#countAt);
  }

  /** Takes the chunk for this run, unless somebody was first. Ids are keyed hashes: 96 of their bits identify them here. */
  claim(id: ChunkId): Claim {
    const owner = this.#insert(id, thisRun);
    if (owner === empty) return mine;
    return owner >= firstOrphan ? { kind: 'orphan', pack: owner - firstOrphan } : known;
  }

  /** Notes a chunk of an interrupted run's pack; the first pack that holds it counts. */
  addOrphan(id: ChunkId, pack: number): void {
    this.#insert(id, firstOrphan + pack);
  }

  /** The owner found, or `empty` when the chunk was not there (and now is, unless the table is full). */
  #insert(id: ChunkId, owner: number): number {
    const view = new DataView(id.buffer, id.byteOffset, id.byteLength);
    const tags = [view.getInt32(4, true), view.getInt32(8, true), view.getInt32(12, true)] as const;
    const words = this.#words;
    const isFull = this.size > maximumLoad * (this.#mask + 1);
    for (let slot = view.getUint32(0, true) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const at = slot * wordsPerSlot;
      let found = Atomics.load(words, at);
      if (found === empty) {
        if (isFull) return empty;
        found = Atomics.compareExchange(words, at, empty, filling);
        if (found === empty) {
          words[at + 1] = tags[0];
          words[at + 2] = tags[1];
          words[at + 3] = tags[2];
          Atomics.store(words, at, owner);
          Atomics.add(words, this.#countAt, 1);
          return empty;
        }
      }
      // Another thread is between its claim and its publication: a matter of nanoseconds.
      while (found === filling) found = Atomics.load(words, at);
      if (words[at + 1] === tags[0] && words[at + 2] === tags[1] && words[at + 3] === tags[2]) return found;
    }
  }
}
