import fc from 'fast-check';
import t from 'tap';

import { readFileSync } from 'node:fs';
import wabt from 'wabt';
import { gearModule } from '../../lib/chunking/gear-module.js';
import { chunkLimits, Cutter } from '../../lib/chunking/index.js';
import { runs } from '../runs.js';

const { minimum_bytes, average_bytes, maximum_bytes } = chunkLimits;

/** Bytes that look random and are the same everywhere: xorshift32. */
function seeded(seed: number, length: number): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state >>> 0;
  }
  return Buffer.from(words.buffer, 0, length);
}

const window_bytes = 32 * 1024 * 1024;
const cutter = new Cutter(seeded(1, 1024), window_bytes);

let loaded: { readonly cutter: Cutter; readonly bytes: Uint8Array } | undefined;

function nextCut(cutter: Cutter, bytes: Uint8Array, start: number, end: number, isLast: boolean): number {
  if (loaded?.cutter !== cutter || loaded.bytes !== bytes) cutter.window.set(bytes);
  loaded = { cutter, bytes };
  return cutter.nextCut(start, end, isLast);
}

function cutsOf(cutter: Cutter, bytes: Uint8Array): number[] {
  const cuts: number[] = [];
  for (let at = 0; at < bytes.length; cuts.push(at)) at = nextCut(cutter, bytes, at, bytes.length, true);
  return cuts;
}

/** Feeds windows that begin at the chunk and grow as told, as a reader with a bounded buffer does. */
function cutsInWindows(cutter: Cutter, bytes: Uint8Array, step: (at: number) => number): number[] {
  const cuts: number[] = [];
  let start = 0;
  let end = 0;
  while (start < bytes.length) {
    const cut = nextCut(cutter, bytes, start, end, end === bytes.length);
    if (cut < 0) {
      if (end - start >= maximum_bytes) throw new Error('undecided with a maximum of bytes there');
      end = Math.min(bytes.length, end + Math.max(1, step(end)));
    } else cuts.push((start = cut));
  }
  return cuts;
}

/** The algorithm as the comment in lib/chunking says it, word for word, without any haste. */
function cutsBySpecification(gearBytes: Buffer, bytes: Uint8Array): number[] {
  const gear = Array.from({ length: 256 }, (_, index) => gearBytes.readUInt32LE(index * 4));
  const hashAt = (end: number): number => {
    let hash = 0;
    for (let at = end - 32; at < end; at++) hash = (hash * 2 + gear[bytes[at]!]!) >>> 0;
    return hash;
  };
  const cuts: number[] = [];
  let start = 0;
  while (start < bytes.length) {
    let cut = start + 262_144;
    while (cut < bytes.length && cut < start + 4_194_304) {
      if (hashAt(cut) < 2 ** (cut < start + 1_048_576 ? 10 : 14)) break;
      cut++;
    }
    cuts.push((start = Math.min(cut, bytes.length)));
  }
  return cuts;
}

const data = seeded(2, 24 * 1024 * 1024 + 12_345);
const cuts = cutsOf(cutter, data);

t.test('the cut points of format version 1, on every Node', async (t) => {
  t.same(
    cuts,
    [
      1442341, 2514631, 3634636, 4188380, 5245581, 6447144, 7786809, 9504032, 10435891, 11500531, 12634153,
      13710577, 15083385, 15590835, 16946414, 18059519, 18444293, 18991198, 20348786, 21202250, 22262094,
      23388453, 24625547, 25178169,
    ],
  );
});

t.test('the same as the specification, taken literally', async (t) => {
  const part = data.subarray(cuts[2], cuts[2]! + 2 * 1024 * 1024);
  t.match(cutsOf(cutter, part), [cuts[3]! - cuts[2]!, cuts[4]! - cuts[2]!], 'one hard cut, one easy');
  t.same(cutsOf(cutter, part), cutsBySpecification(seeded(1, 1024), part));
});

t.test('cuts partition the input into chunks of the sizes promised', async (t) => {
  t.equal(cuts.at(-1), data.length);
  const sizes = cuts.map((cut, index) => cut - (cuts[index - 1] ?? 0));
  for (const size of sizes.slice(0, -1)) t.ok(size >= minimum_bytes && size <= maximum_bytes, `${size}`);
  t.ok(sizes.at(-1)! <= maximum_bytes);
  const mean = data.length / sizes.length;
  t.ok(mean > average_bytes * 0.8 && mean < average_bytes * 1.5, `mean ${mean}`);
});

