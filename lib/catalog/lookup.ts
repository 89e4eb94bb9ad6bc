// Which state of a name holds in a version: the one question that everything else is made of. Raw rows, nothing decoded.

import { afterName, fromOf, stateKey, toOf } from './state.js';
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
