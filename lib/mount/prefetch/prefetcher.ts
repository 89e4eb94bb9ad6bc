// Reads ahead of the mount's readers: has blocks decoded, or fetched, before they are asked for, and puts files into the kernel's
// page cache, so that most reads never reach us. Goes by hints of what the kernel asks for. Knows neither threads nor devices.

import { LRUCache } from 'lru-cache';
import type { CatalogReader, DirectoryId } from '../../catalog/types.js';
import type { ChunkPlace } from '../../pack/types.js';
import { placed, type PlacedPiece } from '../cache/file-layout.js';
import type { LocalContent, Wanted } from '../cache/local-content.js';
import type { SharedBlocks } from '../cache/shared-blocks.js';
import { page_bytes } from '../protocol/constants.js';
import type { Hint } from './hints.js';
import { fileOf, filesFrom, type WalkCatalog, type WalkedFile } from './walk.js';
import { Item, item_bytes, Window, type WindowLimits } from './window.js';

export interface PrefetchTarget {
  /** Has blocks on this machine decoded into the shared ones by somebody else; undefined where nobody is. */
  readonly decode?: (wanted: readonly Wanted[]) => void;
  /** Fetches blocks of one pack over the network into the shared ones; settles in any case. */
  fetch(places: readonly ChunkPlace[]): Promise<void>;
  /** Puts bytes of a file into the kernel's page cache, or not; never throws. Before the bytes there is the room asked for. */
  store(row: number, offset: number, message: Buffer): void;
  /** There is work again. */
  wake(): void;
}

export interface PrefetcherOptions {
  readonly catalog: WalkCatalog & Pick<CatalogReader, 'chunk'>;
  readonly shared: SharedBlocks;
  readonly content: LocalContent;
  readonly target: PrefetchTarget;
  /** What `store` needs before the bytes. */
  readonly room_bytes: number;
  readonly limits: WindowLimits;
}

const keptReaders = 64;
const keptFiles = 64;
/** So many readers may each have the largest window. */
const readersWithoutLimit = 2;
const keptItems = 16_384;
const keptDirectories = 16_384;
/** Directories with files that wait for their listing, and such files of one directory. */
const parkedDirectories = 512;
const parkedFiles = 512;
/** What is brought at once: plain bytes of blocks, and items. */
const largestBatch_bytes = 2 * 2 ** 20;
const largestBatch = 256;
/** Of the window, at most this part at once: a reader may be close behind. */
const batchPart = 4;
const parallelFetches = 3;
/** What is so near to its reader is left to it. */
const near_bytes = 128 * 1024;
/** A reader not met for so many hints has gone away. */
const patience = 512;

interface Reader {
  readonly window: Window;
  /** When it was met last, in hints. */
  met: number;
  /** Of the file read last. */
  row: number;
  end: number;
  /** Up to where it will soon be asked for: the kernel reads ahead as much again as it has just read, or twice that. */
  near: number;
}

/** Decoded, and on its way to the kernel. */
interface Ready {
  readonly reader: Reader;
  readonly item: Item;
  readonly position: number;
}

/** What is remembered of an item: without what is known of its file, for there are many. */
interface Taken {
  readonly reader: Reader;
  readonly start: number;
  readonly end: number;
  /** In the reader's window. */
  readonly position: number;
}

export class Prefetcher {
  readonly #options: PrefetcherOptions;
  /** By how long ago each was met: the last one is the most recent. */
  readonly #readers = new Set<Reader>();
  /** By file: what was taken of it. */
  readonly #taken = new LRUCache<number, Taken[]>({ max: keptItems });
  /** By directory: the version in which the kernel listed it. */
  readonly #listed = new LRUCache<DirectoryId, number>({ max: keptDirectories });
  /** By directory: what may be stored once the kernel knows the files. */
  readonly #parked = new LRUCache<DirectoryId, Ready[]>({ max: parkedDirectories });
  /** Blocks that were loaded here, and not for a read. */
  readonly #brought = new LRUCache<string, true>({ max: keptItems });
  readonly #files = new LRUCache<number, WalkedFile>({ max: keptFiles });
  readonly #message: Buffer;
  #ready: Ready[] = [];
  /** Behind those, while somebody else decodes them. */
  #helped: Ready[] = [];
  #fetches = 0;
  #hints = 0;
  /** Of the room for what is ahead, what one reader may have. */
  #share_bytes: number;

  constructor(options: PrefetcherOptions) {
    this.#options = options;
    this.#share_bytes = options.limits.maximum_bytes;
    this.#message = Buffer.alloc(options.room_bytes + item_bytes);
  }

  hear(hint: Hint): void {
    this.#hints++;
    if (hint.kind === 'read') this.#read(hint.row, hint.offset, hint.end);
    else this.#list(hint.row, hint.sequence);
  }

