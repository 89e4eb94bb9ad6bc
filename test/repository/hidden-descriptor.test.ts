// rrbackup.json is deleted, or written over, by somebody who cannot delete versions: the repository opens as before, with a word
// about it, on a machine that knows it and on one that does not.

import t, { type Test } from 'tap';
import { deriveKeys, randomBytes } from '../../lib/crypto/index.js';
import { backup } from '../../lib/index.js';
import { descriptorKey, encodeDescriptor } from '../../lib/keys/index.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import { Machine } from './fixture.js';

const secret = { encryption: 'password', password: () => Promise.resolve('one') } as const;

/** With one version; `encryption`: with the password 'one', or none. */
async function made(t: Test, encryption: 'password' | 'none') {
  const machine = new Machine(t);
  machine.write('a', 'a');
  const configuration = encryption === 'password' ? secret : {};
  const repository = await machine.open({}, { configuration });
  await backup(repository, machine.source);
  await repository.close();
  return { machine, configuration, id: repository.id };
}

const descriptorOf = (repository: string, encryption: 'password' | 'none'): Buffer =>
  encodeDescriptor(
    { repository, encryption, conditionalCreate: true, created: '2026-11-22T03:00:00Z' },
    deriveKeys(randomBytes(32)),
  );

type Harm = (store: MemoryStore, id: string) => unknown;

const harms: Record<string, Harm> = {
  deleted: (store) => store.hide(descriptorKey),
  garbage: (store) => store.put(descriptorKey, Buffer.from('garbage')),
  'garbage, and deleted': async (store) => {
    await store.put(descriptorKey, Buffer.from('garbage'));
    store.hide(descriptorKey);
  },
  'too large': (store) => store.put(descriptorKey, Buffer.alloc(100_000)),
  "somebody else's": (store) => store.put(descriptorKey, descriptorOf('0'.repeat(32), 'password')),
  'of its id, without its key': (store, id) => store.put(descriptorKey, descriptorOf(id, 'password')),
  'of its id, without a password': (store, id) => store.put(descriptorKey, descriptorOf(id, 'none')),
};

void t.test('it opens as before', async (t) => {
  const all = { none: await made(t, 'none'), password: await made(t, 'password') };
  for (const [what, harm] of Object.entries(harms)) {
    // A password is dear, and of no consequence but where somebody else's would have to open it.
    const worlds = what === 'deleted' || what.includes('else') ? [all.none, all.password] : [all.none];
    for (const { machine, configuration, id } of worlds) {
      const store = machine.store.copy();
      await harm(store, id);
      for (const [who, changes] of Object.entries({
        known: {},
        stranger: { stateDirectory: machine.at(`s ${what}`), cacheDirectory: machine.at(`c ${what}`) },
      })) {
        const warnings: string[] = [];
        const repository = await machine.open(
          { access: 'read', create: 'never', onWarning: (message) => warnings.push(message) },
          { store, configuration: { ...configuration, ...changes } },
        );
        t.equal(repository.id, id, `${what}, ${who}`);
        t.equal(repository.catalog.stream(repository.streamId('source'))?.head, 1);
        t.match(warnings, [/rrbackup\.json .*rrbackup recover/], `${what}, ${who}: it is told`);
        t.equal(warnings.length, 1);
        await repository.close();
      }
    }
  }
});

void t.test('a password is asked for once, and a wrong one is a wrong one', async (t) => {
  const { machine } = await made(t, 'password');
  for (let times = 0; times < 3; times++) await machine.store.put(descriptorKey, randomBytes(50));
  let asked = 0;
  const password = () => {
    asked++;
    return Promise.resolve('another');
  };
  const configuration = { ...secret, password, stateDirectory: machine.at('elsewhere') };
  await t.rejects(machine.open({}, { configuration }), { code: 'keys.damaged' });
  t.equal(asked, 1);
});

void t.test('what a newer program has made of it is not gone around', async (t) => {
  const { machine } = await made(t, 'none');
  const text = (await machine.store.get(descriptorKey)).toString();
  await machine.store.put(descriptorKey, Buffer.from(text.replace('"version": 1', '"version": 2')));
  await t.rejects(machine.open(), { code: 'format.newer' });
});
