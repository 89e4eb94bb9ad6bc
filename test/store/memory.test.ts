import t from 'tap';
import { MemoryStore } from '../../lib/store/memory.js';

t.test('a copy goes its own way from the same versions', async (t) => {
  const store = new MemoryStore();
  const first = await store.put('key', Buffer.from('first'));
  const rolledBack = store.copy();
  const second = await store.put('key', Buffer.from('second'));
  const forked = await rolledBack.put('key', Buffer.from('forked'));
  t.equal((await rolledBack.get('key', first)).toString(), 'first');
  t.equal(second.versionId, forked.versionId, 'a fork gives out the same ids');
  t.equal((await store.get('key', second)).toString(), 'second');
  t.equal((await rolledBack.get('key', forked)).toString(), 'forked');
});

t.test('tampering stays under the same version id', async (t) => {
  const store = new MemoryStore();
  const first = await store.put('key', Buffer.from('first'));
  await store.put('key', Buffer.from('second'));
  store.tamper('key', Buffer.from('evil'), first.versionId);
  t.equal((await store.get('key', first)).toString(), 'evil');
  t.equal((await store.get('key')).toString(), 'second');
  store.tamper('key', Buffer.from('worse'));
  t.equal((await store.get('key')).toString(), 'worse');
  t.throws(() => store.tamper('nowhere', Buffer.from('x')), { code: 'store.missing' });
});

t.test('times come from the clock that was given', async (t) => {
  const store = new MemoryStore({ clock: { now_ns: () => 5_000_000n, monotonic_ms: () => 0 } });
  await store.put('key', Buffer.from('x'));
  t.equal((await store.stat('key'))?.modified_ms, 5);
});
