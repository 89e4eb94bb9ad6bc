// Blocks read in place from a directory store, on a thread that may not wait for anything else; the disk cache has its own tests.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { BlockDecoder } from '../../lib/pack/block-decoder.js';
import { openLocalBlocks } from '../../lib/pack/local-blocks.js';
import { packKey } from '../../lib/pack/names.js';
import type { ChunkPlace } from '../../lib/pack/types.js';
import { isRoot, scratchDirectory } from '../trees.js';
import { buildPack, noise, packContext, placesOf } from './fixture.js';

const context = await packContext();
const decoder = new BlockDecoder(context);

function packIn(root: string, plains: readonly Buffer[]) {
  const { bytes, info } = buildPack(
    context,
    plains.map((plain) => [plain]),
  );
  const file = path.join(root, packKey(info.name));
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, bytes);
  return { file, bytes, places: placesOf(info) };
}

/** Files of this process that lie below a directory. */
function openFilesBelow(root: string): number {
  const links = fs.readdirSync('/proc/self/fd').map((name) => {
    try {
      return fs.readlinkSync(`/proc/self/fd/${name}`);
    } catch {
      return '';
    }
  });
  return links.filter((link) => link.startsWith(root)).length;
}

for (const readsOn of [false, true])
  t.test(
    `blocks of many packs, with few files open, ${readsOn ? 'and more to follow' : 'each by itself'}`,
    { skip: process.platform !== 'linux' },
    async (t) => {
      const root = scratchDirectory(t);
      const local = openLocalBlocks({ kind: 'directory', path: root }, { readsOn });
      const packs = Array.from({ length: 40 }, (_, index) =>
        packIn(root, [noise(1000 + index, index), noise(300_000, 99)]),
      );
      for (let round = 0; round < 2; round++)
        for (const [index, { places }] of packs.entries()) {
          const [small, large] = places;
          t.ok(decoder.decode(large!, local.read(large!)!).equals(noise(300_000, 99)));
          t.ok(decoder.decode(small!, local.read(small!)!).equals(noise(1000 + index, index)));
        }
      t.equal(openFilesBelow(root), 32);
      local.close();
      t.equal(openFilesBelow(root), 0);
    },
  );

t.test('what is not there, or not whole, is not on this machine', async (t) => {
  const root = scratchDirectory(t);
  const { file, bytes, places } = packIn(root, [noise(1000, 1), noise(5000, 2)]);
  const local = openLocalBlocks({ kind: 'directory', path: root });
  const [first, last] = places;
  t.equal(local.read({ ...first!, pack: 'ab'.repeat(32) }), undefined);
  fs.truncateSync(file, last!.blockOffset_bytes + 10);
  t.equal(local.read(last!), undefined);
  t.ok(decoder.decode(first!, local.read(first!)!).equals(noise(1000, 1)));
  fs.rmSync(file);
  fs.mkdirSync(file);
  local.reject(first!);
  t.equal(local.read(first!), undefined);
  fs.rmdirSync(file);
  fs.writeFileSync(file, bytes);
  t.ok(decoder.decode(last!, local.read(last!)!).equals(noise(5000, 2)), 'put back, it is read again');
  local.close();
});

t.test('what somebody has put in the place of a pack or its directories is not read', async (t) => {
  const root = scratchDirectory(t);
  const { file, places } = packIn(root, [noise(1000, 1)]);
  const [place] = places;
  const local = openLocalBlocks({ kind: 'directory', path: root });
  const isRead = (): boolean => {
    local.reject(place!);
    return local.read(place!) !== undefined;
  };
  t.equal(isRead(), true);
  // The same bytes, elsewhere: they would decode.
  for (const at of [file, path.dirname(file), path.dirname(path.dirname(file))]) {
    fs.renameSync(at, `${root}-moved`);
    fs.symlinkSync(`${root}-moved`, at);
    t.equal(isRead(), false, path.relative(root, at));
    fs.unlinkSync(at);
    fs.renameSync(`${root}-moved`, at);
    t.equal(isRead(), true);
  }
  fs.renameSync(file, `${root}-moved`);
  execFileSync('mkfifo', [file]);
  t.equal(isRead(), false, 'a fifo');
  fs.unlinkSync(file);
  fs.renameSync(`${root}-moved`, file);
  const named = `${root}-named`;
  fs.symlinkSync(root, named);
  t.teardown(() => fs.unlinkSync(named));
  const byLink = openLocalBlocks({ kind: 'directory', path: named });
  t.ok(byLink.read(place!), 'the root may be a symlink');
  for (const blocks of [local, byLink]) blocks.close();
});

