// From a block's stored bytes to its plain ones, on whichever thread: checks the place, opens the block with the pack's own key.
// Synchronous; keeps a few opened keys and no data. Never returns bytes that are not authentic.

import { LRUCache } from 'lru-cache';
import { chunkId, objectHeader_bytes, tag_bytes, type ObjectKey } from '../crypto/index.js';
import { damaged } from '../errors/index.js';
import { decodeBlock, openPackHeader, wrongChunk, type DecodeRoom } from './decode.js';
import type { PackContext } from './encode.js';
import { packLimits } from './layout.js';
import type { ChunkId, ChunkPlace } from './types.js';

const keptKeys = 256;

/** Call cryptoReady once before the first. */
export class BlockDecoder {
  readonly #context: PackContext;
  #room: DecodeRoom | undefined;
  readonly #keys = new LRUCache<string, ObjectKey>({ max: keptKeys });

  /** `reusesMemory`: what `decode` gives is valid until the next call. */
  constructor(context: PackContext, { reusesMemory = false } = {}) {
    this.#context = context;
    this.#room = reusesMemory ? { opened: Buffer.alloc(0), plain: Buffer.alloc(0) } : undefined;
  }

  /** The plain block, memory of its own unless it re-uses it. Throws 'pack.damaged', which names the pack. */
  decode(place: ChunkPlace, stored: Uint8Array): Buffer {
    checkPlace(place);
    const block = { index: place.block, codec: place.codec, plain_bytes: place.blockPlain_bytes };
    const least_bytes = Math.max(place.blockStored_bytes, place.blockPlain_bytes);
    if (this.#room !== undefined && this.#room.plain.length < least_bytes) {
      const room = (): Buffer => Buffer.allocUnsafeSlow(2 ** Math.ceil(Math.log2(least_bytes)));
      this.#room = { opened: room(), plain: room() };
    }
    return decodeBlock(this.#context.zstd, this.#keyOf(place), place.pack, block, stored, this.#room);
  }

  #keyOf({ pack, packHeader }: ChunkPlace): ObjectKey {
    const known = this.#keys.get(pack);
    if (known?.header.equals(packHeader) === true) return known;
    const key = openPackHeader(this.#context, pack, packHeader);
    this.#keys.set(pack, key);
    return key;
  }

  /** The bytes of one chunk, a view of its plain block, proven to be the ones that the id names. Throws 'pack.damaged' otherwise. */
  chunkFrom(block: Buffer, place: ChunkPlace, id: ChunkId): Buffer {
    const chunk = block.subarray(place.offset_bytes, place.offset_bytes + place.size_bytes);
    if (chunk.length !== place.size_bytes || !chunkId(this.#context.keys, chunk).equals(id))
      throw wrongChunk(place.pack, id);
    return chunk;
  }
}

/** Places come out of a local database; what is impossible there may not become a request or an allocation. */
export function isPossiblePlace(place: ChunkPlace): boolean {
  return (
    place.blockOffset_bytes >= objectHeader_bytes &&
    place.blockStored_bytes > tag_bytes &&
    place.blockPlain_bytes <= packLimits.block_bytes &&
    place.blockStored_bytes <= place.blockPlain_bytes + tag_bytes &&
    place.blockOffset_bytes + place.blockStored_bytes <= packLimits.pack_bytes
  );
}

export function checkPlace(place: ChunkPlace): void {
  if (!isPossiblePlace(place))
    throw damaged('pack.damaged', `block ${place.block} of pack ${place.pack} has an impossible place`);
}
