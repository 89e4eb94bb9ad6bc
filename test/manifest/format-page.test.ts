// A second decoder of log entries, written from FORMAT.md alone. If this test breaks, either the page or the format has
// changed.

import t from 'tap';
import { commitKey } from '../../lib/manifest/names.js';
import { buildPack } from '../pack/fixture.js';
import { numbers, openSection, plainOf } from '../pack/second-decoder.js';
import { added, directory, headerOf, manifestContext, stream, writeCommit } from './fixture.js';

type Reader = ReturnType<typeof numbers>;

const bytes = (reader: Reader) => reader.raw(reader.varint());
const text = (reader: Reader) => bytes(reader).toString('utf8');
const hex = (reader: Reader, length: number) => reader.raw(length).toString('hex');
const optionalHex = (reader: Reader, length: number) => (reader.raw(1)[0] === 1 ? hex(reader, length) : '');
const list = <T>(reader: Reader, read: () => T) => Array.from({ length: reader.varint() }, read);

function time(reader: Reader): bigint {
  const z = BigInt(reader.varint());
  const s = z % 2n === 0n ? z / 2n : -(z + 1n) / 2n;
  return s * 1_000_000_000n + BigInt(reader.varint());
}

function header(reader: Reader) {
  const names = () => list(reader, () => [reader.varint(), text(reader)]);
  return {
    stream: hex(reader, 16),
    sequence: reader.varint(),
    parentHash: optionalHex(reader, 32),
    parentVersionId: text(reader),
    run: hex(reader, 16),
    parentRun: optionalHex(reader, 16),
    host: text(reader),
    source: text(reader),
    sourcePath: bytes(reader).toString(),
    times: [time(reader), time(reader)],
    program: text(reader),
    statistics: Array.from({ length: 10 }, () => reader.varint()),
    userNames: names(),
    groupNames: names(),
  };
}

function segments(reader: Reader) {
  return list(reader, () => {
    const tag = reader.varint();
    const id = tag === 0 ? hex(reader, 32) : '';
    return { tag, id, size: reader.varint() };
  });
}

function entry(reader: Reader) {
  const type = reader.raw(1)[0]!;
  const [mode, uid, gid] = [reader.varint(), reader.varint(), reader.varint()];
  const times = [time(reader), time(reader)];
  const word = () => (BigInt(reader.varint()) << 32n) | BigInt(reader.varint());
  const [inode, device] = [word(), word()];
  const [links, size] = [reader.varint(), reader.varint()];
  const rdev = type >= 6 ? [reader.varint(), reader.varint()] : [];
  const target = type === 3 ? text(reader) : '';
  const xattrs = list(reader, () => [text(reader), text(reader)]);
  const content = type === 1 ? segments(reader) : [];
  return { type, mode, uid, gid, times, inode, device, links, size, rdev, target, xattrs, content };
}

function rows(reader: Reader, length: number) {
  let before = Buffer.alloc(0);
  const all: unknown[] = [];
  const start = reader.rest().length;
  while (start - reader.rest().length < length) {
    const operation = reader.raw(1)[0]!;
    before = Buffer.concat([before.subarray(0, reader.varint()), bytes(reader)]);
    all.push({ operation, path: before.toString(), ...(operation < 3 ? entry(reader) : {}) });
  }
  return all;
}

t.test('a log entry is what the page says', async (t) => {
  const context = await manifestContext();
  const { info } = buildPack(context, [[Buffer.from('hello')]]);
  const id = info.blocks[0]!.chunks[0]!.id;
  const expectedHeader = headerOf(2, 'ab'.repeat(32), { parentVersionId: 'v1', started_ns: -1n });
  await writeCommit(
    context,
    expectedHeader,
    [
      added('', directory),
      added('dir', { type: 'symlink', target: Buffer.from('to') }),
      added('dir-file', {
        size_bytes: 1005,
        content: [
          { kind: 'chunk', id, size_bytes: 5 },
          { kind: 'hole', size_bytes: 1000 },
        ],
        xattrs: [{ name: Buffer.from('user.x'), value: Buffer.from('y') }],
      }),
      { op: 'removed', path: Buffer.from('dir-gone') },
      added('tty', { type: 'character-device', rdevMajor: 5, rdevMinor: 1, inode: 2n ** 40n + 3n }),
    ],
    [{ ...info, versionId: 'p' }],
  );
  const object = await context.store.get(commitKey(stream, 2));
  t.equal(object.subarray(0, 8).toString(), 'RRBCOMM1');
  const place = Buffer.concat([Buffer.from(stream, 'hex'), Buffer.of(2, 0, 0, 0, 0, 0, 0, 0)]);
  const reader = numbers(plainOf(openSection(object, 1, 0, 132, object.length - 132, place)));
  t.equal(reader.raw(1)[0], 1);
  t.match(header(reader), {
    stream,
    sequence: 2,
    parentHash: 'ab'.repeat(32),
    parentVersionId: 'v1',
    run: expectedHeader.run,
    parentRun: expectedHeader.parentRun,
    host: 'host',
    source: 'home',
    sourcePath: '/home',
    times: [-1n, 1_700_000_060_000_000_000n],
    program: 'rrbackup test',
    statistics: [1, 1, 0, 0, 2, 0, 0, 0, 0, 0],
    userNames: [[0, 'root']],
    groupNames: [[0, 'root']],
  });
  t.equal(reader.varint(), 0, 'pack parts');
  t.equal(reader.varint(), 0, 'row parts');
  const packs_bytes = reader.varint();
  const pack = numbers(reader.raw(packs_bytes));
  t.equal(hex(pack, 32), info.name);
  t.equal(text(pack), 'p');
  t.equal(pack.varint(), info.size_bytes);
  t.same(pack.raw(132), info.header);
  t.same([pack.varint(), pack.varint(), pack.varint(), pack.raw(1)[0], pack.varint()], [1, 21, 5, 0, 1]);
  t.same(pack.raw(32), id);
  t.equal(pack.varint(), 5);
  t.equal(pack.rest().length, 0);

  const common = {
    uid: 1000,
    gid: 1000,
    links: 1,
    device: 2049n,
    times: [1_700_000_000_123_456_789n, 1_700_000_001_000_000_001n],
  };
  t.match(rows(reader, reader.varint()), [
    { operation: 1, path: '', type: 2, mode: 0o755, ...common },
    { operation: 1, path: 'dir', type: 3, target: 'to', ...common },
    {
      ...{ operation: 1, path: 'dir-file', type: 1, size: 1005, ...common, xattrs: [['user.x', 'y']] },
      content: [
        { tag: 0, id: Buffer.from(id).toString('hex'), size: 5 },
        { tag: 1, id: '', size: 1000 },
      ],
    },
    { operation: 3, path: 'dir-gone' },
    { operation: 1, path: 'tty', type: 6, rdev: [5, 1], inode: 2n ** 40n + 3n, ...common },
  ]);
  t.equal(reader.rest().length, 0);
});
