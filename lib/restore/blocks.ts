// Chunks for one thread: out of the blocks that came with a request, or those that lie on this machine, decoded here. Keeps the
// small blocks used last. Never gives a byte that was not checked against its chunk's id.

import { LRUCache } from 'lru-cache';
import { RrbackupError } from '../errors/index.js';
import type { LocalBlocks } from '../pack/index.js';
import type { ChunkId, ChunkPlace } from '../pack/types.js';
import { limits } from './limits.js';
import type { Supply } from './messages.js';

/** A block is neither here nor in what came with the request, or did not decode: the main thread knows more ways. */
export class UnreadError extends Error {}

/** What BlockDecoder (lib/pack) offers. */
export interface Decoder {
  /** Valid until the next call. */
  decode(place: ChunkPlace, stored: Uint8Array): Buffer;
  chunkFrom(block: Buffer, place: ChunkPlace, id: ChunkId): Buffer;
}

interface KeptBlock {
  readonly memory: Buffer;
  readonly length: number;
}

export function blockKey({ pack, block }: ChunkPlace): string {
  return `${pack} ${block}`;
}

export class Blocks {
  readonly #decoder: Decoder;
  readonly #local: LocalBlocks;
  readonly #kept: LRUCache<string, KeptBlock>;
  /** Memory of blocks that were kept: taken anew it would cost page faults. */
  readonly #spare: Buffer[] = [];
  #supplied = new Map<string, Supply['blocks'][number]>();
  #errors = new Map<string, RrbackupError>();
  #bytes: Buffer = Buffer.alloc(0);

  constructor(decoder: Decoder, local: LocalBlocks) {
    this.#decoder = decoder;
    this.#local = local;
    this.#kept = new LRUCache<string, KeptBlock>({
      max: limits.keptBlocks,
      dispose: ({ memory }) => void this.#spare.push(memory),
    });
  }

  /** What came with the request that begins now. */
  take(supply: Supply | undefined): void {
    this.#supplied = new Map(supply?.blocks.map((block) => [block.key, block]));
    this.#errors = new Map(supply?.errors.map(({ key, error }) => [key, RrbackupError.fromPlain(error)]));
    const bytes = supply?.bytes ?? Buffer.alloc(0);
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /**
   * The chunk's bytes, valid until the next call. Throws UnreadError, or what the main thread found out about its block
   * (kind damaged or not_found).
   */
  chunk(id: ChunkId, place: ChunkPlace): Buffer {
    const key = blockKey(place);
    const kept = this.#kept.get(key);
    if (kept !== undefined) return this.#decoder.chunkFrom(kept.memory.subarray(0, kept.length), place, id);
    const error = this.#errors.get(key);
    if (error !== undefined) throw error;
    const supplied = this.#supplied.get(key);
    const bytes = supplied && this.#bytes.subarray(supplied.offset, supplied.offset + supplied.length);
    if (supplied?.isPlain === true) return this.#decoder.chunkFrom(bytes!, place, id);
    const block = this.#decode(place, bytes);
    // What was checked against other ids before is kept, what no id vouches for is not.
    const chunk = this.#proven(block, place, id);
    if (block.length <= limits.keptBlock_bytes && chunk.length < block.length) this.#keep(key, block);
    return chunk;
  }

  #decode(place: ChunkPlace, supplied: Buffer | undefined): Buffer {
    const stored = supplied ?? this.#local.read(place);
    if (stored === undefined) throw new UnreadError();
    try {
      return this.#decoder.decode(place, stored);
    } catch {
      this.#local.reject(place);
      throw new UnreadError();
    }
  }

  #proven(block: Buffer, place: ChunkPlace, id: ChunkId): Buffer {
    try {
      return this.#decoder.chunkFrom(block, place, id);
    } catch {
      this.#local.reject(place);
      throw new UnreadError();
    }
  }

  #keep(key: string, block: Buffer): void {
    const memory = this.#spare.pop() ?? Buffer.allocUnsafeSlow(limits.keptBlock_bytes);
    block.copy(memory);
    this.#kept.set(key, { memory, length: block.length });
  }

  close(): void {
    this.#local.close();
  }
}
