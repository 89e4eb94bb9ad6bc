// The disk cache, one process: what it saves, what damage does to it, and its size.

import fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { DiskCache } from '../../lib/pack/cache/index.js';
import { openLocalBlocks } from '../../lib/pack/local-blocks.js';
import { BlockDecoder } from '../../lib/pack/block-decoder.js';
import { PackReader } from '../../lib/pack/reader.js';
import type { ChunkPlace } from '../../lib/pack/types.js';
import { isRoot, scratchDirectory } from '../trees.js';
import { CountingStore, noise, packContext, storedPack } from './fixture.js';
import { runs } from '../runs.js';

const context = await packContext();
const mebibyte = 1024 * 1024;

/** A reader as one run of the program has it. */
class Run {
  readonly warnings: string[] = [];
  readonly cache: DiskCache;
  readonly reader: PackReader;

  constructor(store: CountingStore, directory: string, maximum_bytes = 64 * mebibyte) {
    const onWarning = (message: string) => void this.warnings.push(message);
    this.cache = new DiskCache({ path: directory, maximum_bytes, onWarning });
    this.reader = new PackReader({ ...context, store, cache: this.cache });
  }
}

/** The places, read by a run of their own; how many requests that took. */
async function readOnce(
  store: CountingStore,
  directory: string,
  places: readonly ChunkPlace[],
  maximum_bytes?: number,
) {
  const run = new Run(store, directory, maximum_bytes);
  const before = store.asked.length;
  const blocks = await run.reader.readBlocks(places);
  await run.cache.close();
  return { blocks, requests: store.asked.length - before, warnings: run.warnings };
}

/** Of the cache's own files. */
function occupied_bytes(directory: string): number {
  return fs
    .readdirSync(directory)
    .filter((name) => /^[0-9a-f]{64}$/.test(name))
    .map((name) => fs.lstatSync(path.join(directory, name)).blocks * 512)
    .reduce((sum, bytes) => sum + bytes, 0);
}

type Pack = Awaited<ReturnType<typeof storedPack>>;

async function fixture(t: Parameters<typeof scratchDirectory>[0], plains: readonly Buffer[]) {
  const pack = await storedPack(context, plains);
  const directory = path.join(scratchDirectory(t), 'below', 'blocks');
  return { ...pack, plains, directory, file: path.join(directory, pack.info.name) };
}

t.test('what was fetched once is not fetched again, by nobody', async (t) => {
  const plains = [noise(1000, 1), noise(200_000, 2), noise(70_000, 3)];
  const { store, places, directory, file, bytes } = await fixture(t, plains);
  const first = await readOnce(store, directory, places);
  t.equal(first.requests, 1);
  const second = await readOnce(store, directory, places);
  t.equal(second.requests, 0);
  for (const [index, plain] of plains.entries()) t.ok(second.blocks.get(index)!.equals(plain));
  t.equal(fs.statSync(file).mode & 0o7777, 0o600);
  t.equal(fs.statSync(directory).mode & 0o7777, 0o700);
  const { blockOffset_bytes: from } = places[0]!;
  const kept = fs.readFileSync(file);
  t.ok(kept.subarray(from).equals(bytes.subarray(from, kept.length)), 'as encrypted as it came');

  const local = openLocalBlocks({ kind: 'cache', path: directory, maximum_bytes: 1 });
  const decoder = new BlockDecoder(context);
  for (const [index, place] of places.entries())
    t.ok(decoder.decode(place, local.read(place)!).equals(plains[index]!));
  local.close();
});

t.test('only what is missing is asked for, and nothing in between twice', async (t) => {
  const plains = [1, 2, 3, 4, 5].map((seed) => noise(20_000, seed));
  const { store, places, directory } = await fixture(t, plains);
  await readOnce(store, directory, [places[2]!]);
  const { requests } = await readOnce(store, directory, places);
  t.equal(requests, 2);
  const asked_bytes = store.asked.reduce((sum, { range }) => sum + range!.length, 0);
  t.equal(asked_bytes, 5 * places[0]!.blockStored_bytes);
});

t.test('the blocks of a gap that was read over are there as well', async (t) => {
  const { store, places, directory } = await fixture(t, [noise(1000, 1), noise(9000, 2), noise(1000, 3)]);
  t.equal((await readOnce(store, directory, [places[0]!, places[2]!])).requests, 1);
  const { blocks, requests } = await readOnce(store, directory, [places[1]!]);
  t.equal(requests, 0);
  t.ok(blocks.get(1)!.equals(noise(9000, 2)));
});

