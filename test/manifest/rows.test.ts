import t from 'tap';
import { ByteReader, ByteWriter } from '../../lib/bytes/cursor.js';
import { decodeEntry, encodeEntry } from '../../lib/manifest/entry.js';
import { manifestLimits } from '../../lib/manifest/layout.js';
import { checkRow, rowPieces, RowReader, RowWriter } from '../../lib/manifest/rows.js';
import type { Entry, Row, Segment } from '../../lib/manifest/types.js';
import { added, directory, entryOf } from './fixture.js';

function entryBytes(entry: Entry): Buffer {
  const writer = new ByteWriter();
  encodeEntry(writer, entry);
  return writer.take();
}

function roundTrip(entry: Entry): Entry {
  const reader = new ByteReader(entryBytes(entry), 'an entry');
  const decoded = decodeEntry(reader);
  reader.end();
  return decoded;
}

function encodeRows(rows: readonly Row[]): Buffer {
  const writer = new ByteWriter();
  const rowWriter = new RowWriter(writer);
  for (const row of rows) for (const piece of rowPieces(row)) rowWriter.add(piece);
  return writer.take();
}

function decodeRows(...payloads: readonly Uint8Array[]): Row[] {
  const reader = new RowReader('the rows');
  const rows = payloads.flatMap((payload) => [...reader.read(payload)]);
  reader.end();
  return rows;
}

const id = (byte: number) => Buffer.alloc(32, byte);

t.test('entries of every type', async (t) => {
  const content: Segment[] = [
    { kind: 'chunk', id: id(1), size_bytes: 5 },
    { kind: 'hole', size_bytes: 2 ** 40 },
    { kind: 'chunk', id: id(2), size_bytes: 1 },
  ];
  const entries: Record<string, Partial<Entry>> = {
    'an empty file': {},
    'a sparse file': { content, size_bytes: 2 ** 40 + 6, links: 3, mode: 0o7777 },
    'a directory': directory,
    'a symlink of any bytes': { type: 'symlink', target: Buffer.of(0xff, 0x2f, 0x0a) },
    'a fifo': { type: 'fifo' },
    'a socket': { type: 'socket' },
    'a device': { type: 'block-device', rdevMajor: 259, rdevMinor: 0xffff_ffff },
    'a character device': { type: 'character-device', rdevMajor: 1, rdevMinor: 3 },
    'extended attributes': {
      xattrs: [
        { name: Buffer.from('a'), value: id(0) },
        { name: Buffer.from('b'), value: Buffer.alloc(0) },
      ],
    },
    'before 1970': { mtime_ns: -1n, ctime_ns: -1_000_000_001n },
    'far from now': { mtime_ns: 15_032_385_535_999_999_999n, ctime_ns: -2_147_483_648_000_000_000n },
    'numbers of 64 bits': { inode: 2n ** 64n - 1n, device: 2n ** 33n, uid: 0xffff_ffff, gid: 0xffff_fffe },
  };
  for (const [name, fields] of Object.entries(entries)) {
    const entry = entryOf(fields);
    t.same(roundTrip(entry), entry, name);
  }
});

t.test('chunks can be numbers of a table', async (t) => {
  const content: Segment[] = [
    { kind: 'chunk', id: id(1), size_bytes: 5 },
    { kind: 'chunk', id: id(2), size_bytes: 6 },
  ];
  const entry = entryOf({ content, size_bytes: 11 });
  const writer = new ByteWriter();
  encodeEntry(writer, entry, (wanted) => (wanted[0] === 2 ? 700 : undefined));
  t.ok(writer.length < entryBytes(entry).length);
  const read = (table: (number: number) => Buffer | undefined) =>
    decodeEntry(new ByteReader(writer.take(), 'an entry'), table);
  t.same(
    read((number) => (number === 700 ? id(2) : undefined)),
    entry,
  );
  t.throws(() => read(() => undefined), { code: 'format.damaged' });
});

