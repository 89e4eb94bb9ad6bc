import t from 'tap';
import type { RrbackupError } from '../../lib/errors/index.js';
import { FaultStore } from '../../lib/store/faults.js';
import { MemoryStore } from '../../lib/store/memory.js';

const x = Buffer.from('x');

async function codeOf(action: Promise<unknown>): Promise<string> {
  return action.then(
    () => 'fine',
    (error: unknown) => (error as RrbackupError).code,
  );
}

t.test('the n-th call of an operation fails, before or after its effect', async (t) => {
  const store = new FaultStore(new MemoryStore(), [
    { operation: 'put', nth: 2, kind: 'before' },
    { operation: 'put', key: /^packs\//, nth: 1, kind: 'after' },
  ]);
  t.equal(await codeOf(store.put('one', x)), 'fine');
  t.equal(await codeOf(store.put('two', x)), 'store.transient');
  t.equal(await store.stat('two'), undefined);
  t.equal(await codeOf(store.put('packs/three', x)), 'store.transient');
  t.ok(await store.stat('packs/three'));
  t.same(
    store.calls.map((call) => `${call.operation} ${call.key}`),
    ['put one', 'put two', 'stat two', 'put packs/three', 'stat packs/three'],
  );
});

t.test('a store that is gone stays gone, with the error that was named', async (t) => {
  const error = new Error('killed');
  const store = new FaultStore(new MemoryStore(), [{ nth: 2, times: Infinity, kind: 'before', error }]);
  await store.put('one', x);
  await t.rejects(store.get('one'), error);
  await t.rejects(store.listPrefixes(''), error);
  await t.rejects(store.list('')[Symbol.asyncIterator]().next(), error);
  store.release();
  t.equal((await store.get('one')).toString(), 'x');
});

t.test('a call that hangs ends with its signal', async (t) => {
  const store = new FaultStore(new MemoryStore(), [{ nth: 1, times: 2, kind: 'hang' }]);
  const stop = new AbortController();
  const got = codeOf(store.get('one', { signal: stop.signal }));
  const listed = codeOf(store.list('', { signal: stop.signal })[Symbol.asyncIterator]().next());
  stop.abort();
  t.equal(await got, 'interrupted');
  t.equal(await listed, 'interrupted');
});

t.test('a listing breaks off in the middle', async (t) => {
  const memory = new MemoryStore();
  await memory.put('a', x);
  await memory.put('b', x);
  const store = new FaultStore(memory, [{ operation: 'list', nth: 1, kind: 'after' }]);
  const seen: string[] = [];
  const all = async (): Promise<void> => {
    for await (const object of store.list('')) seen.push(object.key);
  };
  t.equal(await codeOf(all()), 'store.transient');
  t.same(seen, ['a']);
});
