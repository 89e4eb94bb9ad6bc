// Which state of a name holds in a version, and which names a directory has: the questions that everything else is made of.
// Raw rows, nothing decoded.

import { afterName, directoryStart, fromOf, isNewestAt, nameOfKey, stateKey, toOf } from './state.js';
import type { Stretch } from './stretch.js';
import type { Table } from './table.js';
import type { DirectoryId } from './types.js';

/** The state that holds; undefined: the version has no such name. */
export function stateAt(
  nodes: Table,
  directory: DirectoryId,
  name: Uint8Array,
  sequence: number,
  newest = nodes.get(stateKey(directory, name)),
): Buffer | undefined {
  if (newest === undefined) return undefined;
  const state = fromOf(newest) <= sequence ? newest : olderState(nodes, directory, name, sequence);
  return state !== undefined && toOf(state) > sequence ? state : undefined;
}

/** Of the states behind the newest, the last that had begun by then. */
export function olderState(
  nodes: Table,
  directory: DirectoryId,
  name: Uint8Array,
  sequence: number,
): Buffer | undefined {
  return nodes.range(stateKey(directory, name, sequence), afterName(directory, name), 1)[0]?.value;
}

/** More older states of one name than this are jumped over instead of read. */
const patience = 8;
/** Rows of very large files are long: no more than this is held of them at once, and one row. */
const most_bytes = 4 << 20;

/** Adds the newest states among the next `limit` rows of a directory to `found`; returns where to go on, undefined at its end. */
export function newestStates(
  nodes: Table,
  directory: DirectoryId,
  start: Buffer,
  limit: number,
  found: Stretch,
): Buffer | undefined {
  let read = 0;
  let older = 0;
  let isCut = false;
  let last: Buffer | undefined;
  nodes.stretch(start, directoryStart(directory + 1), limit, found, () => {
    read++;
    const { bytes, places } = found;
    if (isNewestAt(bytes, places.at(-3)!)) {
      older = 0;
      isCut = found.used_bytes >= most_bytes;
      return isCut;
    }
    older++;
    if (older > patience || read === limit) last = Buffer.from(found.key(found.rows - 1));
    found.drop();
    return older > patience;
  });
  if (read < limit && older <= patience && !isCut) return undefined;
  // What is left of the older states of that name is of no interest.
  return afterName(directory, nameOfKey(last ?? found.key(found.rows - 1)));
}