  /** Does a little of what there is to do, after which there may be news; false if there is nothing at present. */
  work(): boolean {
    const { decode } = this.#options.target;
    let isNews = false;
    if (this.#ready.length === 0) {
      const own = this.#bring();
      isNews = own !== undefined;
      this.#ready = [...this.#helped, ...(own ?? [])];
      this.#helped = [];
    }
    if (decode !== undefined && this.#helped.length === 0) this.#helped = this.#bring(decode) ?? [];
    const ready = this.#ready.shift();
    if (ready !== undefined) this.#deliver(ready);
    return isNews || ready !== undefined || this.#helped.length > 0;
  }

  #list(row: number, sequence: number): void {
    const directory = this.#options.catalog.directoryById(row);
    if (directory === undefined) return;
    this.#listed.set(directory, sequence);
    const parked = this.#parked.get(directory) ?? [];
    this.#parked.delete(directory);
    this.#ready = [...parked, ...this.#ready];
  }

  #read(row: number, offset: number, end: number): void {
    const taken = this.#taken.get(row)?.findLast((item) => item.start <= offset && offset < item.end);
    const reader = taken?.reader ?? this.#waitingAt(row, offset);
    if (reader === undefined) {
      this.#begin(row, offset, end);
      return;
    }
    if (taken !== undefined) reader.window.seen(taken.position);
    else reader.window.overtaken(row, end);
    this.#met(reader, row, offset, end);
  }

  /** Who is about to come here: in a file from one byte to the next, or from file to file. */
  #waitingAt(row: number, offset: number): Reader | undefined {
    for (const reader of this.#readers) {
      if ((reader.row === row && reader.end === offset) || reader.window.isNext(row, offset)) return reader;
    }
    return undefined;
  }

  /** Somebody begins to read, or leaves files out on the way through a directory. */
  #begin(row: number, offset: number, end: number): void {
    const { catalog, limits } = this.#options;
    const file = this.#files.get(row) ?? fileOf(catalog, row);
    if (file === undefined) return;
    this.#files.set(row, file);
    const { directory } = file;
    const sequence = this.#listed.get(directory) ?? file.from;
    const files = filesFrom(catalog, file, sequence);
    const from = this.#storeChunk(file, offset, end);
    const [before] = [...this.#readers].slice(-1);
    const isThere = before !== undefined && catalog.placeOf(before.row)?.directory === directory;
    if (offset === 0 && isThere && before.row !== row) {
      before.window.moveTo(files, from);
      this.#met(before, row, offset, end);
    } else {
      this.#met({ window: new Window(files, from, limits), met: 0, row, end, near: end }, row, offset, end);
    }
  }

  /** Puts the chunk around what was read into the kernel's cache; gives where the rest of the file begins. */
  #storeChunk(file: WalkedFile, offset: number, readEnd: number): number {
    const size_bytes = file.layout.entry.size_bytes;
    const bounds = file.layout.segmentAround(offset);
    const start = Math.ceil(bounds.start / page_bytes) * page_bytes;
    const end = bounds.end === size_bytes ? size_bytes : Math.floor(bounds.end / page_bytes) * page_bytes;
    const isMore = start < offset || readEnd < end;
    for (let at = start; isMore && at < end; at += item_bytes) {
      const item = new Item(file, at, Math.min(at + item_bytes, end));
      if (this.#isHere(item)) this.#store(item);
    }
    return Math.max(readEnd, end);
  }

  #met(reader: Reader, row: number, offset: number, end: number): void {
    this.#readers.delete(reader);
    this.#readers.add(reader);
    reader.met = this.#hints;
    reader.row = row;
    reader.end = end;
    reader.near = end + 2 * (end - offset);
    const [oldest] = this.#readers;
    if (this.#readers.size > keptReaders && oldest !== undefined) this.#readers.delete(oldest);
    let active = 0;
    for (const each of this.#readers) if (!each.window.isEmpty && !this.#isGone(each)) active++;
    const { maximum_bytes } = this.#options.limits;
    this.#share_bytes = Math.min(maximum_bytes, (maximum_bytes * readersWithoutLimit) / active);
  }

  #isGone({ met }: Reader): boolean {
    return this.#hints - met >= patience;
  }

  #next(reader: Reader): Item | undefined {
    return reader.window.hasRoom(this.#share_bytes) ? reader.window.peek() : undefined;
  }

  /**
   * Has the next items decoded, by `decode` or right here, and gives them; what must be fetched becomes ready later. undefined if
   * nobody's window has room.
   */
  #bring(decode?: PrefetchTarget['decode']): Ready[] | undefined {
    if (this.#fetches >= parallelFetches) return undefined;
    for (const reader of [...this.#readers].reverse()) {
      const first = this.#isGone(reader) ? undefined : this.#next(reader);
      if (first === undefined) continue;
      const { items, wanted } = this.#batch(reader, first);
      if (decode === undefined) return this.#load(wanted, items);
      if (wanted.length > 0) decode(wanted);
      return items;
    }
    return undefined;
  }

  #batch(reader: Reader, first: Item): { readonly items: Ready[]; readonly wanted: readonly Wanted[] } {
    const items: Ready[] = [];
    const wanted = new Map<string, Wanted>();
    let batch_bytes = 0;
    const room_bytes = Math.min(largestBatch_bytes, reader.window.size_bytes / batchPart);
    for (let next: Item | undefined = first; next !== undefined;) {
      const position = this.#note(reader, next);
      const size_bytes = this.#want(next, wanted);
      if (size_bytes !== 'with a reader') items.push({ reader, item: next, position });
      batch_bytes += size_bytes === 'with a reader' ? 0 : size_bytes;
      next = batch_bytes < room_bytes && items.length < largestBatch ? this.#next(reader) : undefined;
    }
    return { items, wanted: [...wanted.values()] };
  }

  /**
   * Adds the blocks of an item that are not here; gives their bytes. If they are here, and not because they were brought, a
   * reader is reading them just now, and would not wait for us.
   */
  #want(item: Item, wanted: Map<string, Wanted>): number | 'with a reader' {
    let size_bytes = 0;
    let isWithReader = true;
    for (const piece of this.#piecesOf(item) ?? []) {
      const { place } = piece;
      const key = `${place.pack} ${place.block}`;
      if (this.#brought.has(key)) isWithReader = false;
      if (wanted.has(key) || this.#options.shared.has(place)) continue;
      isWithReader = false;
      wanted.set(key, piece);
      this.#brought.set(key, true);
      size_bytes += place.blockPlain_bytes;
    }
    return isWithReader ? 'with a reader' : size_bytes;
  }

  /** Decodes what is on this machine; the items become ready later if there is more. */
  #load(wanted: readonly Wanted[], items: Ready[]): Ready[] {
    const missing = new Map<string, ChunkPlace[]>();
    for (const { place, id } of wanted)
      if (!this.#options.content.load({ place, id }))
        missing.set(place.pack, [...(missing.get(place.pack) ?? []), place]);
    if (missing.size === 0) return items;
    this.#fetches++;
    void Promise.all([...missing.values()].map((places) => this.#options.target.fetch(places))).then(() => {
      this.#fetches--;
      this.#ready.push(...items);
      this.#options.target.wake();
    });
    return [];
  }

  /** Gives the item's position. */
  #note(reader: Reader, item: Item): number {
    const position = reader.window.take(item);
    const { start, end } = item;
    const { row } = item.file;
    const taken = { reader, start, end, position };
    const known = this.#taken.get(row);
    if (known === undefined) this.#taken.set(row, [taken]);
    else if (known.push(taken) > 2 * keptReaders) known.splice(0, keptReaders);
    return position;
  }

  #deliver(ready: Ready): void {
    const { reader, item, position } = ready;
    if (item.isMarker || isNear(reader, item, position)) return;
    const { directory } = item.file;
    // The kernel knows the file that is being read, and what it has listed.
    if (item.file.row === reader.row || this.#listed.has(directory)) this.#store(item);
    else this.#park(directory, ready);
  }

  #park(directory: DirectoryId, ready: Ready): void {
    const parked = this.#parked.get(directory);
    if (parked === undefined) this.#parked.set(directory, [ready]);
    else if (parked.length < parkedFiles) parked.push(ready);
  }

  #store(item: Item): void {
    const { file, start, end } = item;
    const { content, target, room_bytes } = this.#options;
    const message = this.#message.subarray(0, room_bytes + end - start);
    const pieces = this.#piecesOf(item);
    try {
      if (pieces === undefined || !content.read(pieces, message.subarray(room_bytes))) return;
    } catch {
      // Whoever reads the file is told.
      return;
    }
    target.store(file.row, start, message);
  }

  #isHere(item: Item): boolean {
    const pieces = this.#piecesOf(item);
    return pieces !== undefined && pieces.every(({ place }) => this.#options.shared.has(place));
  }

  /** undefined where one of them is nowhere, which is somebody's business when the file is read. A hole has none. */
  #piecesOf(item: Item): readonly PlacedPiece[] | undefined {
    if (item.pieces === undefined) {
      try {
        const { file, start, end } = item;
        item.pieces = file.layout.pieces(start, end).map((piece) => placed(this.#options.catalog, piece));
      } catch {
        item.pieces = 'lost';
      }
    }
    return item.pieces === 'lost' ? undefined : item.pieces;
  }
}

/**
 * Whether the reader has been there, or would be there before the kernel has it: then both would bring the same, for nothing.
 */
function isNear(reader: Reader, { file, start }: Item, position: number): boolean {
  if (file.row === reader.row) return start < reader.near;
  return reader.window.isSeen(position - near_bytes);
}
