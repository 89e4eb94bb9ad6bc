// The disk cache as a user meets it: a second download asks the store for no pack, and the settings do what they say.

import fs from 'node:fs';
import t, { type Test } from 'tap';
import { backup, type Repository } from '../../lib/index.js';
import { packsPrefix } from '../../lib/pack/index.js';
import { FaultStore } from '../../lib/store/faults.js';
import { Machine } from '../repository/fixture.js';
import { noise } from './fixture.js';

/** A machine with one version in its repository, and a second look at the store that counts. */
async function backedUp(t: Test) {
  const machine = new Machine(t);
  for (let seed = 1; seed < 40; seed++)
    machine.write(`directory ${seed % 4}/${seed}`, noise(seed * 777, seed));
  machine.write('large', noise(3_000_000));
  const repository = await machine.open();
  await backup(repository, machine.source);
  await repository.close();
  const store = new FaultStore(machine.store);
  const packRequests = () =>
    store.calls.splice(0).filter(({ operation, key }) => operation === 'get' && key.startsWith(packsPrefix))
      .length;
  return { machine, store, packRequests };
}

function cacheOf(machine: Machine, { id }: Repository): string {
  return machine.at('cache', id, 'blocks');
}

t.test('a second download asks for no pack', async (t) => {
  const { machine, store, packRequests } = await backedUp(t);
  for (const round of ['first', 'second'] as const) {
    const repository = await machine.open({ access: 'read' }, { store });
    packRequests();
    t.strictSame(await machine.restored(repository, 1), machine.described());
    const requests = packRequests();
    if (round === 'first') t.ok(requests > 0);
    else t.equal(requests, 0);
    await repository.close();
    t.ok(fs.readdirSync(cacheOf(machine, repository)).length > 0);
  }
});

t.test('a download that is large beside the cache leaves it to what is read again', async (t) => {
  const { machine, store } = await backedUp(t);
  const configuration = { cacheSize_bytes: 10_000_000 };
  const repository = await machine.open({ access: 'read' }, { store, configuration });
  t.strictSame(await machine.restored(repository, 1), machine.described());
  await repository.close();
  t.notOk(fs.existsSync(cacheOf(machine, repository)));
});

t.test('cache_size = 0: nothing is kept, and what was there goes', async (t) => {
  const { machine, store, packRequests } = await backedUp(t);
  const first = await machine.open({ access: 'read' }, { store });
  await machine.restored(first, 1);
  await first.close();
  t.ok(fs.existsSync(cacheOf(machine, first)));
  const repository = await machine.open({ access: 'read' }, { store, configuration: { cacheSize_bytes: 0 } });
  t.strictSame(repository.localBlocks, { kind: 'none' });
  packRequests();
  await machine.restored(repository, 1);
  await repository.close();
  t.ok(packRequests() > 0);
  t.notOk(fs.existsSync(cacheOf(machine, repository)));
});

t.test('nothing is kept, nor removed, where another user could lead it elsewhere', async (t) => {
  const { machine, store } = await backedUp(t);
  const warnings: string[] = [];
  fs.mkdirSync(machine.at('shared/elsewhere/blocks'), { recursive: true });
  const first = await machine.open({ access: 'read' }, { store });
  await first.close();
  fs.symlinkSync('elsewhere', machine.at('shared', first.id));
  fs.chmodSync(machine.at('shared'), 0o777);
  for (const cacheSize_bytes of [1_000_000, 0]) {
    const configuration = {
      cacheSize_bytes,
      cacheDirectory: machine.at('shared'),
      catalogPath: machine.at('catalog/catalog.mdb'),
    };
    const options = { access: 'read', onWarning: (text: string) => warnings.push(text) } as const;
    const repository = await machine.open(options, { store, configuration });
    t.strictSame(repository.localBlocks, { kind: 'none' });
    await repository.close();
  }
  t.match(warnings, [/^what is read is not kept on this disk: others can write to .*XDG_CACHE_HOME/]);
  t.ok(fs.existsSync(machine.at('shared/elsewhere/blocks')));
});

t.test('where blocks lie: plain data for other threads', async (t) => {
  const { machine, store } = await backedUp(t);
  const settings = async (access: 'read' | 'dry-run', changes = {}) => {
    const repository = await machine.open({ access }, { store, configuration: changes });
    await repository.close();
    return { ...structuredClone(repository.localBlocks), id: repository.id };
  };
  const remote = await settings('read', { cacheSize_bytes: 5000 });
  t.strictSame(remote, {
    kind: 'cache',
    path: machine.at('cache', remote.id, 'blocks'),
    maximum_bytes: 5000,
    id: remote.id,
  });
  t.match(await settings('read'), { kind: 'cache', maximum_bytes: 1024 ** 3 });
  t.match(await settings('dry-run'), { kind: 'none' });
  const directory = { store: { kind: 'directory', path: machine.at('repository') } };
  t.match(await settings('read', directory), { kind: 'directory', path: machine.at('repository') });
});

t.test('a repository in a directory has no cache', async (t) => {
  const { machine, store, packRequests } = await backedUp(t);
  const configuration = { store: { kind: 'directory', path: machine.at('elsewhere') } } as const;
  for (let round = 0; round < 2; round++) {
    const repository = await machine.open({ access: 'read' }, { store, configuration });
    packRequests();
    await machine.restored(repository, 1);
    t.ok(packRequests() > 0);
    await repository.close();
    t.notOk(fs.existsSync(cacheOf(machine, repository)));
  }
});

t.test('a warning about the cache reaches whoever opened the repository', async (t) => {
  const { machine, store } = await backedUp(t);
  const warnings: string[] = [];
  const repository = await machine.open(
    { access: 'read', onWarning: (text) => warnings.push(text) },
    { store },
  );
  fs.writeFileSync(cacheOf(machine, repository), 'in the way');
  t.strictSame(await machine.restored(repository, 1), machine.described());
  await repository.close();
  t.equal(warnings.length, 1);
  t.match(warnings[0], /blocks.*file already exists.*cache_size/);
});
