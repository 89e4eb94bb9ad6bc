// Generated entries, rows, headers and packs for property tests: everything that the formats promise to carry.

import fc from 'fast-check';
import { comparePaths } from '../../lib/bytes/path.js';
import {
  entryTypes,
  type Entry,
  type Row,
  type Segment,
  type VersionHeader,
} from '../../lib/manifest/types.js';

const record = <T>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }) =>
  fc.record<T>(fields, { noNullPrototype: true });
const buffer = (constraints: fc.IntArrayConstraints) =>
  fc.uint8Array(constraints).map((bytes) => Buffer.from(bytes));
const id = buffer({ minLength: 32, maxLength: 32 });
const number32 = fc.integer({ min: 0, max: 0xffff_ffff });
const number64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const time = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n }),
  fc.bigInt({ min: -2_000_000_000n, max: 2_000_000_000n }),
);
const hex = (size_bytes: number) =>
  fc
    .uint8Array({ minLength: size_bytes, maxLength: size_bytes })
    .map((bytes) => Buffer.from(bytes).toString('hex'));

const segment: fc.Arbitrary<Segment> = fc.oneof(
  record({
    kind: fc.constant('chunk' as const),
    id,
    size_bytes: fc.integer({ min: 1, max: 4 * 1024 * 1024 }),
  }),
  record({ kind: fc.constant('hole' as const), size_bytes: fc.integer({ min: 1, max: 2 ** 45 }) }),
);

const xattrs = fc
  .uniqueArray(
    record({
      name: buffer({ minLength: 1, maxLength: 20, min: 1 }),
      value: buffer({ maxLength: 40 }),
    }),
    { selector: ({ name }) => name.toString('hex'), maxLength: 4 },
  )
  .map((all) => all.sort((a, b) => Buffer.compare(a.name, b.name)));

export const entry: fc.Arbitrary<Entry> = record({
  type: fc.constantFrom(...entryTypes),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: number32,
  gid: number32,
  mtime_ns: time,
  ctime_ns: time,
  inode: number64,
  device: number64,
  links: number32,
  rdevMajor: number32,
  rdevMinor: number32,
  target: buffer({ minLength: 1, maxLength: 60 }),
  xattrs,
  content: fc.array(segment, { maxLength: 6 }),
}).map((fields) => {
  const isDevice = fields.type === 'block-device' || fields.type === 'character-device';
  const content = fields.type === 'file' ? fields.content : [];
  return {
    ...fields,
    rdevMajor: isDevice ? fields.rdevMajor : 0,
    rdevMinor: isDevice ? fields.rdevMinor : 0,
    target: fields.type === 'symlink' ? fields.target : Buffer.alloc(0),
    content,
    size_bytes: content.reduce((sum, { size_bytes }) => sum + size_bytes, 0),
  };
});

const name = fc
  .oneof(
    fc.constantFrom('a', 'b', 'ab', 'a.b', 'a-b', 'a b', 'ä').map((text) => Buffer.from(text)),
    buffer({ minLength: 1, maxLength: 8, min: 1 }),
    buffer({ minLength: 255, maxLength: 255, min: 0x30 }),
  )
  .filter((bytes) => !bytes.includes(0x2f) && !['.', '..'].includes(bytes.toString('latin1')));

const path = fc
  .array(name, { maxLength: 4 })
  .map((names) =>
    Buffer.concat(names.flatMap((bytes, index) => (index === 0 ? [bytes] : [Buffer.from('/'), bytes]))),
  );

export const rows: fc.Arbitrary<Row[]> = fc
  .uniqueArray(
    fc.oneof(
      record({ op: fc.constantFrom('added' as const, 'changed' as const), path, entry }),
      record({ op: fc.constant('removed' as const), path }),
    ),
    { selector: (row) => row.path.toString('hex'), maxLength: 12 },
  )
  .map((all) => all.sort((a, b) => comparePaths(a.path, b.path)));

const names = fc
  .dictionary(
    fc.integer({ min: 0, max: 0xffff_ffff }).map(String),
    fc.string({ maxLength: 20, unit: 'grapheme' }),
  )
  .map(
    (all) =>
      new Map(
        Object.entries(all)
          .map(([key, value]) => [Number(key), value] as const)
          .sort(([a], [b]) => a - b),
      ),
  );

const count = fc.maxSafeNat();
const text = fc.string({ maxLength: 40, unit: 'grapheme' });

/** Of version 1 of the stream. */
export function firstHeader(stream: string): fc.Arbitrary<VersionHeader> {
  return record({
    stream: fc.constant(stream),
    sequence: fc.constant(1),
    parentHash: fc.constant(''),
    parentVersionId: fc.constant(''),
    run: hex(16),
    parentRun: fc.constant(''),
    host: text,
    source: text,
    sourcePath: buffer({ maxLength: 50 }),
    started_ns: time,
    finished_ns: time,
    program: text,
    statistics: record({
      files: count,
      directories: count,
      others: count,
      bytes: count,
      added: count,
      changed: count,
      removed: count,
      newBytes: count,
      storedBytes: count,
      unreadable: count,
    }),
    userNames: names,
    groupNames: names,
  });
}

/** Blocks as lists of chunks' plain bytes. */
export const blocks: fc.Arbitrary<Buffer[][]> = fc.array(
  fc.array(
    fc.oneof(
      buffer({ minLength: 1, maxLength: 50 }),
      fc.integer({ min: 1, max: 3000 }).map((size_bytes) => Buffer.alloc(size_bytes, 'compressible')),
    ),
    { minLength: 1, maxLength: 5 },
  ),
  { maxLength: 5 },
);
