// Listing a directory of a version from any position, without state in the protocol: positions are ordinals, and every 64th
// name is remembered per directory, so that a later page starts near where it should, in whatever thread it is asked for.

import type { CatalogEntry, CatalogReader, DirectoryId } from '../../catalog/types.js';

const step = 64;
const keptDirectories = 64;

export class Listings {
  readonly #catalog: CatalogReader;
  /** By directory and version: names[i] is the name at ordinal (i + 1) * step - 1. What a version holds never changes. */
  readonly #samples = new Map<string, Buffer[]>();

  constructor(catalog: CatalogReader) {
    this.#catalog = catalog;
  }

  /** Entries from the one at `position` on, with their ordinals. */
  *from(directory: DirectoryId, sequence: number, position: number): Generator<[number, CatalogEntry]> {
    const samples = this.#samplesOf(`${directory} ${sequence}`);
    const start = Math.min(Math.floor(position / step), samples.length);
    let ordinal = start * step;
    for (const entry of this.#catalog.list(directory, sequence, samples[start - 1])) {
      if (ordinal === samples.length * step + step - 1) samples.push(Buffer.from(entry.name));
      if (ordinal >= position) yield [ordinal, entry];
      ordinal++;
    }
  }

  #samplesOf(key: string): Buffer[] {
    const known = this.#samples.get(key) ?? [];
    this.#samples.delete(key);
    this.#samples.set(key, known);
    const [oldest] = this.#samples.keys();
    if (this.#samples.size > keptDirectories && oldest !== undefined) this.#samples.delete(oldest);
    return known;
  }
}
