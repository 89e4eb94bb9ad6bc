// The shared table of chunks: each chunk has one owner, whoever asks; a full table forgets, never lies.

import t from 'tap';
import { ChunkTable } from '../../lib/backup/chunk-table.js';
import { randomBytes } from '../../lib/crypto/index.js';

void t.test('the first claim wins, also through another view of the table', async (t) => {
  const table = new ChunkTable();
  const same = new ChunkTable(table.buffer);
  const ids = Array.from({ length: 1000 }, () => randomBytes(32));
  for (const [index, id] of ids.entries()) t.equal((index % 2 === 0 ? table : same).claim(id).kind, 'mine');
  for (const id of ids) t.equal(same.claim(id).kind, 'known');
  t.equal(table.size, ids.length);
});

void t.test("an interrupted run's chunk is told with its pack", async (t) => {
  const table = new ChunkTable();
  const id = randomBytes(32);
  table.addOrphan(id, 7);
  table.addOrphan(id, 8);
  t.strictSame(table.claim(id), { kind: 'orphan', pack: 7 });
});

void t.test('ids that differ in one byte of their tag are different', async (t) => {
  const table = new ChunkTable();
  const id = Buffer.alloc(32);
  t.equal(table.claim(id).kind, 'mine');
  for (let at = 4; at < 16; at++) {
    const other = Buffer.alloc(32);
    other[at] = 1;
    t.equal(table.claim(other).kind, 'mine');
  }
});

void t.test('a full table has new chunks stored again and knows the old ones still', async (t) => {
  const table = new ChunkTable(undefined, 64);
  const ids = Array.from({ length: 60 }, () => randomBytes(32));
  for (const id of ids) t.equal(table.claim(id).kind, 'mine');
  t.ok(table.size <= 49);
  t.equal(table.claim(ids[0]!).kind, 'known');
  t.equal(table.claim(ids[59]!).kind, 'mine');
});