t.test('entries that no limit admits are not stored', async (t) => {
  const value = Buffer.alloc(manifestLimits.xattrValue_bytes);
  for (const fields of [
    { type: 'symlink', target: Buffer.alloc(manifestLimits.target_bytes + 1) },
    { xattrs: [{ name: Buffer.alloc(256, 1), value: id(0) }] },
    { xattrs: [{ name: Buffer.alloc(2, 1), value: Buffer.alloc(value.length + 1) }] },
    { xattrs: Array.from({ length: 9 }, (_, index) => ({ name: Buffer.of(index + 1), value })) },
    { mtime_ns: 2n ** 90n },
    { content: Array<Segment>(2 ** 21 + 1).fill({ kind: 'hole', size_bytes: 1 }), size_bytes: 2 ** 21 + 1 },
    {
      xattrs: Array.from({ length: 65_537 }, (_, index) => ({
        name: Buffer.from(String(index).padStart(5, '0')),
        value: id(0),
      })),
    },
  ] satisfies Partial<Entry>[])
    t.throws(() => entryBytes(entryOf(fields)), { code: 'manifest.entry_too_large' });
});

t.test('entries that lie are refused', async (t) => {
  const attributes = (type: number) =>
    new ByteWriter()
      .u8(type)
      .varint(0)
      .varint(0)
      .varint(0)
      .varint(0)
      .varint(0)
      .varint(0)
      .varint(0)
      .varint(0)
      .varint(0)
      .varint(0)
      .varint(1);
  const refused = (writer: ByteWriter, code = 'format.damaged') =>
    t.throws(() => decodeEntry(new ByteReader(writer.take(), 'an entry')), { code });
  refused(attributes(0).varint(0), 'format.newer');
  refused(attributes(8).varint(0), 'format.newer');
  refused(new ByteWriter().u8(1).varint(0o10000));
  refused(attributes(2).varint(5).varint(0));
  refused(attributes(1).varint(5).varint(0).varint(0));
  refused(
    attributes(1)
      .varint(5)
      .varint(0)
      .varint(2 ** 50),
  );
  refused(attributes(1).varint(5).varint(0).varint(1).varint(1).varint(0));
  refused(attributes(1).varint(5).varint(0).varint(1).varint(7).varint(5));
  refused(
    attributes(1)
      .varint(0)
      .varint(2 ** 50),
  );
  refused(
    attributes(1)
      .varint(0)
      .varint(2)
      .bytes(Buffer.from('b'))
      .bytes(id(0))
      .bytes(Buffer.from('a'))
      .bytes(id(0))
      .varint(0),
  );
  refused(attributes(1).varint(0).varint(1).bytes(Buffer.alloc(0)).bytes(id(0)).varint(0));
  refused(
    attributes(3)
      .varint(0)
      .varint(2 ** 50),
  );
});

t.test('rows keep their order, operations and paths', async (t) => {
  const rows: Row[] = [
    added('', directory),
    added('a', directory),
    { op: 'removed', path: Buffer.from('a/b') },
    { op: 'changed', path: Buffer.from('a/bc'), entry: entryOf() },
    { op: 'added', path: Buffer.of(0x61, 0x2f, 0xff, 0xfe), entry: entryOf() },
    added('a.txt'),
  ];
  t.same(decodeRows(encodeRows(rows)), rows);
  t.same(
    decodeRows(encodeRows(rows.slice(0, 3)), encodeRows(rows.slice(3))),
    rows,
    'also over several payloads',
  );
  t.same(decodeRows(Buffer.alloc(0)), []);
});

