// Writes down which names a version touches, many to a row: what two versions are compared by (changes.ts).

import { ByteWriter } from '../bytes/cursor.js';
import { numberKey, writeTouched } from './records.js';
import { checksum_bytes, type Table } from './table.js';
import type { DirectoryId } from './types.js';

/** So that a page still lies in a page of the file. */
const page_bytes = 1800;

export class TouchedPages {
  readonly #table: Table;
  readonly #stream: number;
  readonly #sequence: number;
  readonly #writer = new ByteWriter(8192).u32(0);
  #pages = 0;

  /** `stream`: its short number. */
  constructor(table: Table, stream: number, sequence: number) {
    this.#table = table;
    this.#stream = stream;
    this.#sequence = sequence;
  }

  /** Inside a transaction; it may be any later one that writes it. */
  add(directory: DirectoryId, name: Uint8Array): void {
    writeTouched(this.#writer, directory, name);
    if (this.#writer.length > page_bytes) this.flush();
  }

  flush(): void {
    if (this.#writer.length === checksum_bytes) return;
    this.#table.put(numberKey(this.#stream, this.#sequence, this.#pages++), this.#writer.view());
    this.#writer.reset().u32(0);
  }
}
