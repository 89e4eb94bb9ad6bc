// Reads what stat(2) and a listing need of the states, and nothing more: what a mount is asked most. The whole entry with its
// content is reader.ts's business. Never decodes content; works in any thread.

import { decodeAttributes } from '../manifest/entry.js';
import { ByteReader } from '../bytes/cursor.js';
import type { Tables } from './database.js';
import { catalogDamaged } from './failure.js';
import { stateAt } from './lookup.js';
import { numberKey, directoryKey, toDirectoryPlace } from './records.js';
import { RowCursor } from './row-cursor.js';
import {
  afterName,
  directoryOf,
  directoryStart,
  entryBytesOf,
  fromOf,
  MutableRow,
  stateKey,
} from './state.js';
import type { Stretch } from './stretch.js';
import type { CatalogRow, DirectoryId, EntryExtras } from './types.js';
import { XattrKinds } from './xattr-kinds.js';

/** Directories that need no look at the tables: what a row or a directory belongs to never changes. */
const kept = 8192;

export interface NamedState {
  readonly name: Buffer;
  readonly state: Buffer;
}

export class Rows {
  readonly #tables: Tables;
  readonly #xattrs: XattrKinds;
  readonly #directories = new Map<number, DirectoryId>();
  readonly #streams = new Map<DirectoryId, number>();
  /** Of listings that have ended. */
  readonly #spare: Stretch[] = [];

  constructor(tables: Tables) {
    this.#tables = tables;
    this.#xattrs = new XattrKinds(tables.meta);
  }

  /** The state that a row number leads to. */
  state(id: number): NamedState | undefined {
    const place = this.#tables.ids.get(id);
    if (place === undefined) return undefined;
    const { directory, name, from } = place;
    const newest = this.#tables.nodes.get(stateKey(directory, name));
    const state =
      newest !== undefined && fromOf(newest) === from
        ? newest
        : this.#tables.nodes.get(stateKey(directory, name, from));
    if (state === undefined) throw catalogDamaged(`row ${id} is missing`);
    return { name, state };
  }

  row(id: number): CatalogRow | undefined {
    const found = this.state(id);
    return found && new MutableRow().set(found.state, 0).setName(found.name, 0, found.name.length);
  }

  directoryById(id: number): DirectoryId | undefined {
    const known = this.#directories.get(id);
    if (known !== undefined) return known;
    const found = this.state(id);
    const directory = found === undefined ? 0 : directoryOf(found.state);
    return directory === 0 ? undefined : keep(this.#directories, id, directory);
  }

  extras(id: number): EntryExtras | undefined {
    const found = this.state(id);
    return found && decodeAttributes(new ByteReader(entryBytesOf(found.state), 'a row of the local catalog'));
  }

  isUnheardOf(xattr: Uint8Array): boolean {
    return this.#xattrs.isUnheardOf(xattr);
  }

  /** Whether the directory's stream has the version. */
  isReadable(directory: DirectoryId, sequence: number): boolean {
    let stream = this.#streams.get(directory);
    if (stream === undefined) {
      const place = this.#tables.directories.get(directoryKey(directory));
      if (place === undefined) return false;
      stream = keep(this.#streams, directory, toDirectoryPlace(place).stream);
    }
    return this.#tables.versions.has(numberKey(stream, sequence));
  }

  lookup(directory: DirectoryId, name: Uint8Array, sequence: number): CatalogRow | undefined {
    const state = stateAt(this.#tables.nodes, directory, name, sequence);
    return state && new MutableRow().set(state, 0).setName(name, 0, name.length);
  }

  /** From the key `start` on; as many rows as `expected` are read at the first go. */
  cursor(directory: DirectoryId, sequence: number, start: Buffer | undefined, expected: number): RowCursor {
    return new RowCursor(this.#tables.nodes, this.#spare, { directory, sequence, start, expected });
  }

  visit(
    directory: DirectoryId,
    sequence: number,
    position: number,
    expected: number,
    visit: (row: CatalogRow) => boolean,
  ): void {
    const rows = this.cursor(directory, sequence, this.#startOf(directory, position), expected);
    while (rows.next()) if (visit(rows)) break;
    rows.close();
  }

  /** undefined: nothing of the directory follows such a position. */
  #startOf(directory: DirectoryId, position: number): Buffer | undefined {
    if (position === 0) return directoryStart(directory);
    const place = this.#tables.ids.get(position);
    return place?.directory === directory ? afterName(directory, place.name) : undefined;
  }
}

function keep<V>(map: Map<number, V>, key: number, value: V): V {
  if (map.size >= kept) map.clear();
  map.set(key, value);
  return value;
}