t.test('a content of very many segments goes over several rows, and payloads', async (t) => {
  const count = 2 * manifestLimits.segmentsPerRow + 5;
  const content: Segment[] = Array.from({ length: count }, (_, index) =>
    index % 2 === 0 ? { kind: 'hole', size_bytes: 3 } : { kind: 'chunk', id: id(index % 251), size_bytes: 2 },
  );
  const size_bytes = content.reduce((sum, segment) => sum + segment.size_bytes, 0);
  const row = added('big', { content, size_bytes });
  const pieces = [...rowPieces(row)];
  t.equal(pieces.length, 3);
  const payloads = pieces.map((piece) => {
    const writer = new ByteWriter();
    new RowWriter(writer).add(piece);
    return writer.take();
  });
  const [read, next] = decodeRows(...payloads, encodeRows([added('c')]));
  t.equal(Buffer.compare(encodeRows([read!]), encodeRows([row])), 0);
  t.equal(next!.path.toString(), 'c');
  t.throws(() => decodeRows(payloads[0]!, payloads[1]!), { code: 'format.damaged' }, 'its end is missing');
  t.throws(() => decodeRows(payloads[0]!, payloads[2]!), { code: 'format.damaged' }, 'its middle is missing');
  t.throws(() => decodeRows(payloads[1]!), { code: 'format.damaged' }, 'its beginning is missing');
  t.throws(
    () => decodeRows(payloads[0]!, encodeRows([added('c')])),
    { code: 'format.damaged' },
    'another row in it',
  );
});

t.test('rows that a walk would not make are refused on both sides', async (t) => {
  const name = 'n'.repeat(255);
  const tooLong = Array.from({ length: 257 }, () => name).join('/');
  const bad = ['..', '.', 'a/../b', '/a', 'a/', 'a//b', 'a\0b', `${name}n`, './a', 'a/.', tooLong];
  for (const path of bad) {
    t.throws(
      () => checkRow(added(path), undefined),
      { code: 'manifest.bad_row' },
      JSON.stringify(path.slice(0, 20)),
    );
    t.throws(
      () => decodeRows(encodeRows([added(path)])),
      { code: 'format.damaged' },
      JSON.stringify(path.slice(0, 20)),
    );
  }
  for (const [first, second] of [
    ['b', 'a'],
    ['a', 'a'],
    ['a.txt', 'a/b'],
    ['a', ''],
  ] as const) {
    t.throws(() => checkRow(added(second), Buffer.from(first)), { code: 'manifest.bad_row' });
    t.throws(() => decodeRows(encodeRows([added(first), added(second)])), { code: 'format.damaged' });
    t.throws(() => decodeRows(encodeRows([added(first)]), encodeRows([added(second)])), {
      code: 'format.damaged',
    });
  }
  t.same(checkRow(added('a/b'), Buffer.from('a')), Buffer.from('a/b'));
});

t.test('front coding cannot smuggle a name in', async (t) => {
  const rows = (shared: number, suffix: string) =>
    Buffer.concat([
      encodeRows([{ op: 'removed', path: Buffer.from('a/.b') }]),
      new ByteWriter().u8(3).varint(shared).bytes(Buffer.from(suffix)).take(),
    ]);
  t.equal(decodeRows(rows(4, 'c'))[1]!.path.toString(), 'a/.bc');
  t.throws(() => decodeRows(rows(3, './c')), { code: 'format.damaged' });
  t.throws(() => decodeRows(rows(5, 'c')), { code: 'format.damaged' });
  t.throws(() => decodeRows(rows(4, '/')), { code: 'format.damaged' });
  t.throws(() => decodeRows(rows(2, '/c')), { code: 'format.damaged' });
});

t.test('unknown operations are newer, impossible ones damaged', async (t) => {
  t.throws(() => decodeRows(Buffer.of(5, 0, 1, 0x61)), { code: 'format.newer' });
  t.throws(() => decodeRows(Buffer.of(0)), { code: 'format.newer' });
  t.throws(() => decodeRows(Buffer.of(0x83, 0, 1, 0x61)), { code: 'format.damaged' });
  t.throws(() => decodeRows(Buffer.of(4, 0)), { code: 'format.damaged' });
  const fifo = encodeRows([added('a', { type: 'fifo' })]);
  fifo[0]! |= 0x80;
  t.throws(() => decodeRows(fifo), { code: 'format.damaged' });
});
