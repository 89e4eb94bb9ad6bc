// A catalog of complete trees in memory, one per version: as much of CatalogReader as comparing and restoring ask for.

import { comparePaths, joinPath, parentAndName, splitPath } from '../../lib/bytes/path.js';
import type { CatalogEntry, CatalogReader } from '../../lib/catalog/types.js';
import type { Entry } from '../../lib/manifest/types.js';
import type { ChunkPlace } from '../../lib/pack/types.js';

type Answers = Pick<CatalogReader, 'root' | 'list' | 'lookup' | 'find' | 'chunk'>;

export class MemoryCatalog implements Answers {
  readonly #versions = new Map<number, Map<string, Entry>>();
  readonly #directories: Buffer[] = [];
  readonly #directoryIds = new Map<string, number>();
  readonly places = new Map<string, ChunkPlace>();

  /** The whole tree of a version, in any order; path '' is its root. */
  setVersion(sequence: number, entries: Iterable<readonly [path: Uint8Array, entry: Entry]>): void {
    const sorted = [...entries].sort(([a], [b]) => comparePaths(a, b));
    this.#versions.set(sequence, new Map(sorted.map(([path, entry]) => [keyOf(path), entry])));
  }

  paths(sequence: number): string[] {
    return [...(this.#versions.get(sequence)?.keys() ?? [])];
  }

  root(_stream: string, sequence: number): CatalogEntry | undefined {
    return this.#at(sequence, Buffer.alloc(0));
  }

  *list(directory: number, sequence: number, after?: Uint8Array): IterableIterator<CatalogEntry> {
    const parent = this.#directories[directory]!;
    for (const key of this.#versions.get(sequence)?.keys() ?? []) {
      const path = Buffer.from(key, 'latin1');
      if (path.length === 0) continue;
      const split = parentAndName(path);
      if (!split.parent.equals(parent)) continue;
      if (after !== undefined && Buffer.compare(split.name, after) <= 0) continue;
      yield this.#at(sequence, path)!;
    }
  }

  lookup(directory: number, name: Uint8Array, sequence: number): CatalogEntry | undefined {
    return this.#at(sequence, joinPath(this.#directories[directory]!, name));
  }

  find(_stream: string, sequence: number, path: Uint8Array): CatalogEntry | undefined {
    return this.#at(
      sequence,
      Buffer.from(
        splitPath(path)
          .map((name) => name.toString('latin1'))
          .join('/'),
        'latin1',
      ),
    );
  }

  chunk(id: Uint8Array): ChunkPlace | undefined {
    return this.places.get(Buffer.from(id).toString('hex'));
  }

  #at(sequence: number, path: Buffer): CatalogEntry | undefined {
    const entry = this.#versions.get(sequence)?.get(keyOf(path));
    if (entry === undefined) return undefined;
    return {
      name: Buffer.from(parentAndName(path).name),
      id: 1,
      directory: entry.type === 'directory' ? this.#directoryId(path) : undefined,
      from: sequence,
      to: Infinity,
      entry,
    };
  }

  #directoryId(path: Buffer): number {
    const known = this.#directoryIds.get(keyOf(path));
    if (known !== undefined) return known;
    this.#directoryIds.set(keyOf(path), this.#directories.length);
    return this.#directories.push(Buffer.from(path)) - 1;
  }
}

function keyOf(path: Uint8Array): string {
  return Buffer.from(path).toString('latin1');
}
