import { getEventListeners } from 'node:events';
import t from 'tap';
import type { RrbackupError } from '../../lib/errors/index.js';
import { FaultStore } from '../../lib/store/faults.js';
import { LimitStore } from '../../lib/store/limit.js';
import { MemoryStore } from '../../lib/store/memory.js';

class Counting extends MemoryStore {
  running = 0;
  most = 0;

  override async put(key: string, bytes: Uint8Array): Promise<{ versionId: string }> {
    this.running++;
    this.most = Math.max(this.most, this.running);
    await new Promise((resolve) => setImmediate(resolve));
    this.running--;
    return super.put(key, bytes);
  }
}

t.test('never more at once than allowed, and all get their turn', async (t) => {
  const inner = new Counting();
  const store = new LimitStore(inner, 3);
  await Promise.all(Array.from({ length: 50 }, (_, index) => store.put(`key/${index}`, Buffer.from('x'))));
  t.equal(inner.most, 3);
  let count = 0;
  for await (const object of store.list('key/')) if (object.size_bytes === 1) count++;
  t.equal(count, 50);
});

t.test('calls from within a listing cannot lock it up', async (t) => {
  const store = new LimitStore(new MemoryStore(), 1);
  for (const key of ['a', 'b', 'c']) await store.put(key, Buffer.from(key));
  const seen: string[] = [];
  for await (const object of store.list('')) seen.push((await store.get(object.key)).toString());
  t.same(seen, ['a', 'b', 'c']);
});

t.test('a failure frees its place', async (t) => {
  const store = new LimitStore(new MemoryStore(), 1);
  for (let round = 0; round < 3; round++) await t.rejects(store.get('nowhere'), { code: 'store.missing' });
});

t.test('who waits can be aborted and leaves the line', async (t) => {
  const faulty = new FaultStore(new MemoryStore(), [{ operation: 'put', nth: 1, kind: 'hang' }]);
  const store = new LimitStore(faulty, 1);
  const first = store.put('first', Buffer.from('x')).catch((error: unknown) => (error as RrbackupError).code);
  const stop = new AbortController();
  const second = t.rejects(store.put('second', Buffer.from('x'), { signal: stop.signal }), {
    code: 'interrupted',
  });
  const third = store.put('third', Buffer.from('x'));
  stop.abort();
  await second;
  faulty.release();
  t.equal(await first, 'store.transient');
  await third;
  t.same(
    faulty.calls.map((call) => call.key),
    ['first', 'third'],
  );
});

t.test('many calls under one signal are no leak', async (t) => {
  const warnings: string[] = [];
  const note = (warning: Error): void => void warnings.push(warning.message);
  process.on('warning', note);
  const { signal } = new AbortController();
  const store = new LimitStore(new MemoryStore(), 2);
  await Promise.all(
    Array.from({ length: 100 }, (_, index) => store.put(`key/${index}`, Buffer.from('x'), { signal })),
  );
  await new Promise((resolve) => setImmediate(resolve));
  process.removeListener('warning', note);
  t.same(warnings, []);
  t.equal(getEventListeners(signal, 'abort').length, 0);
});
