// Scenarios 7, 8 and 12 of TESTING.md as far as a check is concerned: bits flipped, objects cut short or longer, swapped or hidden.
// What it names is what cannot be got back, no more and no less.

import t, { type Test } from 'tap';
import { randomBytes } from '../../lib/crypto/index.js';
import { check, type CheckOptions } from '../../lib/index.js';
import { commitKey } from '../../lib/manifest/names.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import { runs } from '../runs.js';
import { keysOf, reallyLost, type Sample, sample, sorted, stranger, told } from './check-sample.js';

const everything: CheckOptions = { readData: { percent: 100 } };
/** Every byte of the manifest, and hardly a pack. */
const manifest: CheckOptions = { readData: { part: 1, of: 999_999_999 } };

/** Made once: what is harmed is a copy of its store. */
const made = sample(t, 4);

const isPack = (key: string): boolean => key.startsWith('packs/');
const isManifest = (key: string): boolean => key.startsWith('streams/');

/** Compares, and returns what was said. */
async function same(t: Test, all: Sample, store: MemoryStore, what: string, options: CheckOptions) {
  const elsewhere = await stranger(all.machine, store);
  const expected = await reallyLost(all, elsewhere);
  const result = await check(elsewhere, options);
  t.strictSame(sorted(told(all, result)), sorted(expected), what);
  await elsewhere.close();
  return { result, expected };
}

void t.test('a bit flipped in every pack', async (t) => {
  const all = await made;
  const { store } = all.machine;
  const packs = (await keysOf(store)).map(({ key }) => key).filter(isPack);
  let filesHurt = 0;
  for (let round = 0; round < runs(3).numRuns; round++) {
    const damagedStore = store.copy();
    for (const key of packs) {
      const bytes = await store.get(key);
      // Headers and ends are small, and flipped often.
      const span = [bytes.length, 132, 200][round % 3]!;
      const at = (randomBytes(6).readUIntBE(0, 6) % Math.min(span, bytes.length)) % bytes.length;
      const place = round % 3 === 2 ? bytes.length - 1 - at : at;
      bytes[place]! ^= 1 << (round & 7);
      damagedStore.tamper(key, bytes);
    }
    const { result, expected } = await same(t, all, damagedStore, `round ${round}`, everything);
    filesHurt += expected.size;
    t.strictSame(
      result.findings.map(({ code, object }) => [code, object]).sort(),
      packs.map((key) => ['pack.damaged', key]).sort(),
      'every pack is named',
    );
    const quick = await check(await stranger(all.machine, damagedStore));
    t.equal(quick.verdict, 'fine', 'a listing does not show it');
  }
  t.ok(filesHurt > 0);
});

void t.test('a bit flipped in each object of the manifest', async (t) => {
  const all = await made;
  const { store } = all.machine;
  for (const { key } of (await keysOf(store)).filter((object) => isManifest(object.key))) {
    const damagedStore = store.copy();
    const bytes = await store.get(key);
    bytes[bytes.length >> 1]! ^= 4;
    damagedStore.tamper(key, bytes);
    const { result } = await same(t, all, damagedStore, key, manifest);
    // A checkpoint stands for it.
    const isMended = key === commitKey(all.repository.streamId('source'), 3);
    t.equal(result.verdict, isMended ? 'fine' : 'damaged', key);
    t.equal((isMended ? result.mended : result.findings).length, 1);
  }
});

void t.test('each object cut short or longer', async (t) => {
  const all = await made;
  const { store } = all.machine;
  const keys = (await keysOf(store)).map(({ key }) => key).filter((key) => key !== 'rrbackup.json');
  for (let round = 0; round < runs(1).numRuns; round++) {
    for (const [index, key] of keys.entries()) {
      const bytes = await store.get(key);
      const size = [0, bytes.length >> 1, bytes.length + 1][(index + round) % 3]!;
      const damagedStore = store.copy();
      const more = Buffer.alloc(Math.max(0, size - bytes.length));
      damagedStore.tamper(key, Buffer.concat([bytes.subarray(0, size), more]));
      const { result } = await same(t, all, damagedStore, `${key} with ${size} bytes`, {});
      const isMended = key === commitKey(all.repository.streamId('source'), 3);
      t.equal(result.verdict, isMended ? 'fine' : 'damaged', `${key} with ${size} bytes`);
      t.ok((isMended ? result.mended : result.findings).length > 0);
    }
  }
});

void t.test(
  'packs in the place of each other, and packs under delete markers and other objects',
  async (t) => {
    const all = await made;
    const { store } = all.machine;
    const packs = (await keysOf(store)).map(({ key }) => key).filter(isPack);
    const swapped = store.copy();
    swapped.tamper(packs[0]!, await store.get(packs[1]!));
    swapped.tamper(packs[1]!, await store.get(packs[0]!));
    const { result, expected } = await same(t, all, swapped, 'swapped', everything);
    t.ok(expected.size > 0);
    t.match(result, { verdict: 'damaged' });

    const hidden = store.copy();
    for (const { key } of await keysOf(store)) {
      if (!isPack(key) && !isManifest(key)) continue;
      await hidden.put(key, Buffer.from('garbage'));
      hidden.hide(key);
    }
    const after = await same(t, all, hidden, 'hidden', everything);
    t.equal(after.expected.size, 0);
    t.equal(after.result.verdict, 'fine');
    t.ok(after.result.unneeded.furtherVersions > 0);
  },
);

void t.test('a store that was copied has other version ids', async (t) => {
  const all = await made;
  const { store } = all.machine;
  const twin = store.copy();
  for (const { key, versionId } of await keysOf(store)) {
    if (!isPack(key)) continue;
    await twin.put(key, await store.get(key));
    await twin.remove(key, versionId);
  }
  const { result, expected } = await same(t, all, twin, 'copied', {});
  t.equal(expected.size, 0);
  t.match(result, { verdict: 'fine' });
  t.ok(result.copied > 0);
});

void t.test('what no version needs is told, and is no damage', async (t) => {
  const { machine, repository } = await made;
  const store = machine.store.copy();
  await store.put(`packs/00/${'0'.repeat(64)}`, Buffer.alloc(1000));
  await store.put(`streams/${repository.streamId('source')}/parts/${'0'.repeat(64)}`, Buffer.alloc(10));
  await store.put('holiday.jpg', Buffer.alloc(10));
  t.match(await check(await stranger(machine, store), everything), {
    verdict: 'fine',
    unneeded: { packs: 1, packs_bytes: 1000, manifest: 1, foreign: ['holiday.jpg'], foreignCount: 1 },
  });
});
