// How far ahead of a reader to go. A window follows one reader through the files of a version in path order. It begins with
// nothing, since most readers want one file; each sign that the reader came along doubles it. Signs are reads that reach us: what
// lies in the kernel's cache causes none, so one item in each half of a window is not put there. Pure.

import type { PlacedPiece } from '../cache/file-layout.js';
import { maximumRead_bytes } from '../protocol/constants.js';
import type { WalkedFile } from './walk.js';

/** A part of a file, whole pages of it or up to its end. */
export class Item {
  readonly file: WalkedFile;
  readonly start: number;
  readonly end: number;
  /** To be at hand, but not in the kernel's cache: the read of it is the sign that the reader is here. */
  readonly isMarker: boolean;
  /** Looked up when they are needed: 'lost' where one of them is nowhere. */
  pieces: readonly PlacedPiece[] | 'lost' | undefined;

  constructor(file: WalkedFile, start: number, end: number, isMarker = false) {
    this.file = file;
    this.start = start;
    this.end = end;
    this.isMarker = isMarker;
    this.pieces = undefined;
  }
}

export interface WindowLimits {
  /** The first window that is not empty. */
  readonly initial_bytes: number;
  readonly maximum_bytes: number;
  /** What lies so little ahead of a reader that has overtaken the window is left to it as well. */
  readonly lead_bytes: number;
}

/** The largest item: what one read of the kernel may span at most. */
export const item_bytes = maximumRead_bytes;
/** What an item costs besides its bytes, so that a million empty files do not fit into a window. */
const overhead_bytes = 512;

export class Window {
  #files: Iterator<WalkedFile, void>;
  readonly #limits: WindowLimits;
  #size_bytes = 0;
  #file: WalkedFile | undefined;
  #offset = 0;
  /** Behind the last item taken, counted from the window's beginning. */
  #taken_bytes = 0;
  #seen_bytes = 0;
  #unmarked_bytes = 0;

  /** Goes on behind byte `offset` of the first of the files. */
  constructor(files: Iterator<WalkedFile, void>, offset: number, limits: WindowLimits) {
    this.#files = files;
    this.#limits = limits;
    this.#file = files.next().value ?? undefined;
    this.#offset = offset;
    this.#skipDone();
  }

  get size_bytes(): number {
    return this.#size_bytes;
  }

  get isEmpty(): boolean {
    return this.#size_bytes === 0;
  }

  /** Whether more may be taken; `share_bytes` bounds the window where many readers share the room. */
  hasRoom(share_bytes: number): boolean {
    const size_bytes = Math.min(this.#size_bytes, share_bytes);
    return this.#file !== undefined && this.#taken_bytes - this.#seen_bytes < size_bytes;
  }

  /** What comes next, if anything. */
  peek(): Item | undefined {
    const file = this.#file;
    if (file === undefined) return undefined;
    const end = Math.min(this.#offset + item_bytes, file.layout.entry.size_bytes);
    const isMarker = this.#unmarked_bytes * 2 > this.#size_bytes && !this.isEmpty;
    return new Item(file, this.#offset, end, isMarker);
  }

  /**
   * Whether byte `offset` of the file lies in what comes next. Until something was read ahead it must begin there: a random read
   * that comes near where another one was is no sign.
   */
  isNext(row: number, offset: number): boolean {
    const reach_bytes = this.isEmpty ? 1 : item_bytes;
    return this.#file?.row === row && this.#offset <= offset && offset < this.#offset + reach_bytes;
  }

  /** Takes what `peek` shows; gives its position for `seen`. */
  take({ start, end, isMarker }: Item): number {
    const cost_bytes = end - start + overhead_bytes;
    this.#taken_bytes += cost_bytes;
    this.#unmarked_bytes = isMarker ? 0 : this.#unmarked_bytes + cost_bytes;
    this.#offset = end;
    this.#skipDone();
    return this.#taken_bytes;
  }

  /** Whether the reader was met there or behind it. */
  isSeen(position: number): boolean {
    return position <= this.#seen_bytes;
  }

  /** The reader was met at an item taken before, or (without position) behind all of them. */
  seen(position = this.#taken_bytes): void {
    this.#seen_bytes = Math.max(this.#seen_bytes, position);
    if (this.#taken_bytes - this.#seen_bytes <= this.#size_bytes / 2) this.grow();
  }

  /** The reader went on to somewhere else: everything taken lies behind it. */
  moveTo(files: Iterator<WalkedFile, void>, offset: number): void {
    this.#files = files;
    this.#file = files.next().value ?? undefined;
    this.#offset = offset;
    this.#skipDone();
    this.seen();
  }

  /** The reader has read up to byte `end` of the file by itself: all that was taken lies behind it. */
  overtaken(row: number, end: number): void {
    const lead_bytes = this.isEmpty ? 0 : this.#limits.lead_bytes;
    if (this.#file?.row === row && this.#offset < end) this.#offset = end + lead_bytes;
    this.#skipDone();
    this.seen();
  }

  grow(): void {
    const { initial_bytes, maximum_bytes } = this.#limits;
    this.#size_bytes = Math.min(maximum_bytes, Math.max(initial_bytes, this.#size_bytes * 2));
  }

  /** To the next file that has bytes left. */
  #skipDone(): void {
    while (this.#file !== undefined && this.#offset >= this.#file.layout.entry.size_bytes) {
      this.#file = this.#files.next().value ?? undefined;
      this.#offset = 0;
    }
  }
}
