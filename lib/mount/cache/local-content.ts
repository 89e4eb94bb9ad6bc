// Bytes of files that can be had without waiting for a network: out of the shared blocks, or out of stored blocks on this
// machine, which are decoded into the shared ones on the way. Synchronous, for the threads that answer the kernel and for those
// that read ahead. Never gives a byte that was not checked against its chunk's id.

import { loadZstd } from '../../compression/index.js';
import { cryptoReady } from '../../crypto/index.js';
import type { ChunkId, ChunkPlace } from '../../pack/types.js';
import { BlockDecoder } from '../../pack/index.js';
import { openLocalBlocks, type LocalBlocks } from '../../pack/local-blocks.js';
import type { ContentMemory } from '../types.js';
import type { PlacedPiece } from './file-layout.js';
import { SharedBlocks, type Pinned } from './shared-blocks.js';

/** What BlockDecoder (lib/pack) offers; tests bring their own. */
export interface Decoder {
  /** Valid until the next call. */
  decode(place: ChunkPlace, stored: Uint8Array): Buffer;
  /** A view of the block, proven to be what the id names; throws otherwise. */
  chunkFrom(block: Buffer, place: ChunkPlace, id: ChunkId): Buffer;
}

/** A chunk and where it lies. */
export interface Wanted {
  readonly place: ChunkPlace;
  readonly id: ChunkId;
}

export interface LocalContentOptions {
  readonly shared: SharedBlocks;
  readonly local: LocalBlocks;
  readonly decoder: Decoder;
}

export class LocalContent {
  readonly #options: LocalContentOptions;
  #scratch = Buffer.alloc(0);

  constructor(options: LocalContentOptions) {
    this.#options = options;
  }

  /**
   * A range of a file: its pieces, and zeros between them, into `target`, which is as long as the range. False where some must
   * be fetched; `target` is then anything. Throws the pack's errors (kind damaged).
   */
  read(pieces: readonly PlacedPiece[], target: Buffer): boolean {
    let filled = 0;
    for (const piece of pieces) {
      if (filled < piece.at) target.fill(0, filled, piece.at);
      if (!this.piece(piece, target)) return false;
      filled = piece.at + piece.to - piece.from;
    }
    if (filled < target.length) target.fill(0, filled);
    return true;
  }

  /** One piece into its place in `target`; false where its block must be fetched. */
  piece(piece: PlacedPiece, target: Buffer): boolean {
    const block = this.#pinned(piece);
    if (block === undefined) return false;
    try {
      this.#copy(block, piece, target.subarray(piece.at, piece.at + piece.to - piece.from));
      return true;
    } finally {
      this.#options.shared.release(block);
    }
  }

  /** Has the block of a chunk decoded into the shared ones; false where it must be fetched. */
  load(wanted: Wanted): boolean {
    const block = this.#pinned(wanted);
    if (block === undefined) return false;
    this.#options.shared.release(block);
    return true;
  }

  #pinned({ place, id }: Wanted): Pinned | undefined {
    const { shared } = this.#options;
    const claim = shared.claim(place);
    if (claim.kind === 'ready') return claim.block;
    if (claim.kind === 'full') return undefined;
    const plain = this.#decode(place, id);
    if (plain === undefined) {
      shared.abandon(claim.block);
      return undefined;
    }
    if (isAlone(place)) shared.prove(claim.block);
    shared.fill(claim.block, plain);
    return claim.block;
  }

  /**
   * A chunk that has its block for itself is checked here, others when they are read. Whoever fetches what is damaged here
   * meets the damage again, or finds it whole where it comes from.
   */
  #decode(place: ChunkPlace, id: ChunkId): Buffer | undefined {
    const { local, decoder } = this.#options;
    try {
      const stored = local.read(place);
      if (stored === undefined) return undefined;
      const plain = decoder.decode(place, stored);
      if (isAlone(place)) decoder.chunkFrom(plain, place, id);
      return plain;
    } catch {
      local.reject(place);
      return undefined;
    }
  }

  #copy(block: Pinned, piece: PlacedPiece, target: Buffer): void {
    const { shared, decoder } = this.#options;
    const { place } = piece;
    const { offset_bytes: start, size_bytes } = place;
    if (shared.isProven(block)) {
      shared.copy(block, start + piece.from, start + piece.to, target, 0);
      return;
    }
    const isWhole = target.length === size_bytes;
    const chunk = isWhole ? target : this.#scratchOf(size_bytes);
    shared.copy(block, start, start + size_bytes, chunk, 0);
    decoder.chunkFrom(chunk, { ...place, offset_bytes: 0 }, piece.id);
    if (isAlone(place)) shared.prove(block);
    if (!isWhole) chunk.copy(target, 0, piece.from, piece.to);
  }

  #scratchOf(size_bytes: number): Buffer {
    if (this.#scratch.length < size_bytes) this.#scratch = Buffer.alloc(size_bytes);
    return this.#scratch.subarray(0, size_bytes);
  }
}

function isAlone(place: ChunkPlace): boolean {
  return place.size_bytes === place.blockPlain_bytes;
}

/** For a thread of its own, with what the main thread handed over. */
export async function openLocalContent(
  repositoryId: string,
  { shared, keys, local }: ContentMemory,
  options: { readonly readsOn?: boolean } = {},
): Promise<LocalContent> {
  await cryptoReady();
  // Through the system's library a block is decompressed into memory that is there already.
  const zstd = await loadZstd('libzstd');
  const decoder = new BlockDecoder({ keys, repositoryId, zstd }, { reusesMemory: true });
  return new LocalContent({
    shared: new SharedBlocks(shared),
    local: openLocalBlocks(local, options),
    decoder,
  });
}
