// Which chunks a range of a file touches. Pure; one per open file, because a large file has many chunks.

import { damaged } from '../../errors/index.js';
import type { ChunkId, ChunkPlace } from '../../pack/types.js';
import type { Entry } from '../../manifest/types.js';

/** A part of a chunk and where it belongs; what no piece covers is a hole. */
export interface Piece {
  readonly id: ChunkId;
  readonly chunk_bytes: number;
  /** Of the chunk. */
  readonly from: number;
  readonly to: number;
  /** Of the range that was asked for. */
  readonly at: number;
}

export class FileLayout {
  readonly entry: Entry;
  /** starts[i] is the offset of segment i. */
  readonly #starts: number[] = [];

  constructor(entry: Entry) {
    this.entry = entry;
    let sum = 0;
    for (const { size_bytes } of entry.content) {
      this.#starts.push(sum);
      sum += size_bytes;
    }
    if (sum !== entry.size_bytes)
      throw damaged('mount.short_content', 'the content of a file is not as long as its size says');
  }

  /** Of the range from `offset` to `end`, which lies in the file. */
  pieces(offset: number, end: number): Piece[] {
    const pieces: Piece[] = [];
    const { content } = this.entry;
    for (let index = this.#segmentAt(offset); index < content.length; index++) {
      const segment = content[index]!;
      const start = this.#starts[index]!;
      if (start >= end) break;
      if (segment.kind === 'hole') continue;
      const from = Math.max(0, offset - start);
      const to = Math.min(end - start, segment.size_bytes);
      if (from >= to) continue;
      pieces.push({
        id: segment.id,
        chunk_bytes: segment.size_bytes,
        from,
        to,
        at: Math.max(0, start - offset),
      });
    }
    return pieces;
  }

  /** Bounds of the segment that holds byte `offset`. */
  segmentAround(offset: number): { readonly start: number; readonly end: number } {
    const index = this.#segmentAt(offset);
    const start = this.#starts[index] ?? 0;
    return { start, end: start + (this.entry.content[index]?.size_bytes ?? 0) };
  }

  /** Index of the last segment that starts at or before `offset`. */
  #segmentAt(offset: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (this.#starts[middle]! <= offset) low = middle;
      else high = middle;
    }
    return low;
  }
}

export interface PlacedPiece extends Piece {
  readonly place: ChunkPlace;
}

/** With where its chunk lies. Throws where the catalog knows of no place, or of one of another size. */
export function placed(catalog: { chunk(id: ChunkId): ChunkPlace | undefined }, piece: Piece): PlacedPiece {
  const { id, chunk_bytes, from, to, at } = piece;
  const place = catalog.chunk(id);
  if (place === undefined) {
    const hex = Buffer.from(id).toString('hex').slice(0, 16);
    throw damaged('mount.unknown_chunk', `no pack is known to hold the chunk ${hex}…`);
  }
  if (place.size_bytes !== chunk_bytes) {
    throw damaged('mount.wrong_size', `a chunk in pack ${place.pack} has another size than its file says`);
  }
  return { id, chunk_bytes, from, to, at, place };
}