t.test('a device in the place of a pack is not read', { skip: isRoot ? false : 'needs root' }, (t) => {
  const root = scratchDirectory(t);
  const { file, places } = packIn(root, [noise(1000, 1)]);
  fs.unlinkSync(file);
  execFileSync('mknod', [file, 'c', '1', '5']);
  const local = openLocalBlocks({ kind: 'directory', path: root });
  t.equal(local.read(places[0]!), undefined);
  local.close();
  t.end();
});

t.test('a damaged pack that is replaced is read anew once its block was rejected', async (t) => {
  const root = scratchDirectory(t);
  const { file, bytes, places } = packIn(root, [noise(1000, 1)]);
  const [place] = places;
  fs.writeFileSync(file, Buffer.alloc(bytes.length, 7));
  const local = openLocalBlocks({ kind: 'directory', path: root });
  t.throws(() => decoder.decode(place!, local.read(place!)!), { code: 'pack.damaged' });
  fs.rmSync(file);
  fs.writeFileSync(file, bytes);
  local.reject(place!);
  t.ok(decoder.decode(place!, local.read(place!)!).equals(noise(1000, 1)));
  local.close();
});

t.test('impossible places are not read, and not decoded', async (t) => {
  const root = scratchDirectory(t);
  const { bytes, places } = packIn(root, [noise(1000, 1)]);
  const [place] = places;
  const impossible: Partial<ChunkPlace>[] = [
    { blockOffset_bytes: 0 },
    { blockStored_bytes: 3 },
    { blockStored_bytes: 2 ** 40, blockPlain_bytes: 2 ** 40 },
    { blockStored_bytes: place!.blockPlain_bytes + 100 },
    { blockOffset_bytes: 2 ** 40 },
  ];
  for (const kind of ['directory', 'cache'] as const) {
    const local = openLocalBlocks({ kind, path: root, maximum_bytes: 1 });
    for (const change of impossible) {
      const wrong = { ...place!, ...change };
      t.equal(local.read(wrong), undefined);
      t.throws(() => decoder.decode(wrong, bytes), {
        code: 'pack.damaged',
        message: /has an impossible place/,
      });
    }
    local.close();
  }
});

t.test('the bytes of a block are not those of another', async (t) => {
  const root = scratchDirectory(t);
  const one = packIn(root, [noise(1000, 1), noise(1000, 2)]);
  const other = packIn(root, [noise(1000, 1)]);
  const local = openLocalBlocks({ kind: 'directory', path: root });
  const stored = Buffer.from(local.read(one.places[0]!)!);
  t.throws(() => decoder.decode(one.places[1]!, stored), { code: 'pack.damaged' });
  t.throws(() => decoder.decode(other.places[0]!, stored), { code: 'pack.damaged' });
  const header = other.places[0]!.packHeader;
  t.throws(() => decoder.decode({ ...one.places[0]!, packHeader: header }, stored), { code: 'pack.damaged' });
  t.ok(decoder.decode(one.places[0]!, stored).equals(noise(1000, 1)));
  local.close();
});

t.test('where nothing lies on this machine, nothing is found', async (t) => {
  const { places } = packIn(scratchDirectory(t), [noise(10)]);
  const local = openLocalBlocks({ kind: 'none' });
  t.equal(local.read(places[0]!), undefined);
  local.reject(places[0]!);
  local.close();
});
