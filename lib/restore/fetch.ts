// Brings chunks from the store: each block once as far as the cache reaches, neighbours of a pack in one request. A block
// that is damaged or gone spoils its own files only.

import { LRUCache } from 'lru-cache';
import { RrbackupError } from '../errors/index.js';
import type { PackReader } from '../pack/index.js';
import type { ChunkId, ChunkPlace } from '../pack/types.js';

const cache_bytes = 64 * 1024 * 1024;

export interface NeededChunk {
  readonly id: ChunkId;
  readonly place: ChunkPlace;
}

/** What a fetch brought. */
export interface FetchedChunks {
  /** The chunk's verified bytes; throws kind damaged or not_found if they cannot be had. */
  bytes(needed: NeededChunk): Buffer;
}

export function blockKey({ pack, block }: ChunkPlace): string {
  return `${pack} ${block}`;
}

export class ChunkFetcher {
  readonly #packs: Pick<PackReader, 'readBlocks' | 'chunkFrom'>;
  readonly #signal: AbortSignal | undefined;
  readonly #cache = new LRUCache<string, Buffer>({
    maxSize: cache_bytes,
    sizeCalculation: ({ length }) => length || 1,
  });
  readonly #underway = new Map<string, Promise<Buffer>>();

  constructor(packs: Pick<PackReader, 'readBlocks' | 'chunkFrom'>, signal: AbortSignal | undefined) {
    this.#packs = packs;
    this.#signal = signal;
  }

  /** Holds every block of these chunks in memory: the caller bounds how much it asks for. Rejects if the store fails. */
  async fetch(needed: readonly NeededChunk[]): Promise<FetchedChunks> {
    const blocks = new Map<string, Buffer | RrbackupError>();
    const places = new Map(needed.map(({ place }) => [blockKey(place), place]));
    const missing = new Map<string, ChunkPlace[]>();
    const waiting: Promise<void>[] = [];
    const take = async (place: ChunkPlace, block: Promise<Buffer>): Promise<void> => {
      const key = blockKey(place);
      blocks.set(key, await block.catch((error: unknown) => this.#alone(place, error)));
    };
    for (const [key, place] of places) {
      const cached = this.#cache.get(key);
      const underway = this.#underway.get(key);
      if (cached) blocks.set(key, cached);
      else if (underway) waiting.push(take(place, underway));
      else missing.set(place.pack, [...(missing.get(place.pack) ?? []), place]);
    }
    for (const ofPack of missing.values()) {
      const read = this.#packs.readBlocks(ofPack, this.#signal);
      for (const place of ofPack) waiting.push(take(place, this.#remember(place, read)));
    }
    const results = await Promise.allSettled(waiting);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
    return {
      bytes: ({ id, place }) => {
        const block = blocks.get(blockKey(place));
        if (block instanceof RrbackupError) throw block;
        return this.#packs.chunkFrom(block!, place, id);
      },
    };
  }

  #remember(place: ChunkPlace, read: Promise<Map<number, Buffer>>): Promise<Buffer> {
    const key = blockKey(place);
    const block = read.then((found) => {
      const bytes = found.get(place.block)!;
      this.#cache.set(key, bytes);
      return bytes;
    });
    this.#underway.set(key, block);
    const done = (): void => void this.#underway.delete(key);
    block.then(done, done);
    return block;
  }

  /** After a request for many blocks failed: whether this one is to blame. */
  async #alone(place: ChunkPlace, error: unknown): Promise<Buffer | RrbackupError> {
    if (!isOfOneBlock(error)) throw error;
    try {
      const found = await this.#packs.readBlocks([place], this.#signal);
      return found.get(place.block)!;
    } catch (again) {
      if (isOfOneBlock(again)) return again;
      throw again;
    }
  }
}

/** True for what is wrong with stored bytes; false for a store that does not answer. */
export function isOfOneBlock(error: unknown): error is RrbackupError {
  return error instanceof RrbackupError && ['damaged', 'tampered', 'not_found'].includes(error.kind);
}