t.test('an abort is an abort, whatever the cache holds', async (t) => {
  const { store, places, directory } = await fixture(t, [noise(10)]);
  await readOnce(store, directory, places);
  const { reader } = new Run(store, directory);
  await t.rejects(reader.readBlocks(places, AbortSignal.abort()), { code: 'interrupted' });
});

t.test('bytes that the store spoiled are not kept', async (t) => {
  const { store, places, directory, bytes, info } = await fixture(t, [noise(1000, 1), noise(1000, 2)]);
  const spoiled = Buffer.from(bytes);
  spoiled[places[1]!.blockOffset_bytes]! ^= 1;
  store.tamper(`packs/${info.name.slice(0, 2)}/${info.name}`, spoiled);
  const run = new Run(store, directory);
  await t.rejects(run.reader.readBlocks(places), { code: 'pack.damaged' });
  await run.cache.close();
  t.notOk(fs.existsSync(directory));
});

type Damage = (file: string, place: ChunkPlace) => void;

function overwrite(file: string, at: number, bytes: Uint8Array): void {
  const descriptor = fs.openSync(file, 'r+');
  fs.writeSync(descriptor, bytes, 0, bytes.length, at);
  fs.closeSync(descriptor);
}

function flip(file: string, at: number): void {
  overwrite(file, at, Buffer.of(fs.readFileSync(file)[at]! ^ 0x10));
}

const damages: Record<string, Damage> = {
  'the first byte flipped': (file, place) => flip(file, place.blockOffset_bytes),
  'the last byte flipped': (file, place) => flip(file, place.blockOffset_bytes + place.blockStored_bytes - 1),
  'cut short within the block': (file, place) =>
    fs.truncateSync(file, place.blockOffset_bytes + place.blockStored_bytes - 1),
  'cut short behind its beginning': (file, place) => fs.truncateSync(file, place.blockOffset_bytes + 20),
  'cut short before the block': (file, place) => fs.truncateSync(file, place.blockOffset_bytes),
  'cut short and long again: a hole at its end': (file, place) => {
    const { size } = fs.statSync(file);
    fs.truncateSync(file, place.blockOffset_bytes + 500);
    fs.truncateSync(file, size);
  },
  'a hole': (file, place) => overwrite(file, place.blockOffset_bytes, Buffer.alloc(place.blockStored_bytes)),
  'bytes of another file': (file, place) => overwrite(file, place.blockOffset_bytes, noise(5000, 99)),
  empty: (file) => fs.truncateSync(file, 0),
  gone: (file) => fs.rmSync(file),
  'the whole directory gone': (file) => fs.rmSync(path.dirname(file), { recursive: true }),
};

const links: Record<string, Damage> = {
  'a link to another file': (file) => {
    fs.renameSync(file, `${file}.other`);
    fs.symlinkSync(`${file}.other`, file);
    overwrite(`${file}.other`, 0, noise(100_000, 98));
  },
};

for (const [name, damage] of Object.entries({ ...damages, ...links }))
  t.test(`damage: ${name}`, async (t) => {
    const plains = [noise(3000, 1), noise(9000, 2), noise(3000, 3)];
    const { store, places, directory, file } = await fixture(t, plains);
    await readOnce(store, directory, places);
    damage(file, places[1]!);
    const local = openLocalBlocks({ kind: 'cache', path: directory, maximum_bytes: 1 });
    const decoder = new BlockDecoder(context);
    const [, place] = places;
    const found = local.read(place!);
    if (found !== undefined) {
      t.throws(() => decoder.decode(place!, found), { code: 'pack.damaged' });
      local.reject(place!);
      t.equal(local.read(place!), undefined, 'what was rejected is not there any more');
    }
    local.close();
    const { blocks, requests } = await readOnce(store, directory, [place!]);
    t.equal(requests, 1);
    t.ok(blocks.get(1)!.equals(plains[1]!));
    const isLink = name in links;
    t.equal((await readOnce(store, directory, [place!])).requests, isLink ? 1 : 0, 'and it is put right');
  });

t.test('deleted while in use', async (t) => {
  const { store, places, directory } = await fixture(t, [noise(3000, 1), noise(3000, 2)]);
  const run = new Run(store, directory);
  for (const place of [...places, ...places]) {
    const block = (await run.reader.readBlocks([place])).get(place.block)!;
    t.ok(block.equals(noise(3000, place.block + 1)));
    fs.rmSync(directory, { recursive: true, force: true });
  }
  await run.cache.close();
  t.strictSame(run.warnings, []);
  t.equal((await readOnce(store, directory, places)).blocks.size, 2);
});

