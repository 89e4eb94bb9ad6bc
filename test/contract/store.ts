// One suite that every object store passes; a store that does not is none. Quotes the promises of lib/store/types.ts.

import type { Test } from 'tap';
import type { RrbackupError } from '../../lib/errors/index.js';
import type { ObjectStore } from '../../lib/store/types.js';
import { collect, keysOf, rejectsWith, text } from './asking.js';
import { versionsContract } from './versions.js';

export interface StoreUnderTest {
  /** An empty, prepared store of its own. */
  open(): Promise<ObjectStore>;
  /** Keeps versions: an overwritten object can still be read by its version id. */
  readonly isVersioned: boolean;
  /** `create` really creates only what is not there. */
  readonly createsConditionally: boolean;
  /** Puts a delete marker over the key, as somebody with another tool would. Versioned stores only. */
  hide?(store: ObjectStore, key: string): Promise<void>;
  /** Enough keys for several pages of a listing. */
  readonly manyKeys: number;
}

export function storeContract(t: Test, under: StoreUnderTest): void {
  t.test('bytes come back as they went in, twice as well', async (t) => {
    const store = await under.open();
    const bytes = Buffer.from(Array.from({ length: 70_000 }, (_, index) => (index * 7) % 256));
    const first = await store.put('packs/ab/one', bytes);
    const second = await store.put('packs/ab/one', bytes);
    for (const versionId of [first.versionId, second.versionId]) {
      t.ok((await store.get('packs/ab/one', { versionId })).equals(bytes));
    }
    const got = await store.get('packs/ab/one');
    got.fill(0);
    t.ok((await store.get('packs/ab/one')).equals(bytes), 'bytes returned belong to the caller');
    await store.close();
  });

  t.test('a view into a larger buffer is stored as the view', async (t) => {
    const store = await under.open();
    await store.put('view', text('..inside..').subarray(2, 8));
    t.equal((await store.get('view')).toString(), 'inside');
    await store.put('array', new Uint8Array([9, 1, 2, 9]).subarray(1, 3));
    t.same([...(await store.get('array'))], [1, 2]);
    await store.close();
  });

  t.test('empty objects are objects', async (t) => {
    const store = await under.open();
    const { versionId } = await store.put('empty', Buffer.alloc(0));
    t.equal((await store.get('empty', { versionId })).length, 0);
    t.equal((await store.stat('empty'))?.size_bytes, 0);
    t.same(await keysOf(store.list('')), ['empty']);
    t.equal((await store.get('empty', { range: { offset: 0, length: 0 } })).length, 0);
    await rejectsWith(
      t,
      'store.short_body',
      store.get('empty', { range: { offset: 0, length: 1 } }),
      'range of an empty object',
    );
    await store.close();
  });

  t.test('24 MiB objects', async (t) => {
    const store = await under.open();
    const bytes = Buffer.alloc(24 << 20);
    for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE((at * 2654435761) >>> 0, at);
    const { versionId } = await store.put('packs/00/large', bytes);
    t.ok((await store.get('packs/00/large', { versionId })).equals(bytes));
    const range = { offset: (16 << 20) - 3, length: 1_000_000 };
    const part = await store.get('packs/00/large', { versionId, range });
    t.ok(part.equals(bytes.subarray(range.offset, range.offset + range.length)));
    await store.close();
  });

  t.test('an object of more bytes than the caller has use for is not read', async (t) => {
    const store = await under.open();
    const { versionId } = await store.put('letters', text('abcdefghij'));
    for (const options of [{}, { versionId }]) {
      t.equal((await store.get('letters', { ...options, most_bytes: 10 })).length, 10);
      await rejectsWith(
        t,
        'store.too_large',
        store.get('letters', { ...options, most_bytes: 9 }),
        'one too many',
      );
    }
    await store.close();
  });

  t.test('ranges; one past the end is store.short_body', async (t) => {
    const store = await under.open();
    await store.put('letters', text('abcdefghij'));
    const get = async (offset: number, length: number): Promise<string> =>
      (await store.get('letters', { range: { offset, length } })).toString();
    t.equal(await get(0, 10), 'abcdefghij');
    t.equal(await get(0, 1), 'a');
    t.equal(await get(9, 1), 'j');
    t.equal(await get(3, 4), 'defg');
    t.equal(await get(3, 0), '');
    t.equal(await get(10, 0), '');
    await rejectsWith(t, 'store.short_body', get(9, 2), 'over the end');
    await rejectsWith(t, 'store.short_body', get(10, 1), 'from the end');
    await rejectsWith(t, 'store.short_body', get(500, 5), 'behind the end');
    await rejectsWith(t, 'store.short_body', get(11, 0), 'nothing from behind the end');
    await store.close();
  });

  t.test('what is missing is store.missing, and undefined to stat', async (t) => {
    const store = await under.open();
    await store.put('a/here', text('here'));
    for (const key of ['nowhere', 'a/nowhere', 'a', 'a/here/below']) {
      await rejectsWith(t, 'store.missing', store.get(key), `get ${key}`);
      await rejectsWith(
        t,
        'store.missing',
        store.get(key, { range: { offset: 0, length: 1 } }),
        `range of ${key}`,
      );
      await rejectsWith(
        t,
        'store.missing',
        store.get(key, { range: { offset: 0, length: 0 } }),
        `nothing of ${key}`,
      );
      t.equal(await store.stat(key), undefined, `stat ${key}`);
    }
    await store.close();
  });

  t.test('create: the first stands, the same bytes again are fine, others are store.exists', async (t) => {
    const store = await under.open();
    const { versionId } = await store.create('streams/x/commits/0000000001', text('mine'));
    t.equal((await store.get('streams/x/commits/0000000001', { versionId })).toString(), 'mine');
    if (!under.createsConditionally) return store.close();
    const again = await store.create('streams/x/commits/0000000001', text('mine'));
    t.equal(again.versionId, versionId, 'the lost answer is found again');
    await rejectsWith(
      t,
      'store.exists',
      store.create('streams/x/commits/0000000001', text('other')),
      'other bytes',
    );
    t.equal((await store.get('streams/x/commits/0000000001')).toString(), 'mine');
    return store.close();
  });

  t.test('create in a race has exactly one winner', async (t) => {
    const store = await under.open();
    const isReliable = await store.probeConditionalCreate();
    t.equal(isReliable, under.createsConditionally, 'the probe finds out');
    t.same(await keysOf(store.list('')), [], 'and leaves nothing behind');
    t.equal(store.conditionalCreate, true, 'nor changes what create relies on');
    if (!isReliable) return store.close();
    for (let round = 0; round < 10; round++) {
      const key = `race/${round}`;
      const results = await Promise.allSettled(
        Array.from({ length: 16 }, (_, writer) => store.create(key, text(`writer ${writer}`))),
      );
      const winners = results.flatMap((result, writer) => (result.status === 'fulfilled' ? [writer] : []));
      t.equal(winners.length, 1);
      t.equal((await store.get(key)).toString(), `writer ${winners[0]}`);
      for (const result of results) {
        if (result.status === 'rejected') t.equal((result.reason as RrbackupError).code, 'store.exists');
      }
    }
    return store.close();
  });

  t.test('create on a store that is not believed to be conditional is a plain put', async (t) => {
    const store = await under.open();
    store.conditionalCreate = false;
    await store.create('key', text('first'));
    await store.create('key', text('second'));
    t.equal((await store.get('key')).toString(), 'second');
    await store.close();
  });

  t.test('stat tells size, version and a plausible time', async (t) => {
    const store = await under.open();
    const { versionId } = await store.put('key', text('12345'));
    const stat = await store.stat('key');
    t.match(stat, { key: 'key', versionId, size_bytes: 5 });
    const listed = await collect(store.list('key'));
    t.match(listed, [{ key: 'key', versionId, size_bytes: 5 }]);
    t.ok(Math.abs(stat!.modified_ms - listed[0]!.modified_ms) <= 1000, 'the same time, to the second');
    t.match(await store.stat('key', { versionId }), { versionId, size_bytes: 5 });
    await store.close();
  });

  t.test('lists in key order, by prefix, after a key', async (t) => {
    const store = await under.open();
    const keys = ['a', 'a-b', 'a.b', 'a/b', 'a/b-c/d', 'a/b.c', 'a/c/d/e', 'a0', 'b/a', 'b/c', 'bb', 'c d'];
    keys[3] = 'a/bb';
    keys[0] = 'A';
    const ordered = [...keys].sort();
    for (const key of [...keys].reverse()) await store.put(key, text(key));
    t.same(await keysOf(store.list('')), ordered);
    for (const prefix of ['a', 'a/', 'a/b', 'a/b-c/', 'b', 'b/', 'c', 'zz', 'a/c/d']) {
      const expected = ordered.filter((key) => key.startsWith(prefix));
      t.same(await keysOf(store.list(prefix)), expected, `prefix ${prefix}`);
      for (const after of ['', 'a-b', 'a/b-c/d', 'a/b-c', 'a/zzz', 'b/a', 'b', 'z']) {
        const behind = expected.filter((key) => key > after);
        t.same(await keysOf(store.list(prefix, { after })), behind, `prefix ${prefix} after ${after}`);
      }
    }
    await store.close();
  });

  t.test('the next components below a prefix', async (t) => {
    const store = await under.open();
    for (const key of [
      'streams/b/commits/1',
      'streams/b/x',
      'streams/a/commits/1',
      'streams/a-b/c',
      'streams/leaf',
      'z/y',
    ]) {
      await store.put(key, text(key));
    }
    t.same(await store.listPrefixes('streams/'), ['a', 'a-b', 'b']);
    t.same(await store.listPrefixes('streams/a/'), ['commits']);
    t.same(await store.listPrefixes('streams/a/commits/'), []);
    t.same(await store.listPrefixes('nothing/'), []);
    t.same(await store.listPrefixes(''), ['streams', 'z']);
    const gone = await store.stat('z/y');
    await store.remove('z/y', gone!.versionId);
    t.same(await store.listPrefixes(''), ['streams'], 'what is empty is not there');
    await store.close();
  });

  t.test('many keys', async (t) => {
    const store = await under.open();
    const keys = Array.from(
      { length: under.manyKeys },
      (_, index) => `many/${index.toString().padStart(6, '0')}`,
    );
    for (let at = 0; at < keys.length; at += 16) {
      await Promise.all(keys.slice(at, at + 16).map((key) => store.put(key, text(key))));
    }
    t.same(await keysOf(store.list('many/')), keys);
    const middle = keys[Math.floor(keys.length / 2)]!;
    t.same(
      await keysOf(store.list('many/', { after: middle })),
      keys.filter((key) => key > middle),
    );
    const some: string[] = [];
    for await (const object of store.list('')) {
      some.push(object.key);
      if (some.length === 3) break;
    }
    t.same(some, keys.slice(0, 3), 'a listing can be left');
    await store.close();
  });

  t.test('odd keys, and keys that are none', async (t) => {
    const store = await under.open();
    const odd = [
      'with space',
      ' leading',
      'trailing ',
      'a+b',
      'a%20b',
      'a&b=c?d#e',
      '"<q>\'`',
      '~*()!@$,;:[]{}|\\^',
      '0001',
      '...',
      '-',
    ];
    for (const key of odd) await store.put(`odd/${key}/x`, text(key));
    for (const key of odd) t.equal((await store.get(`odd/${key}/x`)).toString(), key);
    t.same(await keysOf(store.list('odd/')), odd.map((key) => `odd/${key}/x`).sort());
    t.same(await store.listPrefixes('odd/'), [...odd].sort());
    for (const key of odd) t.same(await keysOf(store.list(`odd/${key}/`)), [`odd/${key}/x`]);
    const stat = await store.stat('odd/a%20b/x');
    await store.remove('odd/a%20b/x', stat!.versionId);
    t.equal(await store.stat('odd/a%20b/x'), undefined);
    for (const key of [
      '',
      '/',
      '/a',
      'a/',
      'a//b',
      '.',
      '..',
      'a/../b',
      '../a',
      'a/./b',
      'a\0b',
      'a\nb',
      'ä',
      'x'.repeat(300),
    ]) {
      await rejectsWith(t, 'store.failed', store.put(key, text('x')), `put ${JSON.stringify(key)}`);
      await rejectsWith(t, 'store.failed', store.create(key, text('x')), `create ${JSON.stringify(key)}`);
      await rejectsWith(t, 'store.failed', store.get(key), `get ${JSON.stringify(key)}`);
      await rejectsWith(t, 'store.failed', store.remove(key, 'x'), `remove ${JSON.stringify(key)}`);
    }
    await store.close();
  });

  t.test('remove deletes one version; what is gone is fine', async (t) => {
    const store = await under.open();
    const { versionId } = await store.put('a/b', text('x'));
    await store.remove('a/b', versionId);
    await store.remove('a/b', versionId);
    t.equal(await store.stat('a/b'), undefined);
    t.same(await keysOf(store.list('')), []);
    await store.remove('never/there', versionId === '' ? '' : versionId);
    await store.put('a/b', text('again'));
    t.equal((await store.get('a/b')).toString(), 'again');
    await store.close();
  });

  t.test('an aborted signal rejects with interrupted', async (t) => {
    const store = await under.open();
    await store.put('key', text('x'));
    const signal = AbortSignal.abort();
    const calls: [string, () => Promise<unknown>][] = [
      ['put', () => store.put('new', text('x'), { signal })],
      ['create', () => store.create('new', text('x'), { signal })],
      ['get', () => store.get('key', { signal })],
      ['stat', () => store.stat('key', { signal })],
      ['list', () => collect(store.list('', { signal }))],
      ['listPrefixes', () => store.listPrefixes('', { signal })],
      ['remove', () => store.remove('key', 'x', { signal })],
      ['prepare', () => store.prepare({ signal, note: () => undefined })],
    ];
    for (const [name, call] of calls) await rejectsWith(t, 'interrupted', call(), name);
    t.same(await keysOf(store.list('')), ['key'], 'and without effect');

    const stop = new AbortController();
    const large = store.put('large', Buffer.alloc(24 << 20, 1), { signal: stop.signal });
    setImmediate(() => stop.abort());
    const outcome = await large.then(
      () => 'stored',
      (error: unknown) => (error as RrbackupError).code,
    );
    t.ok(outcome === 'interrupted' || outcome === 'stored', `aborted on the way: ${outcome}`);
    const there = await store.stat('large');
    if (there !== undefined) t.equal(there.size_bytes, 24 << 20, 'whole or not at all');
    await store.close();
  });

  t.test('prepare again changes nothing and says nothing', async (t) => {
    const store = await under.open();
    await store.put('key', text('x'));
    await store.prepare({ note: (message) => t.fail(message) });
    t.same(await keysOf(store.list('')), ['key']);
    await store.close();
  });

  versionsContract(t, under);
}
