// Stretches of a large file, which several threads put back at once: as data for a message, and carried out. Synchronous.

import type { CatalogReader } from '../catalog/types.js';
import { damaged } from '../errors/index.js';
import type { Segment } from '../manifest/types.js';
import type { ChunkId } from '../pack/types.js';
import { printable } from '../bytes/path.js';
import { type Blocks, UnreadError } from './blocks.js';
import { changeSegments, writeSegments } from './content.js';
import { type Comparison, hasSegment } from './existing.js';
import { explain, isOfOneEntry } from './failure.js';
import type { PieceRequest, PieceResponse } from './messages.js';

const id_bytes = 32;

export function packSegments(segments: readonly Segment[]): Pick<PieceRequest, 'ids' | 'sizes_bytes'> {
  const ids = Buffer.alloc(segments.length * id_bytes);
  const sizes_bytes = segments.map((segment, index) => {
    if (segment.kind === 'hole') return -segment.size_bytes;
    ids.set(segment.id, index * id_bytes);
    return segment.size_bytes;
  });
  return { ids, sizes_bytes };
}

export function unpackSegments({ ids, sizes_bytes }: Pick<PieceRequest, 'ids' | 'sizes_bytes'>): Segment[] {
  return sizes_bytes.map((size_bytes, index) =>
    size_bytes < 0
      ? { kind: 'hole', size_bytes: -size_bytes }
      : { kind: 'chunk', id: ids.subarray(index * id_bytes, (index + 1) * id_bytes), size_bytes },
  );
}

export interface PieceWriterOptions {
  readonly catalog: Pick<CatalogReader, 'chunk'>;
  readonly blocks: Blocks;
  readonly comparison: Comparison;
}

export class PieceWriter {
  readonly #options: PieceWriterOptions;

  constructor(options: PieceWriterOptions) {
    this.#options = options;
  }

  /** Throws what concerns the whole target, 'interrupted', and nothing else. */
  piece(request: PieceRequest): PieceResponse {
    this.#options.blocks.take(request.supply);
    const response: PieceResponse = {
      kind: 'piece',
      isSame: true,
      written_bytes: 0,
      isUnread: false,
      error: undefined,
    };
    try {
      if (request.does === 'compare') return { ...response, isSame: this.#isSame(request) };
      return { ...response, written_bytes: this.#write(request) };
    } catch (error) {
      if (error instanceof UnreadError) return { ...response, isUnread: true };
      const explained = explain(request.path, error);
      if (!isOfOneEntry(error)) throw explained;
      return { ...response, error: explained.toPlain() };
    }
  }

  #isSame(request: PieceRequest): boolean {
    let offset = request.offset_bytes;
    return unpackSegments(request).every((segment) => {
      offset += segment.size_bytes;
      return hasSegment(request.descriptor, offset - segment.size_bytes, segment, this.#options.comparison);
    });
  }

  #write(request: PieceRequest): number {
    const { comparison, blocks, catalog } = this.#options;
    const chunk = (_index: number, id: ChunkId): Buffer => {
      const place = catalog.chunk(id);
      if (place !== undefined) return blocks.chunk(id, place);
      throw damaged('restore.chunk_missing', `a part of ${printable(request.path)} is in no known pack`);
    };
    const { descriptor, offset_bytes, does } = request;
    const segments = unpackSegments(request);
    if (does === 'change') return changeSegments(descriptor, offset_bytes, segments, chunk, comparison);
    return writeSegments(descriptor, offset_bytes, segments, chunk, () => comparison.check());
  }
}
