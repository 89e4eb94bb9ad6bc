// Plain blocks of packs in memory, bounded by bytes; one flight per block, however many wait for it. A flight that nobody waits
// for any more is aborted. Knows nothing of mounts.

import { LRUCache } from 'lru-cache';
import { interrupted } from '../../errors/index.js';
import type { ChunkId, ChunkPlace } from '../../pack/types.js';

/** What PackReader (lib/pack) offers; tests bring their own. */
export interface BlockReader {
  readBlocks(places: readonly ChunkPlace[], signal?: AbortSignal): Promise<Map<number, Buffer>>;
  /** A view of the block, proven to be what the id names; throws otherwise. */
  chunkFrom(block: Buffer, place: ChunkPlace, id: ChunkId): Buffer;
}

interface Block {
  readonly bytes: Buffer;
  /** Offsets of chunks that were checked against their ids. */
  readonly proven: Set<number>;
}

interface Flight {
  readonly done: Promise<Block>;
  /** Of a flight of its own; undefined where it flies with others because a reader may want it soon. */
  readonly abort: AbortController | undefined;
  waiting: number;
}

const defaultCache_bytes = 256 * 1024 * 1024;
/** What a block costs besides its bytes. */
const overhead_bytes = 256;

export class BlockCache {
  readonly #reader: BlockReader;
  readonly #blocks: LRUCache<string, Block>;
  readonly #flights = new Map<string, Flight>();

  constructor(reader: BlockReader, maximum_bytes = defaultCache_bytes) {
    this.#reader = reader;
    this.#blocks = new LRUCache<string, Block>({
      maxSize: maximum_bytes,
      sizeCalculation: (block) => block.bytes.length + overhead_bytes,
    });
  }

  /** The bytes of a chunk, a view: do not write to it. */
  async chunk(place: ChunkPlace, id: ChunkId, signal: AbortSignal): Promise<Buffer> {
    const block = this.#blocks.get(keyOf(place)) ?? (await this.#wait(place, signal));
    const end = place.offset_bytes + place.size_bytes;
    if (block.proven.has(place.offset_bytes)) return block.bytes.subarray(place.offset_bytes, end);
    const chunk = this.#reader.chunkFrom(block.bytes, place, id);
    block.proven.add(place.offset_bytes);
    return chunk;
  }

  /** Begins to fetch blocks of one pack in one go, where they are neither here nor on their way. */
  prefetch(places: readonly ChunkPlace[]): void {
    const missing = places.filter((place) => !this.#isKnown(place));
    if (missing.length === 0) return;
    const all = this.#reader.readBlocks(missing);
    for (const place of missing) {
      // Whoever reads the block later hears of a failure; nobody waits for it now.
      this.#fly(place, all, undefined).done.catch(() => undefined);
    }
  }

  #isKnown(place: ChunkPlace): boolean {
    const key = keyOf(place);
    return this.#blocks.has(key) || this.#flights.has(key);
  }

  async #wait(place: ChunkPlace, signal: AbortSignal): Promise<Block> {
    const flight = this.#flights.get(keyOf(place)) ?? this.#start(place);
    try {
      return await this.#join(flight, keyOf(place), signal);
    } catch (error) {
      if (signal.aborted || flight.abort !== undefined) throw error;
      // A block that was fetched ahead with others shares their fate; what counts is what becomes of it alone.
      return await this.#wait(place, signal);
    }
  }

  async #join(flight: Flight, key: string, signal: AbortSignal): Promise<Block> {
    if (signal.aborted) throw interrupted();
    let onAbort: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      onAbort = () => {
        reject(interrupted());
      };
      signal.addEventListener('abort', onAbort, { once: true });
    });
    flight.waiting++;
    try {
      return await Promise.race([flight.done, aborted]);
    } finally {
      if (onAbort !== undefined) signal.removeEventListener('abort', onAbort);
      flight.waiting--;
      if (flight.waiting === 0 && flight.abort !== undefined) {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
        flight.abort.abort();
      }
    }
  }

  #start(place: ChunkPlace): Flight {
    const abort = new AbortController();
    return this.#fly(place, this.#reader.readBlocks([place], abort.signal), abort);
  }

  #fly(place: ChunkPlace, blocks: Promise<Map<number, Buffer>>, abort: AbortController | undefined): Flight {
    const key = keyOf(place);
    const done = blocks
      .then((found): Block => {
        const bytes = found.get(place.block);
        if (bytes === undefined) throw new Error(`block ${place.block} of pack ${place.pack} was not read`);
        const block = { bytes, proven: new Set<number>() };
        this.#blocks.set(key, block);
        return block;
      })
      .finally(() => {
        if (this.#flights.get(key) === flight) this.#flights.delete(key);
      });
    const flight: Flight = { done, abort, waiting: 0 };
    this.#flights.set(key, flight);
    return flight;
  }
}

function keyOf(place: ChunkPlace): string {
  return `${place.pack} ${place.block}`;
}