t.test('any history of reading, damage and deletion ends in the right bytes', async (t) => {
  const packs = await Promise.all(
    [1, 2, 3].map((pack) =>
      fixture(
        t,
        [700, 5000, 20_000].map((size, index) => noise(size, 10 * pack + index)),
      ),
    ),
  );
  const step = fc.record({
    pack: fc.nat({ max: 2 }),
    blocks: fc.uniqueArray(fc.nat({ max: 2 }), { minLength: 1 }),
    damage: fc.option(fc.constantFrom(...Object.values(damages)), { freq: 2 }),
    maximum_bytes: fc.constantFrom(64 * mebibyte, 30_000, 60_000),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const directory = path.join(
        scratchDirectory({ teardown: (gone) => void cleanup.push(gone) }),
        'blocks',
      );
      for (const { pack, blocks, damage, maximum_bytes } of steps) {
        const { store, places, plains, info } = packs[pack]!;
        const wanted = blocks.map((block) => places[block]!);
        const read = await readOnce(store, directory, wanted, maximum_bytes);
        for (const block of blocks) if (!read.blocks.get(block)!.equals(plains[block]!)) return false;
        if (fs.existsSync(directory) && occupied_bytes(directory) > maximum_bytes) return false;
        const file = path.join(directory, info.name);
        if (damage !== null && fs.existsSync(file) && fs.statSync(file).size > 0) damage(file, wanted[0]!);
      }
      return true;
    }),
    runs(100),
  );
});
const cleanup: (() => unknown)[] = [];
t.teardown(() => cleanup.forEach((gone) => gone()));

t.test('the bound holds; what was of no use for longest goes first', async (t) => {
  const maximum_bytes = 2 * mebibyte;
  const directory = path.join(scratchDirectory(t), 'blocks');
  const store = new CountingStore();
  const packs: Pack[] = [];
  for (let seed = 0; seed < 12; seed++) packs.push(await storedPack(context, [noise(300_000, seed)], store));
  const [favourite, ...others] = packs;
  const fileOf = ({ info }: Pack) => path.join(directory, info.name);
  await readOnce(store, directory, favourite!.places, maximum_bytes);
  for (const [index, pack] of others.entries()) {
    await readOnce(store, directory, pack.places, maximum_bytes);
    // As if this one had been used a moment ago, and every other so many days ago.
    const used_s = 1_700_000_000 + 86_400 * index;
    fs.utimesSync(fileOf(pack), used_s, used_s);
    t.equal((await readOnce(store, directory, favourite!.places, maximum_bytes)).requests, 0);
    t.ok(occupied_bytes(directory) <= maximum_bytes);
  }
  t.ok(fs.existsSync(fileOf(others.at(-1)!)));
  t.notOk(fs.existsSync(fileOf(others[0]!)));
  t.ok(fs.readdirSync(directory).length >= 5, 'not more than needed has gone');

  fs.writeFileSync(path.join(directory, 'somebody else'), noise(mebibyte));
  await readOnce(store, directory, favourite!.places, 400_000);
  t.strictSame(fs.readdirSync(directory).sort(), [favourite!.info.name, 'somebody else'].sort());
});

t.test('a run that reads much keeps the bound all the way', async (t) => {
  const maximum_bytes = mebibyte;
  const directory = path.join(scratchDirectory(t), 'blocks');
  const store = new CountingStore();
  const run = new Run(store, directory, maximum_bytes);
  for (let seed = 0; seed < 20; seed++) {
    const { places } = await storedPack(context, [noise(150_000, seed)], store);
    await run.reader.readBlocks(places);
    if (fs.existsSync(directory)) t.ok(occupied_bytes(directory) <= maximum_bytes);
  }
  await run.cache.close();
  t.ok(occupied_bytes(directory) > maximum_bytes / 2);
  t.ok(occupied_bytes(directory) <= maximum_bytes);
  const big = await storedPack(context, [noise(2 * mebibyte)], store);
  t.equal((await readOnce(store, directory, big.places, maximum_bytes)).blocks.size, 1);
  t.notOk(fs.existsSync(path.join(directory, big.info.name)), 'what never fits is not begun');
});

t.test('what waits for a slow disk is bounded', async (t) => {
  const directory = path.join(scratchDirectory(t), 'blocks');
  const cache = new DiskCache({ path: directory, maximum_bytes: 1024 * mebibyte });
  const bytes = Buffer.alloc(8 * mebibyte, 1);
  const names = Array.from({ length: 6 }, (_, index) => `${index}`.repeat(64));
  for (const name of names) cache.keep(name, 0, bytes);
  await cache.close();
  t.strictSame(fs.readdirSync(directory).sort(), names.slice(0, 4));
  cache.keep(names[5]!, 0, bytes);
  await cache.close();
  t.ok(fs.existsSync(path.join(directory, names[5]!)));
});

