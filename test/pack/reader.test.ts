import t from 'tap';
import { RrbackupError } from '../../lib/errors/index.js';
import { packKey } from '../../lib/pack/names.js';
import { PackReader } from '../../lib/pack/reader.js';
import type { ChunkPlace } from '../../lib/pack/types.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { buildPack, CountingStore, noise, packContext, placesOf, storedPack } from './fixture.js';

const context = await packContext();

const stored = (plains: readonly Buffer[]) => storedPack(context, plains);

t.test('neighbours come in one request, of exactly the version that the place names', async (t) => {
  const plains = [noise(1000, 1), noise(1000, 2), noise(1000, 3)];
  const { store, places, versionId } = await stored(plains);
  const blocks = await new PackReader({ ...context, store }).readBlocks(places);
  t.same([...blocks.keys()].sort(), [0, 1, 2]);
  for (const [index, plain] of plains.entries()) t.same(blocks.get(index), plain);
  t.equal(store.asked.length, 1);
  t.equal(store.asked[0]!.versionId, versionId);
});

t.test('a small gap is read over, a large one is not', async (t) => {
  const { store, places } = await stored([
    noise(1000, 1),
    noise(10_000, 2),
    noise(1000, 3),
    noise(200_000, 4),
    noise(9, 5),
  ]);
  const wanted = [places[4]!, places[0]!, places[2]!];
  const blocks = await new PackReader({ ...context, store }).readBlocks(wanted);
  t.same([...blocks.keys()].sort(), [0, 2, 4]);
  t.equal(store.asked.length, 2);
});

t.test('no request is larger than 8 MiB', async (t) => {
  const { store, places } = await stored([1, 2, 3, 4].map((seed) => noise(3_000_000, seed)));
  const blocks = await new PackReader({ ...context, store }).readBlocks(places);
  t.equal(blocks.size, 4);
  t.equal(store.asked.length, 2);
  for (const { range } of store.asked) t.ok(range!.length <= 8 * 1024 * 1024);
});

t.test('chunks of one block need it once', async (t) => {
  const store = new CountingStore();
  const plains = [Buffer.from('one'), Buffer.from('two'), Buffer.from('three')];
  const { bytes, info } = buildPack(context, [plains]);
  const { versionId } = await store.put(packKey(info.name), bytes);
  const places = placesOf({ ...info, versionId });
  const reader = new PackReader({ ...context, store });
  const block = (await reader.readBlocks(places)).get(0)!;
  t.same(
    places.map((place, index) =>
      reader.chunkFrom(block, place, info.blocks[0]!.chunks[index]!.id).toString(),
    ),
    ['one', 'two', 'three'],
  );
  t.equal(store.asked.length, 1);
});

t.test('nothing asked, nothing read; two packs at once are a mistake', async (t) => {
  const { store, places } = await stored([noise(10)]);
  const reader = new PackReader({ ...context, store });
  t.equal((await reader.readBlocks([])).size, 0);
  const other: ChunkPlace = { ...places[0]!, pack: 'ab'.repeat(32) };
  await t.rejects(reader.readBlocks([places[0]!, other]), RangeError);
});

t.test('overwritten and delete-marked by an attacker: the version named is read', async (t) => {
  const { store, places, info } = await stored([noise(1000)]);
  await store.put(packKey(info.name), noise(5000, 9));
  store.hide(packKey(info.name));
  const blocks = await new PackReader({ ...context, store }).readBlocks(places);
  t.same(blocks.get(0), noise(1000));
});

t.test('in a store that was copied, version ids are others and the names still lead there', async (t) => {
  const { bytes, places, info } = await stored([noise(1000)]);
  const copy = new MemoryStore();
  await copy.put('x', Buffer.alloc(1));
  await copy.put(packKey(info.name), bytes);
  const reader = new PackReader({ ...context, store: copy });
  t.same((await reader.readBlocks(places)).get(0), noise(1000));
});

t.test('a version that is gone, with something shorter in its place, is missing', async (t) => {
  const { store, places, info, versionId } = await stored([noise(1000)]);
  await store.put(packKey(info.name), Buffer.alloc(10));
  await store.remove(packKey(info.name), versionId);
  await t.rejects(new PackReader({ ...context, store }).readBlocks(places), { code: 'store.missing' });
});

t.test('a pack cut short is damaged; a body cut short is worth a retry', async (t) => {
  const { store, places, bytes, info } = await stored([noise(1000)]);
  store.tamper(packKey(info.name), bytes.subarray(0, 500));
  const reader = new PackReader({ ...context, store });
  await t.rejects(reader.readBlocks(places), { code: 'pack.damaged', message: new RegExp(info.name) });
  store.tamper(packKey(info.name), bytes);
  store.get = () =>
    Promise.reject(new RrbackupError({ code: 'store.short_body', kind: 'store', message: 'short' }));
  await t.rejects(reader.readBlocks(places), { code: 'store.short_body' });
});

t.test('an abort is an abort', async (t) => {
  const { store, places } = await stored([noise(10)]);
  const signal = AbortSignal.abort();
  await t.rejects(new PackReader({ ...context, store }).readBlocks(places, signal), { code: 'interrupted' });
});