t.test('cuts do not depend on how the input is fed', async (t) => {
  for (const step of [100_000, 262_144, 262_145, 1_048_576, 4_194_304, 5_000_000])
    t.same(
      cutsInWindows(cutter, data, () => step),
      cuts,
      `steps of ${step}`,
    );
  fc.assert(
    fc.property(fc.integer({ min: 1 }), (seed) => {
      let state = seed;
      const step = () => (state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff) % 900_000;
      return cutsInWindows(cutter, data.subarray(0, 5_000_000), step).every((cut, index, all) =>
        index === all.length - 1 ? cut === 5_000_000 : cut === cuts[index],
      );
    }),
    runs(20),
  );
});

t.test('bytes before the start and after the end do not matter', async (t) => {
  const end = Math.min(data.length, cuts[0]! + maximum_bytes);
  const before = Buffer.concat([Buffer.alloc(1000, 5), data.subarray(cuts[0]!, end), Buffer.alloc(1000, 6)]);
  t.equal(nextCut(cutter, before, 1000, 1000 + end - cuts[0]!, true) - 1000, cuts[1]! - cuts[0]!);
});

t.test('after a byte inserted, removed or changed the cuts meet again', async (t) => {
  const at = 2_000_000;
  const [head, tail] = [data.subarray(0, at), data.subarray(at)];
  for (const [name, edited, shift] of [
    ['inserted', Buffer.concat([head, Buffer.of(42), tail]), 1],
    ['removed', Buffer.concat([head, tail.subarray(1)]), -1],
    ['changed', Buffer.concat([head, Buffer.of(tail[0]! ^ 1), tail.subarray(1)]), 0],
  ] as const) {
    const moved = new Set(cutsOf(cutter, edited).map((cut) => cut - shift));
    const met = cuts.filter((cut) => moved.has(cut)).length;
    t.ok(met >= cuts.length - 4, `${name}: ${met} of ${cuts.length} cuts met`);
  }
});

t.test('another key cuts elsewhere', async (t) => {
  const other = new Set(cutsOf(new Cutter(seeded(3, 1024), window_bytes), data));
  t.equal(cuts.filter((cut) => other.has(cut)).length, 1, 'only the end');
});

t.test('inputs without any variety keep to the limits', async (t) => {
  for (const byte of [0, 1, 255]) {
    const same = Buffer.alloc(9 * 1024 * 1024, byte);
    const sizes = cutsOf(cutter, same).map((cut, index, all) => cut - (all[index - 1] ?? 0));
    t.equal(
      sizes.reduce((sum, size) => sum + size),
      same.length,
    );
    for (const size of sizes.slice(0, -1)) t.ok(size >= minimum_bytes && size <= maximum_bytes);
  }
});

t.test('at the edges', async (t) => {
  t.equal(nextCut(cutter, data, 0, 0, true), 0);
  t.equal(nextCut(cutter, data, 0, 0, false), -1);
  for (const size of [1, 31, 32, minimum_bytes - 1, minimum_bytes]) {
    t.equal(nextCut(cutter, data, 0, size, true), size, 'a small file is one chunk');
    t.equal(nextCut(cutter, data, 0, size, false), -1, 'not yet to be decided');
  }
  const same = Buffer.alloc(maximum_bytes + 1);
  t.equal(nextCut(cutter, same, 0, maximum_bytes - 1, false), -1);
  t.equal(nextCut(cutter, same, 0, maximum_bytes - 1, true), maximum_bytes - 1);
  t.equal(nextCut(cutter, same, 0, maximum_bytes, false), maximum_bytes);
  t.equal(nextCut(cutter, same, 0, maximum_bytes + 1, false), maximum_bytes);
  for (const [start, end] of [
    [-1, 5],
    [6, 5],
    [0, window_bytes + 1],
  ] as const)
    t.throws(() => nextCut(cutter, same, start, end, true), RangeError);
  t.throws(() => new Cutter(Buffer.alloc(1023), window_bytes), RangeError);
});

t.test('the module is its source, assembled', async (t) => {
  const source = readFileSync(new URL('../../../lib/chunking/gear.wat', import.meta.url), 'utf8');
  const { buffer } = (await wabt()).parseWat('gear.wat', source).toBinary({});
  t.equal(Buffer.from(buffer).toString('base64'), gearModule, 'run scripts/assemble-gear');
});
