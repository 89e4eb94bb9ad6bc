// Hard links share a row number: the first name that came with an entry gives it its own. Works inside transactions that
// somebody else opens; never looks at paths.

import type { Tables } from './database.js';
import { sealedDirectory } from './records.js';
import { directoryOf, entryBytesOf, entryOf, linkKey } from './state.js';

/** `own`: the number that leads to this very name. */
export function rowOfLinkedEntry(tables: Tables, stream: number, entry: Uint8Array, own: number): number {
  const key = linkKey(stream, entry);
  const linked = tables.links.get(key)?.readUIntLE(0, 6);
  // An undone commit may have left a row number behind.
  if (linked !== undefined && tables.ids.get(linked) !== undefined) return linked;
  tables.links.put(key, sealedDirectory(own));
  return own;
}

/** The same of a state, which may be of any kind. */
export const rowOfLink = (tables: Tables, stream: number, state: Buffer, own: number): number =>
  directoryOf(state) === 0 && entryOf(state).links > 1
    ? rowOfLinkedEntry(tables, stream, entryBytesOf(state), own)
    : own;
