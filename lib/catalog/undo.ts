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

/** Inside a transaction. Numbers that it gave out stay unused. */
export function undoPending(tables: Tables, stream: StreamRecord, sequence: number): void {
  const rootName = Buffer.from(stream.id, 'latin1');
  const rootKey = stateKey(above, rootName);
  const root = tables.nodes.get(rootKey);
  const left = root === undefined ? [] : undoName(tables, above, { key: rootKey, value: root }, sequence);
  for (let directory = left.pop(); directory !== undefined; directory = left.pop()) {
    for (const pair of tables.nodes.scan(directoryStart(directory), directoryStart(directory + 1)))
      if (isNewest(pair.key)) left.push(...undoName(tables, directory, pair, sequence));
  }
  const pages = tables.touched.scan(
    numberKey(stream.number, sequence),
    numberKey(stream.number, sequence + 1),
  );
  for (const { key } of pages) tables.touched.remove(key);
}

/** Returns the directory behind the name, if there ever was one. */
function undoName(
  tables: Tables,
  directory: DirectoryId,
  { key, value }: Pair,
  sequence: number,
): DirectoryId[] {
  const name = nameOfKey(key);
  const isOurs = fromOf(value) === sequence;
  if (isOurs) {
    removeRow(tables, value, sequence);
    tables.nodes.remove(key);
    const [older] = tables.nodes.range(key, afterName(directory, name), 1);
    if (older !== undefined) {
      tables.nodes.remove(older.key);
      tables.nodes.put(
        key,
        withEnd(older.value, toOf(older.value) === sequence ? stillHolds : toOf(older.value)),
      );
    }
  } else if (toOf(value) === sequence) tables.nodes.put(key, withEnd(value, stillHolds));
  return isOurs ? below(tables, directory, name) : directoryOf(value) === 0 ? [] : [directoryOf(value)];
}

/** The directory behind a name; forgotten as well if no state that is left is one. */
function below(tables: Tables, parent: DirectoryId, name: Buffer): DirectoryId[] {
  const key = childKey(parent, name);
  const value = tables.children.get(key);
  if (value === undefined) return [];
  const directory = toDirectory(value);
  const states = tables.nodes.scan(stateKey(parent, name), afterName(parent, name));
  if (!Array.from(states).some((state) => directoryOf(state.value) !== 0)) {
    tables.children.remove(key);
    tables.directories.remove(directoryKey(directory));
  }
  return [directory];
}

function removeRow(tables: Tables, state: Buffer, sequence: number): void {
  for (const row of [rowOf(state), ownRowOf(state)]) {
    // A hard link may share the row number of a name from before.
    if (tables.ids.get(row)?.from === sequence) tables.ids.remove(row);
  }
}
