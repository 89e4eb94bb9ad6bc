// Reads chunks out of stored packs: from the disk cache what lies there, neighbouring blocks in one ranged request otherwise,
// each block opened with the pack's own key, each chunk checked against its id. Holds no plain bytes between calls: that is for
// its callers.

import { throwIfAborted } from '../store/failures.js';
import type { ObjectStore } from '../store/types.js';
import { BlockDecoder, checkPlace } from './block-decoder.js';
import type { DiskCache } from './cache/index.js';
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
  /** Blocks that lie there are not asked for; what was fetched is kept there. Its owner closes it. */
  readonly cache?: DiskCache | undefined;
}

/** What one ranged request brings: places in order of their offsets, one for each block. */
interface Request {
  readonly offset: number;
  length: number;
  readonly places: ChunkPlace[];
}

interface Use {
  /** What is fetched goes into the disk cache. */
  readonly caches: boolean;
  /** What the caller gets of a stored block, which is valid only during the call. */
  take(place: ChunkPlace, stored: Buffer): Buffer;
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
    const take: Use['take'] = (place, stored) => this.#decoder.decode(place, stored);
    return this.#readAll(places, { caches: true, take }, signal);
  }

  /**
   * The same blocks as they are stored, for threads that decode: whoever finds one damaged asks `readBlocks`, which says so in
   * words, or has it whole from where it comes from. `caches`: what is fetched goes into the disk cache, too.
   */
  async readStored(
    places: readonly ChunkPlace[],
    caches: boolean,
    signal?: AbortSignal,
  ): Promise<Map<number, Buffer>> {
    return this.#readAll(places, { caches, take: (_place, stored) => Buffer.from(stored) }, signal);
  }

  async #readAll(
    places: readonly ChunkPlace[],
    use: Use,
    signal: AbortSignal | undefined,
  ): Promise<Map<number, Buffer>> {
    const blocks = new Map<number, Buffer>();
    const [first] = places;
    if (first === undefined) return blocks;
    if (places.some(({ pack }) => pack !== first.pack)) throw new RangeError('places of several packs');
    throwIfAborted(signal);
    const sorted = distinctBlocks(places);
    for (const place of sorted) this.#takeCached(place, use, blocks);
    const requests = planRequests(sorted, blocks);
    const worker = async () => {
      for (let request = requests.pop(); request !== undefined; request = requests.pop())
        await this.#read(first, request, use, blocks, signal);
    };
    await Promise.all(Array.from({ length: Math.min(parallelRequests, requests.length) }, worker));
    return blocks;
  }

  #takeCached(place: ChunkPlace, use: Use, blocks: Map<number, Buffer>): void {
    const { cache } = this.#options;
    const stored = cache?.read(place);
    if (stored === undefined) return;
    try {
      blocks.set(place.block, use.take(place, stored));
    } catch {
      // A crash or the disk spoiled it, or the store's own is no better: then that one says so.
      cache?.reject(place);
    }
  }

  async #read(
    { pack, packVersionId }: ChunkPlace,
    { offset, length, places }: Request,
    use: Use,
    blocks: Map<number, Buffer>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { store, cache } = this.#options;
    const range = { offset, length };
    const bytes = await namingAsync('pack.damaged', `pack ${pack}`, () =>
      fetchExact(store, packKey(pack), { versionId: packVersionId, range, signal }),
    );
    for (const place of places) {
      const from = place.blockOffset_bytes - offset;
      const stored = bytes.subarray(from, from + place.blockStored_bytes);
      blocks.set(place.block, use.take(place, stored));
    }
    // With the blocks in between, which nobody asked for yet: fetched once is enough.
    if (use.caches) cache?.keep(pack, offset, bytes);
  }

  /** The bytes of one chunk, a view of its plain block, proven to be the ones that the id names. Throws 'pack.damaged' otherwise. */
  chunkFrom(block: Buffer, place: ChunkPlace, id: ChunkId): Buffer {
    return this.#decoder.chunkFrom(block, place, id);
  }
}

/** One place for each block, in order of their offsets. */
function distinctBlocks(places: readonly ChunkPlace[]): ChunkPlace[] {
  const byBlock = new Map<number, ChunkPlace>();
  for (const place of places) {
    checkPlace(place);
    byBlock.set(place.block, place);
  }
  return [...byBlock.values()].sort((a, b) => a.blockOffset_bytes - b.blockOffset_bytes);
}

/** Requests for the blocks that are not there yet; none reaches over one that is. */
function planRequests(sorted: readonly ChunkPlace[], there: ReadonlyMap<number, Buffer>): Request[] {
  const requests: Request[] = [];
  let open: Request | undefined;
  for (const place of sorted) {
    if (there.has(place.block)) {
      open = undefined;
      continue;
    }
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
