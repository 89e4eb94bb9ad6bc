// Bytes of files for those who can wait: what is on this machine is taken from there, the rest is fetched. Sequential reads fetch
// ahead. Never gives a byte that was not checked against its chunk's id. Knows nothing of mounts. Main thread only.

import type { CatalogReader } from '../../catalog/types.js';
import type { RepositoryKeys } from '../../crypto/index.js';
import { openLocalBlocks, type LocalBlocksSettings } from '../../pack/local-blocks.js';
import type { Entry } from '../../manifest/types.js';
import type { ChunkPlace } from '../../pack/types.js';
import type { ContentMemory, ContentSource } from '../types.js';
import { FileLayout, placed, type Piece } from './file-layout.js';
import { Flights, type BlockReader } from './flights.js';
import { LocalContent, type Decoder } from './local-content.js';
import { SharedBlocks } from './shared-blocks.js';

/** Little, because the kernel keeps what was read. */
const defaultCache_bytes = 32 * 1024 * 1024;
const readahead_bytes = 4 * 1024 * 1024;

export interface ContentOptions {
  readonly catalog: Pick<CatalogReader, 'chunk'>;
  readonly reader: BlockReader;
  readonly decoder: Decoder;
  /** Stored blocks on this machine. Default: none. */
  readonly local?: LocalBlocksSettings;
  /** Lets other threads read contents, too. */
  readonly keys?: RepositoryKeys;
  /** Whether sequential reads fetch ahead; not where somebody else sees to that (lib/mount/prefetch). */
  readonly readsAhead?: boolean | undefined;
  /** Bounds the plain blocks in memory. */
  readonly cache_bytes?: number | undefined;
}

/** One open file, as far as reads tell. */
interface Position {
  readonly layout: FileLayout;
  /** Where the last read ended. */
  end: number;
}

export class CachedContent implements ContentSource {
  readonly memory: ContentMemory | undefined;
  readonly #catalog: Pick<CatalogReader, 'chunk'>;
  readonly #decoder: Decoder;
  readonly #local: LocalContent;
  readonly #readsAhead: boolean;
  readonly #flights: Flights;
  readonly #positions = new WeakMap<Entry, Position>();

  constructor(options: ContentOptions) {
    const { catalog, reader, decoder, local = { kind: 'none' }, keys, readsAhead = true } = options;
    const shared = SharedBlocks.create(options.cache_bytes ?? defaultCache_bytes);
    this.memory = keys && { shared: shared.memory, keys, local };
    // What lies in a directory is decoded when it is read: there is nothing to wait for.
    this.#readsAhead = readsAhead && local.kind !== 'directory';
    this.#catalog = catalog;
    this.#decoder = decoder;
    this.#flights = new Flights(reader, shared);
    this.#local = new LocalContent({ shared, local: openLocalBlocks(local), decoder });
  }

  async read(entry: Entry, offset: number, size_bytes: number, signal: AbortSignal): Promise<Buffer> {
    const end = Math.min(offset + size_bytes, entry.size_bytes);
    if (offset >= end) return Buffer.alloc(0);
    const position = this.#position(entry);
    const isFollowed = this.#readsAhead && offset > 0 && offset === position.end;
    position.end = end;
    const bytes = Buffer.alloc(end - offset);
    const pieces = position.layout.pieces(offset, end);
    await Promise.all(pieces.map((piece) => this.#piece(piece, bytes, signal)));
    if (isFollowed) this.#readAhead(position.layout, end);
    return bytes;
  }

  ahead(places: readonly ChunkPlace[]): Promise<void> {
    return this.#flights.ahead(places);
  }

  async #piece(piece: Piece, target: Buffer, signal: AbortSignal): Promise<void> {
    const located = placed(this.#catalog, piece);
    if (this.#local.piece(located, target)) return;
    const block = await this.#flights.block(located.place, signal);
    this.#decoder.chunkFrom(block, located.place, piece.id).copy(target, piece.at, piece.from, piece.to);
  }

  /** The chunks behind `offset` that lie in one pack, up to a bound. */
  #readAhead(layout: FileLayout, offset: number): void {
    const places: ChunkPlace[] = [];
    const end = Math.min(offset + readahead_bytes, layout.entry.size_bytes);
    for (const piece of layout.pieces(offset, end)) {
      const place = this.#catalog.chunk(piece.id);
      if (place === undefined || (places[0] ?? place).pack !== place.pack) break;
      places.push(place);
    }
    void this.ahead(places);
  }

  #position(entry: Entry): Position {
    const known = this.#positions.get(entry);
    if (known !== undefined) return known;
    const position = { layout: new FileLayout(entry), end: 0 };
    this.#positions.set(entry, position);
    return position;
  }
}
