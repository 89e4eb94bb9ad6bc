import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import t from 'tap';

import { defaultLevel, loadZstd } from '../../lib/compression/index.js';
import type { Zstd } from '../../lib/compression/index.js';
import { runs } from '../runs.js';

const names = ['libzstd', 'node:zlib', 'wasm'] as const;
const present: Zstd[] = [];
for (const name of names) {
  const zstd = await loadZstd(name);
  if (zstd.name === name) present.push(zstd);
}
const text = readFileSync(new URL(import.meta.url));
const notZstd = { code: 'compression.damaged', kind: 'damaged' } as const;

const samples: Record<string, Buffer> = {
  'nothing at all': Buffer.alloc(0),
  'a byte': Buffer.from('a'),
  '255 bytes': Buffer.alloc(255, 1),
  '256 bytes': Buffer.alloc(256, 'ab'),
  '65,791 bytes': Buffer.alloc(65_791, 'abc'),
  '65,792 bytes': Buffer.alloc(65_792, 'abc'),
  'program text': text,
  'a chunk of zeros': Buffer.alloc(4 * 1024 * 1024),
  'a chunk of program text': Buffer.alloc(4 * 1024 * 1024, text),
  'what does not compress': Buffer.concat(
    Array.from({ length: 4096 }, (_, index) => Buffer.from(`${Math.sin(index)}`)),
  ),
};

t.test('what is there on this machine', async (t) => {
  t.comment(present.map(({ name }) => name).join(', '));
  t.ok(present.some(({ name }) => name === 'wasm'));
  t.equal(
    present.some(({ name }) => name === 'node:zlib'),
    'zstdCompressSync' in (await import('node:zlib')),
  );
  t.equal((await loadZstd()).name, present[0]!.name, 'the first of them is taken');
  t.equal(await loadZstd('wasm'), await loadZstd('wasm'), 'one per thread');
});

for (const from of present)
  for (const to of present)
    t.test(`what ${from.name} compresses, ${to.name} decompresses`, async (t) => {
      for (const [name, plain] of Object.entries(samples))
        for (const level of [1, defaultLevel, 9, 19]) {
          if (level === 19 && plain.length > 100_000) continue;
          const stored = from.compress(plain, level);
          t.ok(
            to.decompress(stored, plain.length).equals(plain),
            `${name} at level ${level}: ${stored.length} bytes`,
          );
        }
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 5000 }), fc.integer({ min: 1, max: 19 }), (plain, level) =>
          to.decompress(from.compress(plain, level), plain.length).equals(plain),
        ),
        runs(30),
      );
    });

for (const zstd of present) {
  t.test(`${zstd.name}: results are the caller's own`, async (t) => {
    const one = zstd.compress(text, 3);
    const copy = Buffer.from(one);
    zstd.compress(Buffer.alloc(100_000, 'other'), 3);
    t.ok(one.equals(copy));
    const plain = zstd.decompress(one, text.length);
    zstd.decompress(zstd.compress(Buffer.alloc(text.length, 'other'), 3), text.length);
    t.ok(plain.equals(text));
    const chunk = zstd.compress(samples['a chunk of zeros']!, 3);
    t.ok(
      chunk.buffer.byteLength <= Math.max(Buffer.poolSize, chunk.length) + 64,
      'and keep no more in memory than they hold',
    );
  });

  t.test(`${zstd.name}: into memory that is there`, async (t) => {
    const stored = zstd.compress(text, defaultLevel);
    const room = Buffer.alloc(text.length + 5, 0xee);
    t.ok(zstd.decompress(stored, text.length, room).equals(text));
    t.ok(room.subarray(text.length).equals(Buffer.alloc(5, 0xee)), 'nothing behind it');
  });

  t.test(`${zstd.name}: a size that is not the one expected`, async (t) => {
    const stored = zstd.compress(text, 3);
    for (const size of [0, 1, text.length - 1, text.length + 1, 2 ** 40])
      t.throws(() => zstd.decompress(stored, size), notZstd, `${size}`);
  });

  t.test(`${zstd.name}: a bomb is refused before it is unpacked`, async (t) => {
    const bomb = zstd.compress(Buffer.alloc(256 * 1024 * 1024), 3);
    const before_bytes = process.memoryUsage().rss;
    t.throws(() => zstd.decompress(bomb, 1000), notZstd);
    // The same, lying about its size: a stated size of 1000 (two-byte field, 256 less) over the same blocks.
    const header_bytes = 5 + ((bomb[4]! & 0x20) === 0 ? 1 : 0) + [1, 2, 4, 8][bomb[4]! >> 6]!;
    const lying = Buffer.concat([bomb.subarray(0, 4), Buffer.of(0x40 | (bomb[4]! & 0x04), 0x88, 0xe8, 0x02)]);
    t.throws(() => zstd.decompress(Buffer.concat([lying, bomb.subarray(header_bytes)]), 1000), notZstd);
    t.ok(process.memoryUsage().rss - before_bytes < 64 * 1024 * 1024);
  });

  t.test(`${zstd.name}: shortened, lengthened, doubled, or not zstd`, async (t) => {
    const stored = zstd.compress(text, 3);
    for (let length = 0; length < stored.length; length++)
      t.throws(() => zstd.decompress(stored.subarray(0, length), text.length), notZstd);
    t.throws(() => zstd.decompress(Buffer.concat([stored, Buffer.alloc(1)]), text.length), notZstd);
    t.throws(() => zstd.decompress(Buffer.concat([stored, stored]), text.length), notZstd);
    t.throws(
      () => zstd.decompress(Buffer.concat([stored, zstd.compress(Buffer.alloc(0), 3)]), text.length),
      notZstd,
    );
    t.throws(() => zstd.decompress(text, text.length), notZstd);
    t.throws(() => zstd.decompress(Buffer.alloc(0), 0), notZstd);
  });

  t.test(`${zstd.name}: a flipped bit gives an error or ${text.length} bytes, nothing else`, async () => {
    const stored = zstd.compress(text, 3);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: stored.length * 8 - 1 }), (bit) => {
        const flipped = Buffer.from(stored);
        flipped[bit >> 3]! ^= 1 << (bit & 7);
        try {
          return zstd.decompress(flipped, text.length).length === text.length;
        } catch (error) {
          return (error as { code: string }).code === notZstd.code;
        }
      }),
      runs(300),
    );
  });
}

t.test('frames that ask for what is not allowed', async (t) => {
  const zstd = present[0]!;
  const stored = zstd.compress(text, 3);
  for (const bits of [0x01, 0x03, 0x08]) {
    const changed = Buffer.from(stored);
    changed[4]! |= bits;
    t.throws(() => zstd.decompress(changed, text.length), notZstd);
  }
  const withoutSize = Buffer.from('28b52ffd0058090000616263', 'hex');
  t.throws(() => zstd.decompress(withoutSize, 3), notZstd);
});
