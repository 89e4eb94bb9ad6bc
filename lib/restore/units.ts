// Gathers names into requests for the threads: those of neighbouring directories together, because they lie in the same blocks.

import type { CatalogReader } from '../catalog/types.js';
import type { ChunkPlace } from '../pack/types.js';
import { blockKey } from './blocks.js';
import type { Frame } from './directories.js';
import { limits } from './limits.js';
import type { Place } from './links.js';

export interface UnitPart {
  readonly frame: Frame;
  readonly places: Place[];
  /** By place in `places`. */
  readonly firsts: Map<number, Place>;
}

export interface Unit {
  readonly parts: UnitPart[];
  /** What is fetched before anybody looks at what stands there, because nothing does; one for each block. */
  readonly blocks: ChunkPlace[];
}

export interface UnitBuilderOptions {
  readonly catalog: Pick<CatalogReader, 'lookup' | 'chunk'>;
  readonly sequence: number;
  /** The threads cannot read blocks themselves. */
  readonly mustFetch: boolean;
}

export class UnitBuilder {
  readonly #options: UnitBuilderOptions;
  #parts: UnitPart[] = [];
  #keys = new Set<string>();
  #blocks: ChunkPlace[] = [];
  #count = 0;
  #bytes = 0;

  constructor(options: UnitBuilderOptions) {
    this.#options = options;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  get isFull(): boolean {
    const most = this.#options.mustFetch ? limits.fetchedEntries : limits.unitEntries;
    return this.#count >= most || this.#bytes >= limits.unit_bytes;
  }

  add(place: Place, first: Place | undefined): void {
    let part = this.#parts.at(-1);
    if (part?.frame !== place.frame) {
      part = { frame: place.frame, places: [], firsts: new Map() };
      this.#parts.push(part);
    }
    if (first !== undefined) part.firsts.set(part.places.length, first);
    part.places.push(place);
    this.#count++;
    if (first !== undefined) return;
    if (this.#options.mustFetch) this.#need(place);
    else this.#bytes += place.row.size_bytes;
  }

  #need(place: Place): void {
    for (const chunk of chunksOf(place, this.#options)) {
      const key = blockKey(chunk);
      if (this.#keys.has(key)) continue;
      this.#keys.add(key);
      this.#bytes += chunk.blockStored_bytes;
      if (place.frame.isBare) this.#blocks.push(chunk);
    }
  }

  take(): Unit {
    const unit = { parts: this.#parts, blocks: this.#blocks };
    this.#parts = [];
    this.#keys = new Set();
    this.#blocks = [];
    this.#count = 0;
    this.#bytes = 0;
    return unit;
  }
}

/** Where a file's chunks lie, as far as that is known: whoever writes it finds out what is missing. */
export function chunksOf(
  { frame, row }: Place,
  { catalog, sequence }: Pick<UnitBuilderOptions, 'catalog' | 'sequence'>,
): ChunkPlace[] {
  if (row.type !== 'file') return [];
  const content = catalog.lookup(frame.catalog, row.name, sequence)?.entry.content ?? [];
  return content.flatMap((segment) => {
    const place = segment.kind === 'chunk' ? catalog.chunk(segment.id) : undefined;
    return place === undefined ? [] : [place];
  });
}
