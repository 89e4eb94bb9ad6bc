// A catalog of complete trees in memory, one per version: as much of CatalogReader as comparing and restoring ask for.

import { inspect } from 'node:util';
import { comparePaths, joinPath, parentAndName, splitPath } from '../../lib/bytes/path.js';
import { ByteWriter } from '../../lib/bytes/cursor.js';
import type { CatalogEntry, CatalogReader, CatalogRow, DirectoryCursor } from '../../lib/catalog/types.js';
import { encodeAttributes } from '../../lib/manifest/entry.js';
import { decodeStatus, MutableStatus } from '../../lib/manifest/status.js';
import type { Entry } from '../../lib/manifest/types.js';
import type { ChunkPlace } from '../../lib/pack/types.js';

type Answers = Pick<CatalogReader, 'root' | 'list' | 'cursor' | 'visitRows' | 'lookup' | 'find' | 'chunk'>;

/** An entry as a cursor shows it. */
function row(found: CatalogEntry | undefined, index: number): CatalogRow & Pick<DirectoryCursor, 'status'> {
  const name = found?.name ?? Buffer.alloc(0);
  const status = new MutableStatus();
  if (found !== undefined) {
    const writer = new ByteWriter();
    encodeAttributes(writer, found.entry);
    decodeStatus(writer.view(), 0, status);
  }
  return {
    id: found?.id ?? 0,
    directory: found?.directory,
    nameBytes: name,
    nameStart: 0,
    nameEnd: name.length,
    position: index + 1,
    holes_bytes: 0,
    status,
  };
}

export class MemoryCatalog implements Answers {
  readonly #versions = new Map<number, Map<string, Entry>>();
  /** By version and directory, in byte order. */
  readonly #names = new Map<number, Map<string, Buffer[]>>();
  readonly #directories: Buffer[] = [];
  readonly #directoryIds = new Map<string, number>();
  readonly #rows = new Map<string, number>();
  readonly places = new Map<string, ChunkPlace>();

  /** The whole tree of a version, in any order; path '' is its root. */
  setVersion(sequence: number, entries: Iterable<readonly [path: Uint8Array, entry: Entry]>): void {
    const sorted = [...entries].sort(([a], [b]) => comparePaths(a, b));
    this.#versions.set(sequence, new Map(sorted.map(([path, entry]) => [keyOf(path), entry])));
    const names = new Map<string, Buffer[]>();
    this.#names.set(sequence, names);
    for (const [path] of sorted) {
      if (path.length === 0) continue;
      const { parent, name } = parentAndName(path);
      const siblings = names.get(keyOf(parent));
      if (siblings) siblings.push(Buffer.from(name));
      else names.set(keyOf(parent), [Buffer.from(name)]);
    }
  }

  paths(sequence: number): string[] {
    return [...(this.#versions.get(sequence)?.keys() ?? [])];
  }

  root(_stream: string, sequence: number): CatalogEntry | undefined {
    return this.#at(sequence, Buffer.alloc(0));
  }

  *list(directory: number, sequence: number, after?: Uint8Array): IterableIterator<CatalogEntry> {
    const parent = this.#directories[directory]!;
    for (const name of this.#names.get(sequence)?.get(keyOf(parent)) ?? []) {
      if (after !== undefined && Buffer.compare(name, after) <= 0) continue;
      yield this.#at(sequence, joinPath(parent, name))!;
    }
  }

  cursor(directory: number, sequence: number, after?: Uint8Array): DirectoryCursor {
    const entries = [...this.list(directory, sequence, after)];
    let at = -1;
    const cursor = {
      ...row(entries[0], 0),
      next: (): boolean => {
        at++;
        if (at >= entries.length) return false;
        Object.assign(cursor, row(entries[at], at));
        return true;
      },
      compareName: (name: Uint8Array): number => Buffer.compare(entries[at]!.name, name),
      entry: (): CatalogEntry => entries[at]!,
      close: (): void => undefined,
    };
    return cursor;
  }

  visitRows(
    directory: number,
    sequence: number,
    position: number,
    _expected: number,
    visit: (row: CatalogRow) => boolean,
  ): void {
    for (const [index, entry] of [...this.list(directory, sequence)].entries()) {
      if (index < position) continue;
      if (visit(row(entry, index))) return;
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
      id: this.#row(path, entry),
      directory: entry.type === 'directory' ? this.#directoryId(path) : undefined,
      from: sequence,
      to: Infinity,
      entry,
    };
  }

  /** Hard links share one, if they are alike in everything. */
  #row(path: Buffer, entry: Entry): number {
    const isLink = entry.links > 1 && entry.type !== 'directory';
    const key = isLink ? inspect(entry, { depth: null, maxArrayLength: null }) : `${keyOf(path)}/`;
    const row = this.#rows.get(key) ?? this.#rows.size + 1;
    this.#rows.set(key, row);
    return row;
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
