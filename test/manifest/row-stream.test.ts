// Rows that never were objects: what they decode to is what the same rows give as objects.

import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { ByteWriter } from '../../lib/bytes/cursor.js';
import { ContentsWriter, readRows } from '../../lib/manifest/contents.js';
import { manifestLimits } from '../../lib/manifest/layout.js';
import { encodeRow, CommitRows, type EncodedRows } from '../../lib/manifest/row-stream.js';
import { rowPieces, RowReader, RowWriter } from '../../lib/manifest/rows.js';
import type { Row, Segment } from '../../lib/manifest/types.js';
import { rows as anyRows } from '../property/formats-arbitraries.js';
import { runs } from '../runs.js';
import { added, collect, directory, manifestContext, stream } from './fixture.js';

const context = await manifestContext();

function decoded(...payloads: Uint8Array[]): Row[] {
  const reader = new RowReader('rows');
  const rows = payloads.flatMap((payload) => [...reader.read(payload)]);
  reader.end();
  return rows;
}

function encoded(rows: readonly Row[]): EncodedRows | undefined {
  const commit = new CommitRows();
  for (const row of rows) commit.add(encodeRow(row));
  return commit.take();
}

t.test('the bytes are those of rows that are objects', async () => {
  const property = fc.property(anyRows, (rows) => {
    const writer = new ByteWriter();
    const rowWriter = new RowWriter(writer);
    for (const row of rows) for (const piece of rowPieces(row)) rowWriter.add(piece);
    const stretch = encoded(rows);
    if (stretch === undefined) return rows.length === 0;
    return (
      writer.view().equals(stretch.bytes) &&
      [stretch.bytes, stretch.first, stretch.last].every(
        ({ buffer, length }) => buffer.byteLength === length,
      ) &&
      stretch.count === rows.length &&
      Buffer.compare(stretch.first, rows[0]!.path) === 0 &&
      Buffer.compare(stretch.last, rows.at(-1)!.path) === 0
    );
  });
  fc.assert(property, runs(200));
});

t.test('a commit takes them by turns with objects, cut anywhere', async () => {
  const turns = fc.array(fc.record({ count: fc.nat({ max: 4 }), isEncoded: fc.boolean() }), { maxLength: 6 });
  const property = fc.asyncProperty(anyRows, turns, async (rows, turns) => {
    const writer = new ContentsWriter(context, stream);
    let from = 0;
    for (const { count, isEncoded } of [...turns, { count: rows.length, isEncoded: true }]) {
      const part = rows.slice(from, from + count);
      from += part.length;
      const stretch = isEncoded ? encoded(part) : undefined;
      if (stretch === undefined) for (const row of part) await writer.addRow(row);
      else await writer.addEncodedRows(stretch);
    }
    const contents = await writer.finish();
    const owner = { context, stream, what: 'a commit', signal: undefined };
    return (
      writer.rowCount === rows.length && isDeepStrictEqual(await collect(readRows(owner, contents)), rows)
    );
  });
  await fc.assert(property, runs(100));
});

t.test('rows out of order, twice, or with unsafe names are refused', async (t) => {
  const bad = { code: 'manifest.bad_row' };
  const rows = new CommitRows();
  rows.add(encodeRow(added('b', directory)));
  t.throws(() => rows.add(encodeRow(added('a', directory))), bad);
  t.throws(() => rows.add(encodeRow(added('b', directory))), bad);
  t.throws(() => rows.add(encodeRow(added('b/../c', directory))), bad);
  t.throws(() => rows.add(encodeRow(added(`b/${'x'.repeat(manifestLimits.path_bytes)}`, directory))), bad);
  rows.add(encodeRow(added('b/c', directory)));
  t.strictSame(
    decoded(rows.take()!.bytes).map(({ path }) => String(path)),
    ['b', 'b/c'],
  );
  t.equal(rows.take(), undefined);
  const writer = new ContentsWriter(context, stream);
  await writer.addEncodedRows(encoded([added('b')])!);
  await t.rejects(writer.addEncodedRows(encoded([added('b')])!), bad);
  await t.rejects(writer.addEncodedRows(encoded([added('a')])!), bad);
  await t.rejects(writer.addRow(added('a')), bad);
});

t.test('a content of more segments than a row holds', async (t) => {
  const count = 2 * manifestLimits.segmentsPerRow + 5;
  const content: Segment[] = Array.from({ length: count }, (_, index) =>
    index % 3 === 0
      ? { kind: 'hole', size_bytes: index + 1 }
      : { kind: 'chunk', id: Buffer.alloc(32, index % 256), size_bytes: 7 },
  );
  const size_bytes = content.reduce((sum, segment) => sum + segment.size_bytes, 0);
  const rows = [added('a'), added('b', { size_bytes, content }), added('bc')];
  const stretch = encoded(rows)!;
  t.equal(stretch.count, 3);
  t.ok(isDeepStrictEqual(decoded(stretch.bytes), rows));
  for (const whole of [manifestLimits.segmentsPerRow, 2 * manifestLimits.segmentsPerRow]) {
    const pieces = content.slice(0, whole).map((segment) => ({ ...segment, size_bytes: 7 }));
    const file = [added('b', { size_bytes: 7 * whole, content: pieces })];
    t.ok(isDeepStrictEqual(decoded(encoded(file)!.bytes), file));
  }
});
