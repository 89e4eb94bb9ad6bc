// Takes back a commit that was read in half and will never be read to its end: its log entry turned out damaged, or another
// has its place. Rare, so it looks at every row of the stream instead of keeping books for the purpose.

import type { Tables } from './database.js';
import { childKey, directoryKey, numberKey, toDirectory, type StreamRecord } from './records.js';
import {
  above,
  afterName,
  directoryOf,
  directoryStart,
  fromOf,
  isNewest,
  nameOfKey,
  ownRowOf,
  rowOf,
  stateKey,
  stillHolds,
  toOf,
  withEnd,
} from './state.js';
import type { Pair } from './table.js';
import type { DirectoryId } from './types.js';

/** Rows that are looked at between two places where the transaction may end. */
const step = 8192;

/**
 * Inside transactions, of which another may begin wherever it yields: what lies below goes first, so that whoever begins again
 * finds all that is left. Numbers that it gave out stay unused.
 */
export function* undoPending(
  tables: Tables,
  stream: StreamRecord,
  sequence: number,
): Generator<void, void, undefined> {
  const work: Work = { tables, sequence, seen: 0 };
  const rootKey = stateKey(above, Buffer.from(stream.id, 'latin1'));
  const root = tables.nodes.get(rootKey);
  if (root !== undefined) yield* undoName(work, above, { key: rootKey, value: root });
  const pages = tables.touched.scan(
    numberKey(stream.number, sequence),
    numberKey(stream.number, sequence + 1),
  );
  for (const { key } of pages) tables.touched.remove(key);
}

/** All of it in the transaction at hand. */
export function undoWhole(tables: Tables, stream: StreamRecord, sequence: number): void {
  const steps = undoPending(tables, stream, sequence);
  while (steps.next().done !== true);
}

interface Work {
  readonly tables: Tables;
  readonly sequence: number;
  seen: number;
}

/** Of the newest state of a name. */
function* undoName(work: Work, parent: DirectoryId, { key, value }: Pair): Generator<void, void, undefined> {
  const { tables, sequence } = work;
  const name = nameOfKey(key);
  const isOurs = fromOf(value) === sequence;
  const directory = isOurs ? directoryBehind(tables, parent, name) : directoryOf(value);
  if (directory !== 0) {
    for (const pair of tables.nodes.scan(directoryStart(directory), directoryStart(directory + 1)))
      if (isNewest(pair.key)) yield* undoName(work, directory, pair);
  }
  if (isOurs) {
    removeRow(tables, value, sequence);
    tables.nodes.remove(key);
    const [older] = tables.nodes.range(key, afterName(parent, name), 1);
    if (older !== undefined) {
      tables.nodes.remove(older.key);
      tables.nodes.put(
        key,
        withEnd(older.value, toOf(older.value) === sequence ? stillHolds : toOf(older.value)),
      );
    }
    if (directory !== 0) forgetDirectory(tables, parent, name, directory);
  } else if (toOf(value) === sequence) tables.nodes.put(key, withEnd(value, stillHolds));
  if (++work.seen % step === 0) yield;
}

function directoryBehind(tables: Tables, parent: DirectoryId, name: Buffer): DirectoryId {
  const value = tables.children.get(childKey(parent, name));
  return value === undefined ? 0 : toDirectory(value);
}

/** If no state that is left of the name is one. */
function forgetDirectory(tables: Tables, parent: DirectoryId, name: Buffer, directory: DirectoryId): void {
  const states = tables.nodes.scan(stateKey(parent, name), afterName(parent, name));
  for (const { value } of states) if (directoryOf(value) !== 0) return;
  tables.children.remove(childKey(parent, name));
  tables.directories.remove(directoryKey(directory));
}

function removeRow(tables: Tables, state: Buffer, sequence: number): void {
  for (const row of [rowOf(state), ownRowOf(state)]) {
    // A hard link may share the row number of a name from before.
    if (tables.ids.get(row)?.from === sequence) tables.ids.remove(row);
  }
}
