// Goes through the entries of one directory at one version, one after another, without making an object for any of them: what
// a listing and an unchanged backup do a million times. Reads ahead in stretches; keeps nothing open in LMDB between two calls.

import { newestStates, stateAt } from './lookup.js';
import { holdsAt, MutableRow, nameOfKey, toCatalogEntry } from './state.js';
import { Stretch } from './stretch.js';
import { checksum_bytes, type Table } from './table.js';
import type { CatalogEntry, DirectoryCursor, DirectoryId } from './types.js';

/** Rows that are read at once: to start a read costs as much as some rows, and all of them are held in memory. */
const least = 16;
const most = 1024;
const growth = 4;

/** Stretches that wait for the next cursor; a walk has one open for each level of its tree. */
const spareStretches = 16;

export interface RowCursorOptions {
  readonly directory: DirectoryId;
  readonly sequence: number;
  /** Key to begin at; undefined: nothing follows. */
  readonly start: Buffer | undefined;
  /** About how many rows will be taken. */
  readonly expected: number;
}

export class RowCursor extends MutableRow implements DirectoryCursor {
  readonly #nodes: Table;
  readonly #spare: Stretch[];
  readonly #directory: DirectoryId;
  readonly #sequence: number;
  /** undefined: at its end. */
  #stretch: Stretch | undefined;
  /** The row of the stretch that is next. */
  #next = 0;
  /** Where to read on; undefined: there is no more. */
  #from: Buffer | undefined;
  #limit: number;
  /** The state at hand, where it is not the one in the stretch. */
  #older: Buffer | undefined;

  /** `spare`: where this cursor takes its stretch from, and gives it back to. */
  constructor(nodes: Table, spare: Stretch[], options: RowCursorOptions) {
    super();
    this.#nodes = nodes;
    this.#spare = spare;
    this.#directory = options.directory;
    this.#sequence = options.sequence;
    this.#from = options.start;
    this.#limit = Math.min(Math.max(options.expected, least), most);
    this.#stretch = spare.pop() ?? new Stretch();
    this.#stretch.clear();
  }

  next(): boolean {
    const stretch = this.#stretch;
    while (stretch !== undefined) {
      if (this.#next === stretch.rows && !this.#read(stretch)) break;
      const { bytes, places } = stretch;
      const row = this.#next++;
      const at = places[row * 4 + 2]! + checksum_bytes;
      if (holdsAt(bytes, at, this.#sequence)) {
        this.#older = undefined;
        this.set(bytes, at);
      } else {
        this.#older = this.#olderState(stretch, row);
        if (this.#older === undefined) continue;
        this.set(this.#older, 0);
      }
      this.setNameOfKey(bytes, places[row * 4]!, places[row * 4 + 1]!);
      return true;
    }
    this.close();
    return false;
  }

  /** False at the end of the directory. */
  #read(stretch: Stretch): boolean {
    while (this.#from !== undefined) {
      stretch.clear();
      this.#next = 0;
      this.#from = newestStates(this.#nodes, this.#directory, this.#from, this.#limit, stretch);
      this.#limit = Math.min(this.#limit * growth, most);
      if (stretch.rows > 0) return true;
    }
    return false;
  }

  #olderState(stretch: Stretch, row: number): Buffer | undefined {
    const newest = stretch.stored(row).subarray(checksum_bytes);
    return stateAt(this.#nodes, this.#directory, nameOfKey(stretch.key(row)), this.#sequence, newest);
  }

  compareName(name: Uint8Array): number {
    const { nameBytes, nameStart, nameEnd } = this;
    const length = Math.min(nameEnd - nameStart, name.length);
    for (let index = 0; index < length; index++) {
      const difference = nameBytes[nameStart + index]! - name[index]!;
      if (difference !== 0) return difference;
    }
    return nameEnd - nameStart - name.length;
  }

  entry(): CatalogEntry {
    const state = this.#older ?? this.#stretch?.stored(this.#next - 1).subarray(checksum_bytes);
    if (state === undefined) throw new RangeError('there is no entry at hand');
    const name = Buffer.from(this.nameBytes.subarray(this.nameStart, this.nameEnd));
    return toCatalogEntry(name, Buffer.from(state));
  }

  close(): void {
    if (this.#stretch !== undefined && this.#spare.length < spareStretches) this.#spare.push(this.#stretch);
    this.#stretch = undefined;
    this.#older = undefined;
  }
}
