import t from 'tap';
import { AheadStore } from '../../lib/store/ahead.js';
import { FaultStore } from '../../lib/store/faults.js';
import { MemoryStore } from '../../lib/store/memory.js';
import type { ObjectStore, StoredObject } from '../../lib/store/types.js';
import { storeContract } from '../contract/store.js';

t.test('passes the contract', async (t) => {
  const inners = new Map<ObjectStore, MemoryStore>();
  storeContract(t, {
    open: () => {
      const inner = new MemoryStore();
      const store = new AheadStore(inner);
      inners.set(store, inner);
      return Promise.resolve(store);
    },
    isVersioned: true,
    createsConditionally: true,
    hide: (store, key) => Promise.resolve(inners.get(store)!.hide(key)),
    manyKeys: 100,
  });
});

async function ahead() {
  const inner = new FaultStore(new MemoryStore());
  for (const key of ['key/1', 'key/2', 'key/3']) await inner.put(key, Buffer.from(key));
  inner.calls.length = 0;
  return { inner, store: new AheadStore(inner) };
}

async function keysOf(objects: AsyncIterable<StoredObject>): Promise<string[]> {
  const keys = [];
  for await (const { key } of objects) keys.push(key);
  return keys;
}

t.test('a listing that was begun is given out once, whole, to who asks for the same', async (t) => {
  const { inner, store } = await ahead();
  store.beginList('key/', { after: 'key/1' });
  t.equal(inner.calls.length, 1, 'asked at once');
  t.same(await keysOf(store.list('key/')), ['key/1', 'key/2', 'key/3']);
  t.same(await keysOf(store.list('key/', { after: 'key/1' })), ['key/2', 'key/3']);
  t.equal(inner.calls.length, 2);
  await inner.put('key/4', Buffer.from('new'));
  t.same(await keysOf(store.list('key/', { after: 'key/1' })), ['key/2', 'key/3', 'key/4'], 'asked anew');
});

t.test('prefixes that were asked for ahead are given out once', async (t) => {
  const { inner, store } = await ahead();
  store.beginPrefixes('key/');
  t.equal(inner.calls.length, 1, 'asked at once');
  await inner.put('key/sub/4', Buffer.from('new'));
  t.same(await store.listPrefixes('key/'), [], 'as it was then');
  t.same(await store.listPrefixes('key/'), ['sub'], 'asked anew');
  t.equal(inner.calls.filter(({ operation }) => operation === 'listPrefixes').length, 2);
});

t.test('what nobody has asked for is forgotten', async (t) => {
  const { inner, store } = await ahead();
  store.beginList('key/');
  store.beginPrefixes('key/');
  store.forget();
  await inner.put('key/0/new', Buffer.from('new'));
  t.same(await keysOf(store.list('key/')), ['key/0/new', 'key/1', 'key/2', 'key/3']);
  t.same(await store.listPrefixes('key/'), ['0']);
});

t.test('an error is for who takes the listing, and for nobody else', async (t) => {
  const { inner, store } = await ahead();
  inner.add({ operation: 'list', nth: 1, times: 2, kind: 'before' });
  store.beginList('key/');
  store.beginList('nobody/');
  inner.add({ operation: 'listPrefixes', nth: 1, times: 1, kind: 'before' });
  store.beginPrefixes('nobody/');
  await new Promise((resolve) => setImmediate(resolve));
  await t.rejects(keysOf(store.list('key/')), { code: 'store.transient' });
  t.same(await keysOf(store.list('key/')), ['key/1', 'key/2', 'key/3']);
  await store.close();
});
