import t from 'tap';
import { FaultStore } from '../../lib/store/faults.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { RecentStore } from '../../lib/store/recent.js';
import type { ObjectStore } from '../../lib/store/types.js';
import { storeContract } from '../contract/store.js';

t.test('passes the contract', async (t) => {
  const inners = new Map<ObjectStore, MemoryStore>();
  storeContract(t, {
    open: () => {
      const inner = new MemoryStore();
      const store = new RecentStore(inner);
      inners.set(store, inner);
      return Promise.resolve(store);
    },
    isVersioned: true,
    createsConditionally: true,
    hide: (store, key) => Promise.resolve(inners.get(store)!.hide(key)),
    manyKeys: 100,
  });
});

function recent(maximum_bytes = 100) {
  const inner = new FaultStore(new MemoryStore());
  return { inner, store: new RecentStore(inner, { maximum_bytes, maximumObject_bytes: 50 }) };
}

t.test('exactly the version that was stored is read back without asking', async (t) => {
  const { inner, store } = recent();
  const bytes = Buffer.from('the first bytes');
  const { versionId } = await store.put('key', bytes);
  bytes.fill(0);
  await inner.put('key', Buffer.from("somebody else's"));
  inner.calls.length = 0;
  const got = await store.get('key', { versionId });
  t.equal(got.toString(), 'the first bytes');
  got.fill(0);
  t.equal((await store.get('key', { versionId, range: { offset: 4, length: 5 } })).toString(), 'first');
  await t.rejects(store.get('key', { versionId, range: { offset: 4, length: 50 } }), {
    code: 'store.short_body',
  });
  t.same(inner.calls, []);
  t.equal((await store.get('key')).toString(), "somebody else's", 'the newest is for the store to say');
});

t.test('the memory for it is bounded, and what was removed is gone', async (t) => {
  const { inner, store } = recent();
  const versions = [];
  for (let index = 0; index < 5; index++)
    versions.push((await store.create(`key/${index}`, Buffer.alloc(30, index))).versionId);
  const large = await store.put('large', Buffer.alloc(51));
  inner.calls.length = 0;
  for (const [index, versionId] of versions.entries()) await store.get(`key/${index}`, { versionId });
  await store.get('large', { versionId: large.versionId });
  t.same(
    inner.calls.map(({ key }) => key),
    ['key/0', 'key/1', 'large'],
  );
  await store.remove('key/4', versions[4]!);
  await t.rejects(store.get('key/4', { versionId: versions[4]! }), { code: 'store.missing' });
});

t.test('what was not acknowledged is not there', async (t) => {
  const { inner, store } = recent();
  inner.add({ operation: 'put', nth: 1, kind: 'before' });
  await t.rejects(store.put('key', Buffer.from('x')));
  await t.rejects(store.get('key', { versionId: '1' }), { code: 'store.missing' });
});
