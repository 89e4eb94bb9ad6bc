// Reads chunks out of stored packs: neighbouring blocks in one ranged request, each block opened with the pack's own key, each
// chunk checked against its id. Holds no data between calls but a few object keys; caching is for its callers.

import type { ObjectStore } from '../store/types.js';
import { BlockDecoder, checkPlace } from './block-decoder.js';
import type { PackContext } from './encode.js';
import { fetchExact } from './fetch.js';
import { packKey } from './names.js';
import { namingAsync } from './naming.js';
import type { ChunkId, ChunkPlace } from './types.js';

/** Bytes between two blocks that are cheaper to read and drop than to ask around. */
const gap_bytes = 64 * 1024;
const request_bytes = 8 * 1024 * 1024;
const parallelRequests = 4;

export interface PackReaderOptions extends PackContext {
  readonly store: ObjectStore;
}

/** What one ranged request brings: places in order of their offsets, one for each block. */
interface Request {
  readonly offset: number;
  length: number;
  readonly places: ChunkPlace[];
}

/** Call cryptoReady once before the first. */
export class PackReader {
  readonly #options: PackReaderOptions;
  readonly #decoder: BlockDecoder;

  constructor(options: PackReaderOptions) {
    this.#options = options;
    this.#decoder = new BlockDecoder(options);
  }

  /**
   * The plain blocks that hold these places, by block index. All places are of one pack; the caller bounds how much it asks
   * for at once, all of it is held in memory. Errors: 'pack.damaged' and the store's.
   */
  async readBlocks(places: readonly ChunkPlace[], signal?: AbortSignal): Promise<Map<number, Buffer>> {
    const blocks = new Map<number, Buffer>();
    const [first] = places;
    if (first === undefined) return blocks;
    if (places.some(({ pack }) => pack !== first.pack)) throw new RangeError('places of several packs');
    const requests = planRequests(places);
    const worker = async () => {
      for (let request = requests.pop(); request !== undefined; request = requests.pop())
        await this.#read(first, request, blocks, signal);
    };
    await Promise.all(Array.from({ length: Math.min(parallelRequests, requests.length) }, worker));
    return blocks;
  }

  async #read(
    { pack, packVersionId }: ChunkPlace,
    { offset, length, places }: Request,
    blocks: Map<number, Buffer>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { store } = this.#options;
    const range = { offset, length };
    const bytes = await namingAsync('pack.damaged', `pack ${pack}`, () =>
      fetchExact(store, packKey(pack), { versionId: packVersionId, range, signal }),
    );
    for (const place of places) {
      const from = place.blockOffset_bytes - offset;
      const stored = bytes.subarray(from, from + place.blockStored_bytes);
      blocks.set(place.block, this.#decoder.decode(place, stored));
    }
  }

  /** The bytes of one chunk, a view of its plain block, proven to be the ones that the id names. Throws 'pack.damaged' otherwise. */
  chunkFrom(block: Buffer, place: ChunkPlace, id: ChunkId): Buffer {
    return this.#decoder.chunkFrom(block, place, id);
  }
}

function planRequests(places: readonly ChunkPlace[]): Request[] {
  const byBlock = new Map<number, ChunkPlace>();
  for (const place of places) {
    checkPlace(place);
    byBlock.set(place.block, place);
  }
  const sorted = [...byBlock.values()].sort((a, b) => a.blockOffset_bytes - b.blockOffset_bytes);
  const requests: Request[] = [];
  let open: Request | undefined;
  for (const place of sorted) {
    const end = place.blockOffset_bytes + place.blockStored_bytes;
    const isNear = open !== undefined && place.blockOffset_bytes - (open.offset + open.length) <= gap_bytes;
    if (open !== undefined && isNear && end - open.offset <= request_bytes) {
      open.length = Math.max(open.length, end - open.offset);
      open.places.push(place);
    } else {
      open = { offset: place.blockOffset_bytes, length: place.blockStored_bytes, places: [place] };
      requests.push(open);
    }
  }
  return requests;
}
