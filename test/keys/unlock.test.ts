import t from 'tap';

import { unlock } from '../../lib/keys/unlock.js';
import type { StoredSlot } from '../../lib/keys/unlock.js';
import { altered, otherId, repositoryId, secret, slotFor } from './helpers.js';

const stored = ({ id, bytes }: { id: string; bytes: Buffer }): StoredSlot => ({ key: `keys/${id}`, bytes });
const alpha = slotFor('alpha');
const beta = slotFor('beta');
const open = (slots: StoredSlot[], password: string) => unlock({ slots, password, repositoryId });

t.test('any of several passwords opens, and says which slot it was', async (t) => {
  const slots = [stored(alpha), stored(beta)];
  t.same(await open(slots, 'alpha'), { secret, slot: alpha.id });
  t.same(await open(slots, 'beta'), { secret, slot: beta.id });
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
      { key: 'keys/0000000000000000', bytes: Buffer.from('garbage') },
      { key: 'keys/0000000000000001', bytes: alpha.bytes },
      stored(slotFor('alpha', otherId)),
      { key: `keys/${alpha.id}`, bytes: altered(alpha.bytes, { version: 9 }) },
    ];
    t.same(await open([...bad, stored(alpha)], 'alpha'), { secret, slot: alpha.id });
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
  const kdf = { ...JSON.parse(alpha.bytes.toString()).kdf, ops: 16, memory_bytes: 1024 * 1024 * 1024 };
  const planted = { key: `keys/${beta.id}`, bytes: altered(beta.bytes, { kdf }) };
  const before_bytes = process.memoryUsage().rss;
  t.same(await open([planted, stored(alpha)], 'alpha'), { secret, slot: alpha.id });
  t.ok(process.memoryUsage().rss - before_bytes < 256 * 1024 * 1024);
});
