// The part of the contract that is about versions of one object.

import type { Test } from 'tap';
import { collect, rejectsWith, text } from './asking.js';
import type { StoreUnderTest } from './store.js';

export function versionsContract(t: Test, under: StoreUnderTest): void {
  t.test('a version reads as before, whatever was written or delete-marked over it', async (t) => {
    const { hide } = under;
    if (!under.isVersioned || hide === undefined) return t.comment('this store keeps no versions');
    const store = await under.open();
    const first = await store.put('a/key', text('first'));
    const second = await store.put('a/key', text('second!'));
    t.not(first.versionId, second.versionId);
    await hide(store, 'a/key');
    t.equal((await store.get('a/key', { versionId: first.versionId })).toString(), 'first');
    t.equal((await store.get('a/key', { ...second, range: { offset: 1, length: 3 } })).toString(), 'eco');
    t.match(await store.stat('a/key', { versionId: first.versionId }), { ...first, size_bytes: 5 });
    await rejectsWith(t, 'store.missing', store.get('a/key'), 'without a version it is hidden');
    t.equal(await store.stat('a/key'), undefined);

    const listed = await collect(store.list(''));
    t.same(listed.map((object) => object.versionId).sort(), [first.versionId, second.versionId].sort());
    t.same(
      listed.map((object) => object.size_bytes).sort(),
      [5, 7],
      'hidden objects are listed, markers are not',
    );
    t.same(await store.listPrefixes(''), ['a'], 'and count among the prefixes');

    const third = await store.create('a/key', text('third'));
    t.equal((await store.get('a/key')).toString(), 'third', 'a hidden key is free to be created');
    await store.remove('a/key', second.versionId);
    await rejectsWith(t, 'store.missing', store.get('a/key', second), 'exactly that version is gone');
    await rejectsWith(
      t,
      'store.missing',
      store.get('a/key', { versionId: 'never-given-out' }),
      'a made-up version',
    );
    t.equal(await store.stat('a/key', second), undefined);
    t.equal((await store.get('a/key', first)).toString(), 'first');
    t.equal((await store.get('a/key', third)).toString(), 'third');
    return store.close();
  });
}
