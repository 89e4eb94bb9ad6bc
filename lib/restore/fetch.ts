// Brings blocks for the threads that write: stored ones over a network, neighbours of a pack in one request, and whatever no
// thread could read, with the reason where nobody can. A block that is damaged or gone spoils its own files only.

import { LRUCache } from 'lru-cache';
import type { RrbackupError } from '../errors/index.js';
import type { PackReader } from '../pack/index.js';
import type { ChunkPlace } from '../pack/types.js';
import { blockKey } from './blocks.js';
import { isOfOneBlock } from './failure.js';
import { limits } from './limits.js';
import type { Supply } from './messages.js';

export type PackSource = Pick<PackReader, 'readBlocks' | 'readStored'>;

export class Supplier {
  readonly #packs: PackSource;
  readonly #caches: boolean;
  readonly #signal: AbortSignal | undefined;
  readonly #fetched = new LRUCache<string, Buffer>({
    maxSize: limits.fetched_bytes,
    sizeCalculation: ({ length }) => length || 1,
  });
  readonly #underway = new Map<string, Promise<Buffer | undefined>>();

  /** `caches`: the disk cache keeps what is fetched. */
  constructor(packs: PackSource, caches: boolean, signal: AbortSignal | undefined) {
    this.#packs = packs;
    this.#caches = caches;
    this.#signal = signal;
  }

  /** The stored blocks of these places; without those that could not be had. Rejects if the store fails. */
  async supply(places: readonly ChunkPlace[]): Promise<Supply> {
    const blocks = new Map<string, Promise<Buffer | undefined>>();
    const missing = new Map<string, ChunkPlace[]>();
    for (const place of places) {
      const key = blockKey(place);
      if (blocks.has(key)) continue;
      const fetched = this.#fetched.get(key);
      const known = fetched ? Promise.resolve(fetched) : this.#underway.get(key);
      if (known !== undefined) blocks.set(key, known);
      else {
        missing.set(place.pack, [...(missing.get(place.pack) ?? []), place]);
        // Its place in the order; the request follows below.
        blocks.set(key, Promise.resolve(undefined));
      }
    }
    for (const ofPack of missing.values()) {
      const read = this.#packs.readStored(ofPack, this.#caches, this.#signal);
      for (const place of ofPack) blocks.set(blockKey(place), this.#remember(place, read));
    }
    // All settle before one failure is told: nothing goes on behind the caller's back.
    const settled = await Promise.allSettled(blocks.values());
    const found: { key: string; block: Buffer; isPlain: boolean }[] = [];
    for (const [index, key] of [...blocks.keys()].entries()) {
      const result = settled[index]!;
      if (result.status === 'rejected') throw result.reason;
      if (result.value !== undefined) found.push({ key, block: result.value, isPlain: false });
    }
    return pack(found, []);
  }

  #remember(place: ChunkPlace, read: Promise<Map<number, Buffer>>): Promise<Buffer | undefined> {
    const key = blockKey(place);
    const block = read.then(
      (found) => {
        const bytes = found.get(place.block)!;
        this.#fetched.set(key, bytes);
        return bytes;
      },
      (error: unknown) => {
        if (isOfOneBlock(error)) return undefined;
        throw error;
      },
    );
    this.#underway.set(key, block);
    const done = (): void => void this.#underway.delete(key);
    block.then(done, done);
    return block;
  }

  /** The plain blocks of these places, one by one, or why there are none. Rejects if the store fails. */
  async repair(places: readonly ChunkPlace[]): Promise<Supply> {
    const blocks = new Map(places.map((place) => [blockKey(place), place]));
    const found: { key: string; block: Buffer; isPlain: boolean }[] = [];
    const errors: { key: string; error: RrbackupError }[] = [];
    for (const [key, place] of blocks) {
      this.#fetched.delete(key);
      try {
        const read = await this.#packs.readBlocks([place], this.#signal);
        found.push({ key, block: read.get(place.block)!, isPlain: true });
      } catch (error) {
        if (!isOfOneBlock(error)) throw error;
        errors.push({ key, error });
      }
    }
    return pack(found, errors);
  }
}

/** In memory of its own, to be handed to another thread. */
function pack(
  found: readonly { readonly key: string; readonly block: Buffer; readonly isPlain: boolean }[],
  errors: readonly { readonly key: string; readonly error: RrbackupError }[],
): Supply {
  const bytes = Buffer.from(new ArrayBuffer(found.reduce((sum, { block }) => sum + block.length, 0)));
  let offset = 0;
  const blocks = found.map(({ key, block, isPlain }) => {
    block.copy(bytes, offset);
    offset += block.length;
    return { key, offset: offset - block.length, length: block.length, isPlain };
  });
  return { bytes, blocks, errors: errors.map(({ key, error }) => ({ key, error: error.toPlain() })) };
}
