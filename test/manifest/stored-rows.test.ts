// Rows that stay bytes are the rows that are decoded: the same of each, the same refusals, whatever the bytes.

import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { ByteReader, ByteWriter } from '../../lib/bytes/cursor.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { decodeEntry } from '../../lib/manifest/entry.js';
import { rowPieces, RowReader, RowWriter } from '../../lib/manifest/rows.js';
import { rowFlags, StoredRowReader, type StoredRows, toStoredRows } from '../../lib/manifest/stored-rows.js';
import type { Entry, Row, Segment } from '../../lib/manifest/types.js';
import { rows as anyRows } from '../property/formats-arbitraries.js';
import { entryOf } from './fixture.js';

/** What is the same of a row in both forms. */
interface Seen {
  readonly path: string;
  readonly entry: Entry | undefined;
  readonly flags: readonly boolean[];
  readonly holes_bytes: number;
}

function seenOf(row: Row): Seen {
  const path = Buffer.from(row.path).toString('latin1');
  if (row.op === 'removed') return { path, entry: undefined, flags: [], holes_bytes: 0 };
  const { type, links, xattrs, content } = row.entry;
  const holes = content.filter(({ kind }) => kind === 'hole');
  return {
    path,
    entry: row.entry,
    flags: [type === 'directory', type !== 'directory' && links > 1, xattrs.length > 0],
    holes_bytes: holes.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
  };
}

function* seenIn(batch: StoredRows): Generator<Seen> {
  for (let row = 0; row < batch.count; row++) {
    const path = batch.bytes.toString('latin1', batch.pathStart(row), batch.pathEnd(row));
    if (batch.is(row, rowFlags.removed)) {
      yield { path, entry: undefined, flags: [], holes_bytes: 0 };
      continue;
    }
    // Whoever owns the room may write there.
    batch.bytes.fill(0xee, batch.pathEnd(row), batch.entryStart(row));
    const reader = new ByteReader(
      batch.bytes.subarray(batch.entryStart(row), batch.entryEnd(row)),
      'an entry',
    );
    const entry = decodeEntry(reader);
    reader.end();
    const flags = [rowFlags.directory, rowFlags.linked, rowFlags.xattrs].map((flag) => batch.is(row, flag));
    yield { path, entry, flags, holes_bytes: batch.holes_bytes(row) };
  }
}

const shape = fc.record({ rows: fc.integer({ min: 1, max: 9 }), room_bytes: fc.constantFrom(0, 32) });

function encode(rows: readonly Row[]): Buffer {
  const writer = new ByteWriter();
  const rowWriter = new RowWriter(writer);
  for (const row of rows) for (const piece of rowPieces(row)) rowWriter.add(piece);
  return writer.take();
}

void t.test('the same rows, however they are divided', async () => {
  fc.assert(
    fc.property(anyRows, shape, fc.nat(12), (rows, form, cut) => {
      const reader = new StoredRowReader('rows', form);
      const found = [rows.slice(0, cut), rows.slice(cut)].flatMap((some) =>
        Array.from(reader.read(encode(some))).flatMap((batch) => {
          if (batch.count > form.rows) throw new Error('too many in a batch');
          return [...seenIn(batch)];
        }),
      );
      reader.end();
      return isDeepStrictEqual(found, rows.map(seenOf));
    }),
    { numRuns: 500 },
  );
  await fc.assert(
    fc.asyncProperty(anyRows, shape, async (rows, form) => {
      const found: Seen[] = [];
      for await (const batch of toStoredRows(rows, form)) found.push(...seenIn(batch));
      return isDeepStrictEqual(found, rows.map(seenOf));
    }),
    { numRuns: 300 },
  );
});

void t.test('a content in many pieces is one entry', (test) => {
  const content: Segment[] = Array.from({ length: 150_000 }, (_, index) =>
    index % 3 === 0
      ? { kind: 'hole', size_bytes: 7 }
      : { kind: 'chunk', id: Buffer.alloc(32, index), size_bytes: 5 },
  );
  const size_bytes = 50_000 * 7 + 100_000 * 5;
  const rows: Row[] = ['a', 'large', 'z'].map((name) => ({
    op: 'added',
    path: Buffer.from(name),
    entry: entryOf(name === 'large' ? { content, size_bytes } : {}),
  }));
  const reader = new StoredRowReader('rows', { rows: 2, room_bytes: 32 });
  // Cut between two pieces, too: the first row, then a piece a payload.
  const whole = encode(rows);
  const found = Array.from(reader.read(whole)).flatMap((batch) => [...seenIn(batch)]);
  reader.end();
  test.ok(isDeepStrictEqual(found, rows.map(seenOf)));

  const early = new StoredRowReader('rows', { rows: 2, room_bytes: 0 });
  const secondPiece = whole.indexOf(Buffer.from([0x84]), 65_536);
  test.ok(secondPiece > 0);
  test.throws(() => {
    Array.from(early.read(whole.subarray(0, secondPiece)));
    early.end();
  }, RrbackupError);
  test.end();
});

/** What a reader makes of bytes: rows, or that it refuses them. */
function outcome(read: () => Seen[]): Seen[] | string {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RrbackupError)) throw error;
    return 'refused';
  }
}

void t.test('what one reader refuses, the other refuses', (test) => {
  const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 3 });
  fc.assert(
    fc.property(anyRows, damage, fc.nat(), fc.uint8Array({ maxLength: 40 }), (rows, changes, cut, noise) => {
      const spoilt = encode(rows);
      for (const [at, value] of changes) if (spoilt.length > 0) spoilt[at % spoilt.length] = value;
      for (const bytes of [spoilt, spoilt.subarray(0, cut % (spoilt.length + 1)), noise]) {
        const decoded = outcome(() => {
          const reader = new RowReader('rows');
          const seen = Array.from(reader.read(bytes), seenOf);
          reader.end();
          return seen;
        });
        const stored = outcome(() => {
          const reader = new StoredRowReader('rows', { rows: 100, room_bytes: 0 });
          const seen = Array.from(reader.read(bytes)).flatMap((batch) => [...seenIn(batch)]);
          reader.end();
          return seen;
        });
        if (!isDeepStrictEqual(decoded, stored)) {
          test.comment(decoded, stored);
          return false;
        }
      }
      return true;
    }),
    { numRuns: 3000 },
  );
  test.end();
});
