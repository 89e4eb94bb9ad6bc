// Opening a repository: what is made, what is refused, and what a machine remembers of a place.

import fs from 'node:fs';
import t, { type Test } from 'tap';
import { backup } from '../../lib/index.js';
import { FaultStore } from '../../lib/store/faults.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { Machine } from './fixture.js';

/** A machine with so many versions, and its store as it was after each. */
async function backedUp(t: Test, versions: number) {
  const machine = new Machine(t);
  const stores: MemoryStore[] = [];
  const repository = await machine.open();
  for (let version = 1; version <= versions; version++) {
    machine.write('a', `${version}`);
    await backup(repository, machine.source);
    stores.push(machine.store.copy());
  }
  await repository.close();
  return { machine, stores };
}

void t.test('a first opening to write makes the repository and says so; reading makes none', async (t) => {
  const machine = new Machine(t);
  await t.rejects(machine.open({ access: 'read', create: 'never' }), {
    code: 'repository.missing',
    kind: 'no_repository',
  });
  t.notOk(fs.existsSync(machine.at('state')), 'nothing is remembered');
  const repository = await machine.open();
  t.ok(repository.created);
  t.match(machine.notes, [/made a new UNENCRYPTED repository/]);
  t.notOk((await machine.open()).created);
});

void t.test('a repository that is gone, or another in its place, is an alarm', async (t) => {
  const { machine } = await backedUp(t, 1);
  await t.rejects(machine.open({}, { store: new MemoryStore() }), {
    code: 'repository.gone',
    guidance: /init --adopt/,
  });
  const other = new Machine(t);
  await other.open();
  await t.rejects(machine.open({}, { store: other.store }), { code: 'repository.replaced' });
});

void t.test('a store rolled back, with and without a catalog, is an alarm until it is adopted', async (t) => {
  const { machine, stores } = await backedUp(t, 3);
  const old = stores[0]!;
  for (const isCatalogThere of [true, false]) {
    if (!isCatalogThere) fs.rmSync(machine.at('cache'), { recursive: true });
    await t.rejects(machine.open({}, { store: old }), {
      code: 'repository.rolled_back',
      guidance: /init --adopt/,
    });
  }
  const repository = await machine.open({ sync: false }, { store: old });
  await repository.adopt();
  t.equal(repository.catalog.streams()[0]?.head, 1);
  await machine.open({}, { store: old });
});

void t.test('another history under the same numbers is an alarm', async (t) => {
  const { machine, stores } = await backedUp(t, 1);
  // A store never gives one version id twice.
  await stores[0]!.put('something', Buffer.from('else'));
  const fork = new Machine(t, stores[0]!);
  fork.write('other', 'other');
  const there = await fork.open();
  await backup(there, fork.source);
  machine.write('a', 'again');
  await backup(await machine.open(), machine.source);
  await t.rejects(machine.open({}, { store: stores[0]! }), { code: 'repository.forked', kind: 'tampered' });
});

void t.test('a lost or damaged catalog is rebuilt, and that is said', async (t) => {
  const { machine } = await backedUp(t, 2);
  const [id] = fs.readdirSync(machine.at('cache'));
  const catalog = machine.at('cache', id!, 'catalog.mdb');
  for (const [harm, sentence] of [
    [() => fs.rmSync(catalog), /is not there; it is rebuilt/],
    [() => fs.truncateSync(catalog, 5000), /could not be used .* rebuilt/],
    [() => fs.writeFileSync(catalog, 'not a catalog'), /could not be used .* rebuilt/],
  ] as const) {
    harm();
    machine.notes.length = 0;
    const repository = await machine.open({ access: 'read' });
    t.equal(repository.catalog.streams()[0]?.head, 2);
    t.match(machine.notes, [sentence]);
    await repository.close();
  }
});

void t.test('the encryption that the configuration says must be the one that is there', async (t) => {
  const machine = new Machine(t);
  await machine.open();
  const configuration = { encryption: 'password', password: () => Promise.resolve('x') } as const;
  await t.rejects(machine.open({}, { configuration }), { code: 'repository.encryption_differs' });
});

void t.test('passwords: the right one, a wrong one, a second one', async (t) => {
  const machine = new Machine(t);
  const of = (password: string) => ({
    configuration: { encryption: 'password', password: () => Promise.resolve(password) } as const,
  });
  const repository = await machine.open({}, of('one'));
  await t.rejects(machine.open({}, of('two')), { code: 'keys.wrong_password' });
  await repository.addPassword('two', 'somebody');
  t.equal((await machine.open({}, of('two'))).id, repository.id);
});

void t.test('commit_locked refuses to write before anything is asked of the store', async (t) => {
  const machine = new Machine(t);
  const store = new FaultStore(machine.store);
  await t.rejects(machine.open({}, { store, configuration: { commitLocked: true } }), {
    code: 'config.commit_locked',
  });
  t.strictSame(store.calls, []);
});

void t.test('parts of a repository without its descriptor are not built over', async (t) => {
  const { machine } = await backedUp(t, 1);
  for await (const { key, versionId } of machine.store.list('rrbackup.json'))
    await machine.store.remove(key, versionId);
  const stranger = new Machine(t, machine.store);
  await t.rejects(stranger.open(), { code: 'repository.no_descriptor' });
});

void t.test('a creation that is interrupted anywhere can be done again', async (t) => {
  const calls = new FaultStore(new MemoryStore());
  await (await new Machine(t).open({}, { store: calls })).close();
  for (let nth = 1; nth <= calls.calls.length; nth++) {
    for (const kind of ['before', 'after'] as const) {
      const machine = new Machine(t);
      const dying = new FaultStore(machine.store, [{ nth, times: Infinity, kind }]);
      await machine.open({}, { store: dying }).catch(() => undefined);
      const repository = await machine.open();
      t.equal(repository.catalog.streams().length, 0, `killed ${kind} call ${nth}`);
      await repository.close();
    }
  }
});

void t.test('opened without a look at the store where the catalog has all that was seen', async (t) => {
  const { machine, stores } = await backedUp(t, 2);
  const repository = await machine.open({ sync: 'if-behind' });
  t.notOk(repository.isSynced);
  t.equal(repository.catalog.streams()[0]?.head, 2);
  const other = await machine.open();
  machine.write('a', '3');
  await backup(other, machine.source);
  await repository.sync();
  t.ok(repository.isSynced);
  t.equal(repository.catalog.streams()[0]?.head, 3);

  const rolledBack = await machine.open({ sync: 'if-behind' }, { store: stores[0]! });
  await t.rejects(rolledBack.sync(), { code: 'repository.rolled_back', exitStatus: 17 });
  t.notOk(rolledBack.isSynced);

  fs.rmSync(machine.at('cache'), { recursive: true });
  const anew = await machine.open({ sync: 'if-behind' });
  t.ok(anew.isSynced, 'without a catalog the store is read first');
  t.equal(anew.catalog.streams()[0]?.head, 3);
  fs.rmSync(machine.at('cache'), { recursive: true });
  await t.rejects(machine.open({ sync: 'if-behind' }, { store: stores[0]! }), {
    code: 'repository.rolled_back',
  });
});