t.test('reading says that a file is of use, but not every time', async (t) => {
  const { store, places, directory, file } = await fixture(t, [noise(3000)]);
  await readOnce(store, directory, places);
  let now_ms = 0;
  const clock = { now_ns: () => 1_700_000_000_000_000_000n, monotonic_ms: () => now_ms };
  const local = openLocalBlocks({ kind: 'cache', path: directory, maximum_bytes: 1 }, { clock });
  const usedAfterReading = () => {
    fs.utimesSync(file, 1, 1);
    local.read(places[0]!);
    return fs.statSync(file).mtimeMs / 1000;
  };
  t.equal(usedAfterReading(), 1_700_000_000);
  now_ms += 60_000;
  t.equal(usedAfterReading(), 1);
  now_ms += 300_000;
  t.equal(usedAfterReading(), 1_700_000_000);
});

t.test('a cache that cannot be made is one warning', async (t) => {
  const { store, places } = await fixture(t, [noise(3000, 1), noise(200_000, 2), noise(3000, 3)]);
  const inTheWay = path.join(scratchDirectory(t), 'file');
  fs.writeFileSync(inTheWay, '');
  for (const directory of [inTheWay, path.join(inTheWay, 'below')]) {
    const run = new Run(store, directory);
    for (const place of places)
      t.ok((await run.reader.readBlocks([place])).get(place.block)!.length === place.blockPlain_bytes);
    await run.cache.close();
    t.equal(run.warnings.length, 1);
    t.match(
      run.warnings[0],
      /^what is read cannot be kept in .*file.* \((file already exists|not a directory)\): /,
    );
  }
});

t.test('a cache that may not be written is read', { skip: !isRoot && 'needs root' }, async (t) => {
  const { store, places, directory } = await fixture(t, [noise(3000, 1), noise(3000, 2)]);
  await readOnce(store, directory, [places[0]!]);
  fs.chmodSync(path.dirname(path.dirname(directory)), 0o755);
  fs.chmodSync(path.dirname(directory), 0o755);
  const nobody = 65534;
  fs.chownSync(directory, nobody, nobody);
  fs.chownSync(path.join(directory, places[0]!.pack), nobody, nobody);
  fs.chmodSync(path.join(directory, places[0]!.pack), 0o400);
  fs.chmodSync(directory, 0o500);
  const run = new Run(store, directory);
  process.seteuid?.(nobody);
  try {
    t.equal((await run.reader.readBlocks(places)).size, 2);
    await run.cache.close();
  } finally {
    process.seteuid?.(0);
  }
  t.equal(store.asked.length, 2, 'only the second block was asked for');
  t.match(run.warnings, [/permission denied/]);
});

t.test('a full disk is one warning, and the reads go on', { skip: !isRoot && 'needs root' }, async (t) => {
  const disk = scratchDirectory(t);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', disk]);
  t.teardown(() => execFileSync('umount', [disk]));
  const store = new CountingStore();
  const directory = path.join(disk, 'blocks');
  const run = new Run(store, directory);
  const packs: Pack[] = [];
  for (let seed = 0; seed < 6; seed++) packs.push(await storedPack(context, [noise(400_000, seed)], store));
  for (let round = 0; round < 3; round++)
    for (const [seed, { places }] of packs.entries())
      t.ok((await run.reader.readBlocks(places)).get(0)!.equals(noise(400_000, seed)));
  await run.cache.close();
  t.equal(run.warnings.length, 1);
  t.match(run.warnings[0], /no space left on device/);
});

t.test('after a failure it is left alone for a while, and then tried again', async (t) => {
  const { store, places, directory, file } = await fixture(t, [noise(3000)]);
  fs.mkdirSync(path.dirname(directory));
  fs.writeFileSync(directory, 'in the way');
  let now_ms = 0;
  const clock = { now_ns: () => 0n, monotonic_ms: () => now_ms };
  const warnings: string[] = [];
  const onWarning = (message: string) => void warnings.push(message);
  const cache = new DiskCache({ path: directory, maximum_bytes: mebibyte, clock, onWarning });
  const reader = new PackReader({ ...context, store, cache });
  const readAndSettle = async () => {
    await reader.readBlocks(places);
    await cache.close();
  };
  await readAndSettle();
  fs.rmSync(directory);
  await readAndSettle();
  t.notOk(fs.existsSync(file));
  now_ms += 10 * 60_000;
  await readAndSettle();
  t.ok(fs.existsSync(file));
  t.equal(warnings.length, 1);
});
