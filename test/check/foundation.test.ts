// rrbackup.json and the key slots come back from whatever still tells the secret, and nothing is written by who cannot prove it.

import t, { type Test } from 'tap';
import { backup, openForRecoveryOn, recover, type Repository } from '../../lib/index.js';
import { deriveKeys, randomBytes } from '../../lib/crypto/index.js';
import {
  descriptorKey,
  encodeDescriptor,
  exportKey,
  parseExportedKey,
  readSlots,
} from '../../lib/keys/index.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import type { ObjectStore, StoredObject } from '../../lib/store/types.js';
import { Machine } from '../repository/fixture.js';

const password = (text: string) => ({
  encryption: 'password' as const,
  password: () => Promise.resolve(text),
});

interface Encrypted {
  readonly machine: Machine;
  readonly key: string;
  readonly id: string;
}

/** Two versions, the password 'first'; made once, since a password is dear. */
const origin = new Machine(t);
const made = (async (): Promise<Omit<Encrypted, 'machine'>> => {
  const repository = await origin.open({}, { configuration: password('first') });
  await twoVersions(origin, repository);
  return { key: repository.exportKey().join('\n'), id: repository.id };
})();

async function encrypted(t: Test): Promise<Encrypted> {
  const found = await made;
  return { machine: new Machine(t, origin.store.copy()), ...found };
}

async function twoVersions(machine: Machine, repository: Repository): Promise<void> {
  for (const content of ['1', '2']) {
    machine.write(content, content);
    await backup(repository, machine.source);
  }
}

async function objects(store: ObjectStore, prefix = ''): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for await (const object of store.list(prefix)) found.push(object);
  return found;
}

async function removeAll(store: ObjectStore, prefix: string): Promise<void> {
  for (const { key, versionId } of await objects(store, prefix)) await store.remove(key, versionId);
}

/** `recover` as a machine that has never seen the repository. */
async function recovered(
  t: Test,
  machine: Machine,
  configuration: Parameters<Machine['configuration']>[0],
  key?: string,
): Promise<{ repository: Repository; notes: string[] }> {
  const notes: string[] = [];
  const name = randomBytes(4).toString('hex');
  const repository = await openForRecoveryOn(
    machine.store,
    machine.configuration({
      stateDirectory: machine.at(`state ${name}`),
      cacheDirectory: machine.at(`cache ${name}`),
      ...configuration,
    }),
    { note: (message) => notes.push(message), key: key === undefined ? undefined : parseExportedKey(key) },
  );
  t.teardown(() => repository.close());
  t.match(await recover(repository), { streams: [{ lost: [] }] });
  return { repository, notes };
}

async function isWhole(t: Test, machine: Machine, repository: Repository, of = origin): Promise<void> {
  t.strictSame(await machine.restored(repository, 2), of.described());
  const stream = repository.streamId('source');
  t.equal(repository.catalog.versions(stream).length, 2);
}

void t.test(
  'everything but the packs is gone: an exported key opens them, and a password from then on',
  async (t) => {
    const { machine, key, id } = await encrypted(t);
    for (const prefix of [descriptorKey, 'keys/', 'streams/']) await removeAll(machine.store, prefix);
    const { repository, notes } = await recovered(t, machine, password('second'), key);
    t.equal(repository.id, id);
    t.match(notes, [/rrbackup.json.* made anew/, /your password/]);
    await isWhole(t, machine, repository);
    const elsewhere = { stateDirectory: machine.at('later'), cacheDirectory: machine.at('later') };
    const later = await machine.open({}, { configuration: { ...password('second'), ...elsewhere } });
    await isWhole(t, machine, later);
  },
);

void t.test(
  'a password that is forgotten is replaced with the key; one that opens is left alone',
  async (t) => {
    const { machine, key } = await encrypted(t);
    t.strictSame((await recovered(t, machine, password('first'), key)).notes, []);
    t.equal((await readSlots(machine.store)).slots.length, 1);
    t.match((await recovered(t, machine, password('second'), key)).notes, [/your password/]);
    t.equal((await readSlots(machine.store)).slots.length, 2, 'the other one still opens');
    for (const text of ['first', 'second'])
      await (await machine.open({}, { configuration: password(text) })).close();
  },
);

