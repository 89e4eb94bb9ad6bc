// Chunk places and row numbers lie many to a row of LMDB: against plain maps, over any number of transactions, also those that
// come to nothing, and in readers that looked before the tables grew.

import path from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import type { ChunkRecord } from '../../lib/catalog/chunk-table.js';
import { type CatalogDatabase, openDatabase } from '../../lib/catalog/database.js';
import { sha256 } from '../../lib/crypto/index.js';

let count = 0;

function database(test: Test): CatalogDatabase {
  const opened = openDatabase({ path: path.join(test.testdir(), `${count++}`), readOnly: false });
  test.teardown(() => opened.close());
  return opened;
}

class Undone extends Error {}

/** One transaction; `isUndone`: it comes to nothing at its end. */
function write(opened: CatalogDatabase, isUndone: boolean, act: () => void): void {
  try {
    opened.transaction(() => {
      act();
      if (isUndone) throw new Undone();
    });
  } catch (error) {
    if (!isUndone) throw error;
  }
}

const idOf = (number: number): Buffer => sha256(Buffer.from(`${number}`));
const recordOf = (number: number, pack: number): ChunkRecord => ({
  pack,
  block: number % 7,
  offset_bytes: number * 3,
  size_bytes: 2 ** 32 - 1 - number,
});

void t.test('every chunk is found at its last place, and no other chunk is', (test) => {
  const transaction = fc.record({
    first: fc.nat(400),
    count: fc.oneof(fc.nat(3), fc.nat(600)),
    isUndone: fc.nat(5).map((die) => die === 0),
  });
  fc.assert(
    fc.property(fc.array(transaction, { minLength: 1, maxLength: 12 }), (transactions) => {
      const opened = database(test);
      const reader = openDatabase({ path: opened.path, readOnly: true });
      const model = new Map<number, ChunkRecord>();
      transactions.forEach(({ first, count: size, isUndone }, pack) => {
        const numbers = Array.from({ length: size }, (_, index) => first + index);
        write(opened, isUndone, () => {
          for (const number of numbers) opened.tables.chunks.add(idOf(number), 0, recordOf(number, pack));
        });
        if (!isUndone) for (const number of numbers) model.set(number, recordOf(number, pack));
        reader.refresh();
        for (const tables of [opened.tables, reader.tables])
          for (let number = 0; number < 1010; number += 1 + (number % 3)) {
            const found = tables.chunks.get(idOf(number));
            const wanted = model.get(number);
            if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`chunk ${number}`);
            if (tables.chunks.has(idOf(number)) !== (wanted !== undefined)) throw new Error(`has ${number}`);
          }
      });
      void reader.close();
      void opened.close();
    }),
    { numRuns: 40 },
  );
  test.end();
});

void t.test('a hundred thousand chunks at once, and then a few', (test) => {
  const opened = database(test);
  const { chunks } = opened.tables;
  const ids = Array.from({ length: 100_000 }, (_, number) => idOf(number));
  opened.transaction(() => {
    ids.slice(0, 99_000).forEach((id, number) => {
      chunks.add(id, 0, recordOf(number, 1));
    });
  });
  for (let number = 99_000; number < 100_000; number += 10)
    opened.transaction(() => {
      for (let index = number; index < number + 10; index++)
        chunks.add(Buffer.concat([Buffer.alloc(3), ids[index]!]), 3, recordOf(index, 2));
    });
  test.ok(ids.every((id, number) => chunks.get(id)?.offset_bytes === number * 3));
  test.notOk(ids.some((_, number) => chunks.has(idOf(-1 - number))));
  test.end();
});

void t.test('every row number leads where it was said to lead last', (test) => {
  const change = fc.record({
    row: fc.oneof(fc.nat(70), fc.nat(2000)),
    name: fc.oneof(fc.string({ maxLength: 12 }), fc.constantFrom('n'.repeat(255), '')),
    isRemoved: fc.nat(4).map((die) => die === 0),
  });
  const transaction = fc.record({
    changes: fc.array(change, { maxLength: 60 }),
    isUndone: fc.nat(5).map((die) => die === 0),
  });
  fc.assert(
    fc.property(fc.array(transaction, { minLength: 1, maxLength: 6 }), (transactions) => {
      const opened = database(test);
      const { ids } = opened.tables;
      let model = new Map<number, string>();
      const check = (all: ReadonlyMap<number, string>): void => {
        for (let row = 0; row < 2050; row += row < 100 ? 1 : 13) {
          const found = ids.get(row);
          const text = found && `${found.directory} ${found.from} ${found.name.toString('latin1')}`;
          if (text !== all.get(row)) throw new Error(`row ${row}: ${text} instead of ${all.get(row)}`);
        }
      };
      for (const { changes, isUndone } of transactions) {
        const next = new Map(model);
        write(opened, isUndone, () => {
          for (const { row, name, isRemoved } of changes) {
            const bytes = Buffer.from(`..${name}..`).subarray(0, 255);
            if (isRemoved) {
              ids.remove(row);
              next.delete(row);
            } else {
              ids.put(row, row + 2 ** 33, bytes, 2 ** 31 + row);
              next.set(row, `${row + 2 ** 33} ${2 ** 31 + row} ${bytes.toString('latin1')}`);
            }
          }
          check(next);
        });
        if (!isUndone) model = next;
        check(model);
      }
      void opened.close();
    }),
    { numRuns: 100 },
  );
  test.end();
});
