import t from 'tap';

import { tryPassword } from '../../lib/keys/try-password.js';
import { isStored, Unlocker } from '../../lib/keys/unlock.js';
import type { StoredSlot } from '../../lib/keys/unlock.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { altered, otherId, repositoryId, secret, slotFor } from './helpers.js';

const stored = ({ id, bytes }: { id: string; bytes: Buffer }): StoredSlot => ({
  key: `keys/${id}`,
  versionId: '',
  bytes,
});
const alpha = slotFor('alpha');
const beta = slotFor('beta');
const unlocker = new Unlocker();
t.teardown(() => unlocker.close());
const open = (slots: StoredSlot[], password: string, unread = 0) =>
  unlocker.unlock({ slots, unread, password, repositoryId });

t.test('any of several passwords opens, and says which slot it was', async (t) => {
  const slots = [stored(alpha), stored(beta)];
  t.same(await open(slots, 'alpha'), { secret, slot: stored(alpha) });
  t.same(await open(slots, 'beta'), { secret, slot: stored(beta) });
});

t.test('a wrong password is told as that, with how many slots there were', async (t) => {
  await t.rejects(open([stored(alpha), stored(beta), stored(beta)], 'gamma'), {
    code: 'keys.wrong_password',
    kind: 'wrong_password',
    message: /none of the 2 key slots of this repository$/,
  });
});

t.test(
  'slots that are damaged, foreign or in the wrong place do not keep the right one from opening',
  async (t) => {
    const bad = [
      { ...stored(alpha), key: 'keys/0000000000000000', bytes: Buffer.from('garbage') },
      { ...stored(alpha), key: 'keys/0000000000000001' },
      stored(slotFor('alpha', otherId)),
      { ...stored(alpha), bytes: altered(alpha.bytes, { version: 9 }) },
    ];
    t.same(await open([...bad, stored(alpha)], 'alpha'), { secret, slot: stored(alpha) });
    await t.rejects(open([...bad, stored(beta)], 'alpha'), {
      code: 'keys.wrong_password',
      message: /none of the 1 key slots .* \(4 more are not readable\)$/,
    });
    await t.rejects(open([bad[3]!], 'alpha'), { code: 'format.newer', kind: 'newer_format' });
    await t.rejects(open([bad[2]!], 'alpha'), { code: 'keys.other_repository', kind: 'tampered' });
  },
);

t.test('no slots at all', async (t) => {
  await t.rejects(open([], 'alpha'), { code: 'keys.none', kind: 'damaged' });
});

t.test('a slot planted to cost time is tried last', async (t) => {
  const kdf = { ...JSON.parse(alpha.bytes.toString()).kdf, ops: 8, memory_bytes: 128 * 1024 * 1024 };
  const planted = { ...stored(beta), bytes: altered(beta.bytes, { kdf }) };
  const before_bytes = process.memoryUsage().rss;
  t.same(await open([planted, stored(alpha)], 'alpha'), { secret, slot: stored(alpha) });
  t.ok(process.memoryUsage().rss - before_bytes < 112 * 1024 * 1024);
});

t.test('more slots than can be tried are named, not taken for a wrong password', async (t) => {
  t.same(await open([stored(alpha)], 'alpha', 44), { secret, slot: stored(alpha) }, 'the right one opens');
  await t.rejects(open([stored(alpha)], 'beta', 44), {
    code: 'keys.flood',
    kind: 'tampered',
    message: /^45 objects lie under keys\/, .* none of the 1 key slots that were tried$/,
    guidance: /recover --key-file/,
  });
});

t.test('all tries together have a bound, however dear the planted slots are', async (t) => {
  const kdf = { ...JSON.parse(beta.bytes.toString()).kdf, ops: 8, memory_bytes: 128 * 1024 * 1024 };
  const planted = { ...stored(beta), bytes: altered(beta.bytes, { kdf }) };
  const options = { slots: Array<StoredSlot>(200).fill(planted), unread: 0, password: 'gamma', repositoryId };
  let tries = 0;
  t.throws(
    () =>
      tryPassword(options, () => {
        tries++;
        return undefined;
      }),
    { code: 'keys.flood', message: /none of the 32 key slots that were tried$/ },
  );
  t.equal(tries, 32);
});

t.test('a slot is there as long as this very version of it is', async (t) => {
  const store = new MemoryStore();
  const { key, bytes } = stored(alpha);
  const slot = { key, bytes, ...(await store.put(key, bytes)) };
  await store.put(key, Buffer.from('overwritten'));
  store.hide(key);
  t.equal(await isStored(store, slot), true);
  await store.remove(key, slot.versionId);
  t.equal(await isStored(store, slot), false);
});
