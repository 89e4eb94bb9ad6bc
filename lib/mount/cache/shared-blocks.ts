// Plain blocks of packs in memory that all threads of a mount share: bounded by its size, one decoding per block however many
// threads want it. (`lru-cache` lives in one thread.) What is evicted is what was not used since the hand of a clock passed last.
// Knows no keys, no stores and no files; holds no bytes that nobody vouched for.
//
// The memory: control words, hash buckets, a table of entries, a list of pages, the pages. Everything but the pages is touched
// under one lock only; a page is read and written only while its entry is pinned.

import { SharedMutex } from '../../workers/mutex.js';
import type { ChunkPlace } from '../../pack/types.js';

const page_bytes = 32 * 1024;
const nothing = -1;

const control = { lock: 0, hand: 1, freeEntry: 2, freePage: 3, freePages: 4, used: 5, words: 8 } as const;
const field = {
  pack0: 0,
  pack1: 1,
  block: 2,
  next: 3,
  state: 4,
  size_bytes: 5,
  firstPage: 6,
  pins: 7,
  isUsed: 8,
  isProven: 9,
  /** Neighbours in the ring that the clock's hand goes around: entries in use. */
  before: 10,
  after: 11,
  words: 12,
} as const;
const states = { free: 0, filling: 1, ready: 2 } as const;

interface Shape {
  readonly pages: number;
  readonly entries: number;
  readonly buckets: number;
  readonly entriesAt: number;
  readonly pageListAt: number;
  readonly pagesAt_bytes: number;
  readonly total_bytes: number;
}

/** How a memory of so many pages is laid out. */
function shapeOf(pages: number): Shape {
  const entries = pages;
  const buckets = 2 ** Math.ceil(Math.log2(entries + 1));
  const entriesAt = control.words + buckets;
  const pageListAt = entriesAt + entries * field.words;
  const pagesAt_bytes = Math.ceil(((pageListAt + pages) * 4) / page_bytes) * page_bytes;
  return {
    pages,
    entries,
    buckets,
    entriesAt,
    pageListAt,
    pagesAt_bytes,
    total_bytes: pagesAt_bytes + pages * page_bytes,
  };
}

/** A pinned entry: its bytes stay what they are until it is released. */
export type Pinned = number & { readonly __brand?: 'Pinned' };

export type Claim =
  /** Its bytes are there. */
  | { readonly kind: 'ready'; readonly block: Pinned }
  /** The caller must `fill` or `abandon` it, soon: others wait. */
  | { readonly kind: 'claimed'; readonly block: Pinned }
  /** Everything is pinned; do without. */
  | { readonly kind: 'full' };

export class SharedBlocks {
  /** May be given to other threads. */
  readonly memory: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: Buffer;
  readonly #shape: Shape;
  readonly #lock: SharedMutex;
  #pack = '';
  /** 64 bits of the name of `#pack`, which is a hash; chunks are checked against their ids besides. */
  #pack0 = 0;
  #pack1 = 0;

  constructor(memory: SharedArrayBuffer) {
    this.memory = memory;
    this.#words = new Int32Array(memory, 0, Math.floor(memory.byteLength / 4));
    this.#bytes = Buffer.from(memory);
    this.#shape = shapeOf(this.#words[control.words - 1]!);
    this.#lock = new SharedMutex(this.#words, control.lock);
  }

  /** The memory is taken from the system as it is used. */
  static create(maximum_bytes: number): SharedBlocks {
    const pages = Math.max(1, Math.floor(maximum_bytes / page_bytes));
    const shape = shapeOf(pages);
    const memory = new SharedArrayBuffer(shape.total_bytes);
    const words = new Int32Array(memory);
    words[control.words - 1] = pages;
    words[control.freePages] = pages;
    words[control.hand] = nothing;
    words.fill(nothing, control.words, shape.entriesAt);
    for (let entry = 0; entry < shape.entries; entry++) {
      words[shape.entriesAt + entry * field.words + field.next] =
        entry + 1 < shape.entries ? entry + 1 : nothing;
    }
    for (let page = 0; page < pages; page++)
      words[shape.pageListAt + page] = page + 1 < pages ? page + 1 : nothing;
    return new SharedBlocks(memory);
  }

  get capacity_bytes(): number {
    return this.#shape.pages * page_bytes;
  }

  /** True if the block is here, or somebody is filling it just now. */
  has(place: ChunkPlace): boolean {
    return this.#lock.run(() => this.#lookup(place) !== nothing);
  }

