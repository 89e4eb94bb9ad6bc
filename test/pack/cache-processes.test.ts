// Several programs in one disk cache, each of them spoiling it for the others: every byte is right, nobody fails, the bound holds.

import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { DiskCache } from '../../lib/pack/cache/index.js';
import { packKey } from '../../lib/pack/names.js';
import { PackReader } from '../../lib/pack/reader.js';
import { DirectoryStore } from '../../lib/store/directory/index.js';
import { scratchDirectory } from '../trees.js';
import type { Task } from './cache-child.js';
import { buildPack, noise, packContext, placesOf } from './fixture.js';

const child = fileURLToPath(new URL('./cache-child.js', import.meta.url));
const packCount = 12;
const blockCount = 5;
const block_bytes = 60_000;
const pack_bytes = blockCount * (block_bytes + 16);
const maximum_bytes = 5 * pack_bytes;
const processes = 4;

t.test('four programs read through one cache', async (t) => {
  const context = await packContext();
  const directory = scratchDirectory(t);
  const [storeDirectory, cache] = [path.join(directory, 'store'), path.join(directory, 'cache')];
  const store = new DirectoryStore(storeDirectory);
  await store.prepare({ note: () => undefined });
  const packs: Task['packs'][number][] = [];
  for (let number = 0; number < packCount; number++) {
    const seeds = Array.from({ length: blockCount }, (_, index) => number * blockCount + index);
    const { bytes, info } = buildPack(
      context,
      seeds.map((seed) => [noise(block_bytes, seed)]),
    );
    await store.put(packKey(info.name), bytes);
    packs.push(
      placesOf(info).map((place, index) => ({
        seed: seeds[index]!,
        place: { ...place, packHeader: Buffer.from(place.packHeader).toString('base64') },
      })),
    );
  }
  const occupied_bytes = () =>
    fs
      .readdirSync(cache)
      .map((name) => fs.statSync(path.join(cache, name)).blocks * 512)
      .reduce((sum, bytes) => sum + bytes, 0);

  const task: Omit<Task, 'seed'> = { store: storeDirectory, cache, maximum_bytes, rounds: 300, packs };
  const children = Array.from({ length: processes }, (_, index) =>
    promisify(execFile)(process.execPath, [child, JSON.stringify({ ...task, seed: index + 1 })]),
  );
  await Promise.all(children);
  // Each may have counted the others' files just before they wrote their last.
  t.ok(occupied_bytes() <= maximum_bytes + (processes - 1) * (pack_bytes + 32 * 1024));

  const last = new DiskCache({ path: cache, maximum_bytes });
  const { place, seed } = packs[0]![0]!;
  const reader = new PackReader({ ...context, store, cache: last });
  const blocks = await reader.readBlocks([{ ...place, packHeader: Buffer.from(place.packHeader, 'base64') }]);
  t.ok(blocks.get(place.block)!.equals(noise(block_bytes, seed)));
  await last.close();
  t.ok(occupied_bytes() <= maximum_bytes, 'whoever comes next puts it right');
});
