// Bytes of files out of chunks: finds the segments that a read touches, has their blocks fetched, puts the answer together.
// Sequential reads fetch ahead. Never gives a byte that was not checked against its chunk's id. Knows nothing of mounts.

import type { CatalogReader } from '../../catalog/types.js';
import { damaged } from '../../errors/index.js';
import type { Entry } from '../../manifest/types.js';
import type { ChunkPlace } from '../../pack/types.js';
import type { ContentSource } from '../types.js';
import { BlockCache, type BlockReader } from './blocks.js';

const readahead_bytes = 4 * 1024 * 1024;

export interface ContentOptions {
  readonly catalog: Pick<CatalogReader, 'chunk'>;
  readonly reader: BlockReader;
  readonly cache_bytes?: number;
}

/** One open file, as far as reads tell. */
interface Position {
  /** starts[i] is the offset of segment i. */
  readonly starts: readonly number[];
  /** Where the last read ended. */
  end: number;
}

export class CachedContent implements ContentSource {
  readonly #catalog: Pick<CatalogReader, 'chunk'>;
  readonly #cache: BlockCache;
  readonly #positions = new WeakMap<Entry, Position>();

  constructor(options: ContentOptions) {
    this.#catalog = options.catalog;
    this.#cache = new BlockCache(options.reader, options.cache_bytes);
  }

  async read(entry: Entry, offset: number, size_bytes: number, signal: AbortSignal): Promise<Buffer> {
    const end = Math.min(offset + size_bytes, entry.size_bytes);
    if (offset >= end) return Buffer.alloc(0);
    const position = this.#position(entry);
    const isSequential = offset > 0 && offset === position.end;
    position.end = end;
    const pieces: Promise<Buffer>[] = [];
    let index = segmentAt(position.starts, offset);
    for (; index < entry.content.length && position.starts[index]! < end; index++) {
      const start = position.starts[index]!;
      pieces.push(this.#piece(entry, index, Math.max(0, offset - start), end - start, signal));
    }
    if (isSequential) this.#readAhead(entry, index);
    const done = await Promise.all(pieces);
    const bytes = done.length === 1 ? done[0]! : Buffer.concat(done);
    if (bytes.length !== end - offset)
      throw damaged('mount.short_content', 'the content of a file is shorter than its size');
    return bytes;
  }

  async #piece(entry: Entry, index: number, from: number, to: number, signal: AbortSignal): Promise<Buffer> {
    const segment = entry.content[index]!;
    const end = Math.min(to, segment.size_bytes);
    if (segment.kind === 'hole') return Buffer.alloc(end - from);
    const place = this.#catalog.chunk(segment.id);
    if (place === undefined) {
      const id = Buffer.from(segment.id).toString('hex').slice(0, 16);
      throw damaged('mount.unknown_chunk', `no pack is known to hold the chunk ${id}…`);
    }
    if (place.size_bytes !== segment.size_bytes) {
      throw damaged('mount.wrong_size', `a chunk in pack ${place.pack} has another size than its file says`);
    }
    return (await this.#cache.chunk(place, segment.id, signal)).subarray(from, end);
  }

  /** The chunks from segment `first` on that lie in one pack, up to a bound. */
  #readAhead(entry: Entry, first: number): void {
    const places: ChunkPlace[] = [];
    let room_bytes = readahead_bytes;
    for (let index = first; index < entry.content.length; index++) {
      const segment = entry.content[index]!;
      if (segment.kind === 'hole') continue;
      const place = this.#catalog.chunk(segment.id);
      room_bytes -= place?.blockPlain_bytes ?? 0;
      if (place === undefined || room_bytes < 0 || (places[0] ?? place).pack !== place.pack) break;
      places.push(place);
    }
    this.#cache.prefetch(places);
  }

  #position(entry: Entry): Position {
    const known = this.#positions.get(entry);
    if (known !== undefined) return known;
    let sum = 0;
    const starts = entry.content.map((segment) => {
      const start = sum;
      sum += segment.size_bytes;
      return start;
    });
    const position = { starts, end: 0 };
    this.#positions.set(entry, position);
    return position;
  }
}

/** Index of the last segment that starts at or before `offset`. */
function segmentAt(starts: readonly number[], offset: number): number {
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (starts[middle]! <= offset) low = middle;
    else high = middle;
  }
  return low;
}