  /** Pins the block, or room for it. Waits while another thread is filling it. */
  claim(place: ChunkPlace): Claim {
    for (;;) {
      const claim = this.#lock.run(() => this.#claim(place));
      if (claim.kind !== 'busy') return claim;
      Atomics.wait(this.#words, this.#at(claim.entry, field.state), states.filling);
    }
  }

  /** The claimed block's bytes, as many as its place said; it stays pinned. */
  fill(block: Pinned, plain: Uint8Array): void {
    if (plain.length !== this.#get(block, field.size_bytes)) {
      this.abandon(block);
      throw new RangeError(`a block has ${plain.length} bytes, not ${this.#get(block, field.size_bytes)}`);
    }
    this.#eachPage(block, 0, plain.length, (page, from, at, length) => {
      // TypedArray.set copies shared memory word by word; fill with as many bytes is one memcpy.
      this.#bytes.subarray(page + from, page + from + length).fill(plain.subarray(at, at + length));
    });
    this.#lock.run(() => {
      this.#set(block, field.state, states.ready);
    });
    Atomics.notify(this.#words, this.#at(block, field.state));
  }

  /** There will be no bytes: the next claim begins anew. */
  abandon(block: Pinned): void {
    this.#lock.run(() => {
      this.#set(block, field.pins, this.#get(block, field.pins) - 1);
      this.#free(block);
    });
    Atomics.notify(this.#words, this.#at(block, field.state));
  }

  release(block: Pinned): void {
    this.#lock.run(() => {
      this.#set(block, field.pins, this.#get(block, field.pins) - 1);
    });
  }

  /** Whether `prove` was called: by somebody who checked the whole block against the id of its one chunk. */
  isProven(block: Pinned): boolean {
    return Atomics.load(this.#words, this.#at(block, field.isProven)) === 1;
  }

  prove(block: Pinned): void {
    Atomics.store(this.#words, this.#at(block, field.isProven), 1);
  }

  /** Bytes `from` to `to` of the block into `target` at `at`. */
  copy(block: Pinned, from: number, to: number, target: Buffer, at: number): void {
    this.#eachPage(block, from, to, (page, offset, done, length) => {
      target.fill(this.#bytes.subarray(page + offset, page + offset + length), at + done, at + done + length);
    });
  }

  #eachPage(
    block: Pinned,
    from: number,
    to: number,
    visit: (page_bytes: number, offset: number, done: number, length: number) => void,
  ): void {
    let page = this.#get(block, field.firstPage);
    for (let skipped = Math.floor(from / page_bytes); skipped > 0; skipped--) page = this.#nextPage(page);
    for (let at = from; at < to; page = this.#nextPage(page)) {
      const offset = at % page_bytes;
      const length = Math.min(page_bytes - offset, to - at);
      visit(this.#shape.pagesAt_bytes + page * page_bytes, offset, at - from, length);
      at += length;
    }
  }

  #claim(place: ChunkPlace): Claim | { readonly kind: 'busy'; readonly entry: number } {
    const known = this.#lookup(place);
    if (known !== nothing) {
      if (this.#get(known, field.state) === states.filling) return { kind: 'busy', entry: known };
      return { kind: 'ready', block: this.#pin(known) };
    }
    const pages = Math.max(1, Math.ceil(place.blockPlain_bytes / page_bytes));
    if (!this.#makeRoom(pages)) return { kind: 'full' };
    const entry = this.#take(place, pages);
    return { kind: 'claimed', block: this.#pin(entry) };
  }

  #take(place: ChunkPlace, pages: number): number {
    const entry = this.#words[control.freeEntry]!;
    this.#words[control.freeEntry] = this.#get(entry, field.next);
    this.#turnTo(place.pack);
    const bucket = this.#bucket(this.#pack0, this.#pack1, place.block);
    this.#set(entry, field.pack0, this.#pack0);
    this.#set(entry, field.pack1, this.#pack1);
    this.#set(entry, field.block, place.block);
    this.#set(entry, field.next, this.#words[bucket]!);
    this.#words[bucket] = entry;
    this.#set(entry, field.state, states.filling);
    this.#set(entry, field.size_bytes, place.blockPlain_bytes);
    this.#set(entry, field.pins, 0);
    this.#set(entry, field.isUsed, 1);
    this.#set(entry, field.isProven, 0);
    this.#set(entry, field.firstPage, this.#words[control.freePage]!);
    let last = this.#words[control.freePage]!;
    for (let left = pages - 1; left > 0; left--) last = this.#nextPage(last);
    this.#words[control.freePage] = this.#nextPage(last);
    this.#words[this.#shape.pageListAt + last] = nothing;
    this.#words[control.freePages]! -= pages;
    this.#enterRing(entry);
    return entry;
  }

  /** Turns the clock's hand until there are pages enough; false if two rounds were not enough. */
  #makeRoom(pages: number): boolean {
    if (pages > this.#shape.pages) return false;
    for (let steps = 2 * this.#words[control.used]!; steps > 0 && !this.#hasRoom(pages); steps--) {
      const hand = this.#words[control.hand]!;
      this.#words[control.hand] = this.#get(hand, field.after);
      if (this.#get(hand, field.state) !== states.ready || this.#get(hand, field.pins) > 0) continue;
      if (this.#get(hand, field.isUsed) === 1) this.#set(hand, field.isUsed, 0);
      else this.#free(hand);
    }
    return this.#hasRoom(pages);
  }

  #hasRoom(pages: number): boolean {
    return this.#words[control.freePages]! >= pages && this.#words[control.freeEntry] !== nothing;
  }

  /** The hand comes to it last. */
  #enterRing(entry: number): void {
    const hand = this.#words[control.hand]!;
    const after = hand === nothing ? entry : hand;
    const before = hand === nothing ? entry : this.#get(hand, field.before);
    if (hand === nothing) this.#words[control.hand] = entry;
    this.#set(entry, field.before, before);
    this.#set(entry, field.after, after);
    this.#set(before, field.after, entry);
    this.#set(after, field.before, entry);
    this.#words[control.used]!++;
  }

  #leaveRing(entry: number): void {
    const before = this.#get(entry, field.before);
    const after = this.#get(entry, field.after);
    this.#set(before, field.after, after);
    this.#set(after, field.before, before);
    this.#words[control.used]!--;
    if (this.#words[control.hand] === entry) this.#words[control.hand] = after === entry ? nothing : after;
  }

  #free(entry: number): void {
    const bucket = this.#bucket(
      this.#get(entry, field.pack0),
      this.#get(entry, field.pack1),
      this.#get(entry, field.block),
    );
    if (this.#words[bucket] === entry) this.#words[bucket] = this.#get(entry, field.next);
    else {
      let before = this.#words[bucket]!;
      while (this.#get(before, field.next) !== entry) before = this.#get(before, field.next);
      this.#set(before, field.next, this.#get(entry, field.next));
    }
    let pages = 1;
    let last = this.#get(entry, field.firstPage);
    for (; this.#nextPage(last) !== nothing; pages++) last = this.#nextPage(last);
    this.#words[this.#shape.pageListAt + last] = this.#words[control.freePage]!;
    this.#words[control.freePage] = this.#get(entry, field.firstPage);
    this.#words[control.freePages]! += pages;
    this.#leaveRing(entry);
    this.#set(entry, field.state, states.free);
    this.#set(entry, field.next, this.#words[control.freeEntry]!);
    this.#words[control.freeEntry] = entry;
  }

  #pin(entry: number): Pinned {
    this.#set(entry, field.pins, this.#get(entry, field.pins) + 1);
    this.#set(entry, field.isUsed, 1);
    return entry;
  }

  #lookup(place: ChunkPlace): number {
    this.#turnTo(place.pack);
    let entry = this.#words[this.#bucket(this.#pack0, this.#pack1, place.block)]!;
    while (
      entry !== nothing &&
      (this.#get(entry, field.block) !== place.block ||
        this.#get(entry, field.pack0) !== this.#pack0 ||
        this.#get(entry, field.pack1) !== this.#pack1)
    ) {
      entry = this.#get(entry, field.next);
    }
    return entry;
  }

  /** One question after the other is about the same pack. */
  #turnTo(pack: string): void {
    if (pack === this.#pack) return;
    this.#pack = pack;
    this.#pack0 = Number.parseInt(pack.slice(0, 8), 16) | 0;
    this.#pack1 = Number.parseInt(pack.slice(8, 16), 16) | 0;
  }

  #bucket(pack0: number, pack1: number, block: number): number {
    const hash = Math.imul(pack0 ^ Math.imul(pack1, 0x9e3779b1) ^ Math.imul(block, 0x85ebca6b), 0xc2b2ae35);
    return control.words + ((hash ^ (hash >>> 15)) & (this.#shape.buckets - 1));
  }

  #at(entry: number, name: number): number {
    return this.#shape.entriesAt + entry * field.words + name;
  }

  #get(entry: number, name: number): number {
    return this.#words[this.#shape.entriesAt + entry * field.words + name]!;
  }

  #set(entry: number, name: number, value: number): void {
    this.#words[this.#shape.entriesAt + entry * field.words + name] = value;
  }

  #nextPage(page: number): number {
    return this.#words[this.#shape.pageListAt + page]!;
  }
}