void t.test('rrbackup.json is gone, the slots are there: the password is enough', async (t) => {
  const { machine, id } = await encrypted(t);
  await removeAll(machine.store, descriptorKey);
  const { repository, notes } = await recovered(t, machine, password('first'));
  t.equal(repository.id, id);
  t.match(notes, [/made anew/]);
  await isWhole(t, machine, repository);
});

void t.test('delete markers over everything: what rrbackup.json was is put back', async (t) => {
  const { machine } = await encrypted(t);
  const before = await machine.store.get(descriptorKey);
  for (const { key } of await objects(machine.store)) machine.store.hide(key);
  const { repository, notes } = await recovered(t, machine, password('first'));
  t.match(notes, [/put back as it was/]);
  t.ok((await machine.store.get(descriptorKey)).equals(before));
  await isWhole(t, machine, repository);
});

void t.test(
  'rrbackup.json is damaged, or of another repository: the true one comes in its place',
  async (t) => {
    const keys = deriveKeys(randomBytes(32));
    const fields = {
      encryption: 'password',
      conditionalCreate: true,
      created: '2026-11-21T03:00:00Z',
    } as const;
    const other = encodeDescriptor({ repository: '0'.repeat(32), ...fields }, keys);
    for (const written of [Buffer.from('garbage'), other]) {
      const { machine, key, id } = await encrypted(t);
      await machine.store.put(descriptorKey, written);
      const { repository, notes } = await recovered(t, machine, password('first'), key);
      t.equal(repository.id, id);
      t.match(notes, [/put back as it was/]);
      await isWhole(t, machine, repository);
    }
  },
);

void t.test('a store without versions keeps what stood there under another name', async (t) => {
  const { machine, key } = await encrypted(t);
  const copy = unversionedCopy(machine.store);
  await copy.put(descriptorKey, Buffer.from('garbage'));
  const repository = await openForRecoveryOn(
    copy,
    machine.configuration({ stateDirectory: machine.at('elsewhere'), ...password('first') }),
    { note: () => undefined, key: parseExportedKey(key) },
  );
  t.teardown(() => repository.close());
  const kept = (await objects(machine.store, `${descriptorKey}.`)).map(({ key }) => machine.store.get(key));
  t.strictSame((await Promise.all(kept)).map(String), ['garbage']);
});

/** Of the same objects, as a directory shows them. */
function unversionedCopy(store: MemoryStore): ObjectStore {
  return new Proxy(store, {
    get(target, name) {
      if (name !== 'stat') {
        const value = Reflect.get(target, name, target) as unknown;
        return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
      }
      return async (key: string) => {
        const found = await target.stat(key);
        return found && { ...found, versionId: '' };
      };
    },
  });
}

void t.test('without encryption the packs themselves tell', async (t) => {
  const machine = new Machine(t);
  await twoVersions(machine, await machine.open());
  for (const prefix of [descriptorKey, 'streams/']) await removeAll(machine.store, prefix);
  const { repository } = await recovered(t, machine, {});
  await isWhole(t, machine, repository, machine);
});

void t.test('refused before anything is written', async (t) => {
  const { machine, key } = await encrypted(t);
  const other = exportKey({ repositoryId: '0'.repeat(32), secret: randomBytes(32) }).join('\n');
  const locked = { commitLocked: true };
  const lost = async (...prefixes: string[]): Promise<void> => {
    for (const prefix of prefixes) await removeAll(machine.store, prefix);
  };
  const refused = async (
    configuration: Parameters<Machine['configuration']>[0],
    withKey: string | undefined,
    code: string,
  ): Promise<void> => {
    const before = await objects(machine.store);
    await t.rejects(recovered(t, machine, configuration, withKey), { code });
    t.strictSame(await objects(machine.store), before, code);
  };
  await refused({ ...password('first'), ...locked }, key, 'config.commit_locked');
  await refused(password('wrong'), undefined, 'keys.wrong_password');
  await refused({}, undefined, 'repository.encryption_differs');
  await lost(descriptorKey);
  await refused(password('wrong'), undefined, 'keys.wrong_password');
  await refused({}, undefined, 'recover.nothing_opens');
  await refused({}, key, 'usage');
  await refused(password('x'), other, 'recover.nothing_opens');
  await lost('keys/');
  await refused(password('first'), undefined, 'keys.none');
  await lost('packs/');
  await refused(password('first'), key, 'recover.nothing_opens');
});
