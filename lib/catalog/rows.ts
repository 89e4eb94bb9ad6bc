// Reads what stat(2) and a listing need of the states, and nothing more: what a mount is asked most. The whole entry with its
// content is reader.ts's business. Never decodes content; works in any thread.

import { decodeAttributes } from '../manifest/entry.js';
import { ByteReader } from '../bytes/cursor.js';
import type { Tables } from './database.js';
import { catalogDamaged } from './failure.js';
import { newestStates, stateAt } from './lookup.js';
import { numberKey, directoryKey, toDirectoryPlace } from './records.js';
import {
  afterName,
  directoryOf,
  directoryStart,
  entryBytesOf,
  fromOf,
  holdsAt,
  MutableRow,
  nameOfKey,
  rowKey,
  stateKey,
  toPlace,
} from './state.js';
import { Stretch } from './stretch.js';
import { checksum_bytes } from './table.js';
import type { CatalogRow, DirectoryId, EntryExtras } from './types.js';
import { XattrKinds } from './xattr-kinds.js';

/** Rows that are read at once: to start a read costs as much as some rows, and all of them are held in memory. */
const least = 16;
const most = 1024;
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
  /** Used again by every listing, unless one is under way. */
  #spare: Stretch | undefined;

  constructor(tables: Tables) {
    this.#tables = tables;
    this.#xattrs = new XattrKinds(tables.meta);
  }

  /** The state that a row number leads to. */
  state(id: number): NamedState | undefined {
    const value = this.#tables.ids.get(rowKey(id));
    if (value === undefined) return undefined;
    const { directory, name, from } = toPlace(value);
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

  visit(
    directory: DirectoryId,
    sequence: number,
    position: number,
    expected: number,
    visit: (row: CatalogRow) => boolean,
  ): void {
    const { nodes } = this.#tables;
    const row = new MutableRow();
    const stretch = this.#spare ?? new Stretch();
    this.#spare = undefined;
    const limit = Math.min(Math.max(expected, least), most);
    for (let from = this.#startOf(directory, position), isDone = false; from !== undefined && !isDone;) {
      stretch.clear();
      from = newestStates(nodes, directory, from, limit, stretch);
      const { bytes, places } = stretch;
      for (let index = 0; index < stretch.rows && !isDone; index++) {
        const at = places[index * 4 + 2]! + checksum_bytes;
        if (holdsAt(bytes, at, sequence)) row.set(bytes, at);
        else {
          const newest = stretch.stored(index).subarray(checksum_bytes);
          const state = stateAt(nodes, directory, nameOfKey(stretch.key(index)), sequence, newest);
          if (state === undefined) continue;
          row.set(state, 0);
        }
        isDone = visit(row.setNameOfKey(bytes, places[index * 4]!, places[index * 4 + 1]!));
      }
    }
    this.#spare = stretch;
  }

  /** undefined: nothing of the directory follows such a position. */
  #startOf(directory: DirectoryId, position: number): Buffer | undefined {
    if (position === 0) return directoryStart(directory);
    const value = this.#tables.ids.get(rowKey(position));
    const place = value && toPlace(value);
    return place?.directory === directory ? afterName(directory, place.name) : undefined;
  }
}

function keep<V>(map: Map<number, V>, key: number, value: V): V {
  if (map.size >= kept) map.clear();
  map.set(key, value);
  return value;
}
