import t from 'tap';

import { systemClock } from '../../lib/clock.js';
import { addPassword, listPasswords, readSlots, removePassword } from '../../lib/keys/manage.js';
import { Unlocker } from '../../lib/keys/unlock.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { cheap, created, repositoryId, secret } from './helpers.js';

const add = (store: MemoryStore, password: string, day = 1) =>
  addPassword(store, {
    secret,
    password,
    repositoryId,
    name: `${password}@host`,
    created: created.replace('21T', `0${day}T`),
    kdf: cheap,
  });
const unlocker = new Unlocker();
t.teardown(() => unlocker.close());
const open = async (store: MemoryStore, password: string) => {
  const opened = await unlocker.unlock({ ...(await readSlots(store)), password, repositoryId });
  return { secret: opened.secret, slot: opened.slot.key.slice('keys/'.length) };
};

t.test('add, list and remove', async (t) => {
  const store = new MemoryStore();
  const second = await add(store, 'second', 2);
  const first = await add(store, 'first', 1);
  t.match(await listPasswords(store, repositoryId), {
    passwords: [
      { slot: first.slot, name: 'first@host', created: '2026-11-01T03:00:00Z' },
      { slot: second.slot, name: 'second@host' },
    ],
    unreadable: [],
  });
  t.same(await open(store, 'first'), { secret, slot: first.slot });
  t.same(await open(store, 'second'), { secret, slot: second.slot });

  await removePassword(store, { slot: first.slot, repositoryId });
  await t.rejects(open(store, 'first'), { code: 'keys.wrong_password', kind: 'wrong_password' });
  t.same(await open(store, 'second'), { secret, slot: second.slot });
  t.equal((await listPasswords(store, repositoryId)).passwords.length, 1);
});

t.test('the last password stays, whatever else lies under keys/', async (t) => {
  const store = new MemoryStore();
  const { slot } = await add(store, 'only');
  await store.put('keys/0000000000000000', Buffer.from('not a slot'));
  await t.rejects(removePassword(store, { slot, repositoryId }), {
    code: 'keys.last_password',
    kind: 'usage',
  });
  t.same(await open(store, 'only'), { secret, slot });
  t.same((await listPasswords(store, repositoryId)).unreadable, ['keys/0000000000000000']);
  await removePassword(store, { slot: '0000000000000000', repositoryId });
  t.same((await listPasswords(store, repositoryId)).unreadable, []);
});

t.test('a password that is not there', async (t) => {
  const store = new MemoryStore();
  await add(store, 'only');
  for (const slot of ['0000000000000000', '', '../x'])
    await t.rejects(removePassword(store, { slot, repositoryId }), {
      code: 'keys.no_such_password',
      kind: 'not_found',
    });
});

t.test('a slot that was overwritten still opens, and removing takes all its versions', async (t) => {
  const store = new MemoryStore();
  const victim = await add(store, 'victim');
  await store.put(`keys/${victim.slot}`, Buffer.from('overwritten'));
  await store.put(`keys/${victim.slot}`, Buffer.alloc(100_000));
  t.same(await open(store, 'victim'), { secret, slot: victim.slot });
  t.same((await listPasswords(store, repositoryId)).unreadable, []);

  await add(store, 'other');
  await removePassword(store, { slot: victim.slot, repositoryId });
  await t.rejects(open(store, 'victim'), { code: 'keys.wrong_password', kind: 'wrong_password' });
  for await (const object of store.list(`keys/${victim.slot}`)) t.fail(`${object.key} is still there`);
});

t.test('of more slots than can be tried the oldest count, and those that were added last', async (t) => {
  let now_ns = systemClock.now_ns();
  const store = new MemoryStore({ clock: { ...systemClock, now_ns: () => (now_ns += 1_000_000n) } });
  const first = await add(store, 'first');
  for (let index = 0; index < 300; index++)
    await store.put(`keys/${String(index).padStart(16, '0')}`, Buffer.from('planted'));
  t.same(await open(store, 'first'), { secret, slot: first.slot });
  await t.rejects(open(store, 'wrong'), { code: 'keys.flood', kind: 'tampered' });
  const last = await add(store, 'last');
  t.same(await open(store, 'last'), { secret, slot: last.slot });
  t.match(await listPasswords(store, repositoryId), {
    passwords: [{ slot: first.slot }, { slot: last.slot }],
    unread: 46,
  });
});
