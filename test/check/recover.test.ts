// Promise two: every version comes back from the packs and the keys alone, or it is said which do not.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import t, { type Test } from 'tap';
import { type Repository, backup, recover } from '../../lib/index.js';
import { randomBytes } from '../../lib/crypto/index.js';
import { FaultStore } from '../../lib/store/faults.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import type { ObjectStore } from '../../lib/store/types.js';
import { Machine } from '../repository/fixture.js';
import { everythingTree } from '../trees.js';

async function removeAll(store: MemoryStore, prefix: string): Promise<number> {
  let count = 0;
  for await (const { key, versionId } of store.list(prefix)) {
    await store.remove(key, versionId);
    count++;
  }
  return count;
}

/** A machine that has never seen the repository. */
function stranger(machine: Machine, store: ObjectStore = machine.store): Promise<Repository> {
  const name = randomBytes(4).toString('hex');
  const configuration = {
    stateDirectory: machine.at(`state ${name}`),
    cacheDirectory: machine.at(`cache ${name}`),
  };
  return machine.open({ sync: false }, { store, configuration });
}

/** A run that stores everything and dies before its commit; returns what it would have been. */
async function dieBeforeCommit(machine: Machine): Promise<string[]> {
  const store = new FaultStore(machine.store, [
    { operation: 'create', key: /commits/, nth: 1, times: Infinity, kind: 'before' },
  ]);
  const dying = await machine.open({}, { store });
  await backup(dying, machine.source).then(
    () => Promise.reject(new Error('it should have died')),
    () => undefined,
  );
  await dying.close();
  return machine.described();
}

const commitKey = (repository: Repository, sequence: number, source = 'source') =>
  `streams/${repository.streamId(source)}/commits/${String(sequence).padStart(10, '0')}`;

async function same(
  t: Test,
  machine: Machine,
  repository: Repository,
  trees: readonly string[][],
): Promise<void> {
  for (const [index, tree] of trees.entries())
    t.strictSame(await machine.restored(repository, index + 1), tree, `version ${index + 1}`);
}

void t.test('all of streams/ deleted: deletions, renames, changes of type, many packs', async (t) => {
  const machine = new Machine(t);
  everythingTree(machine.source.path);
  // Too deep for the clearing away of what is restored here, and too large for what it shows.
  execFileSync('rm', ['-rf', machine.at('source', 'deep'), machine.at('source', 'ten megabytes')]);
  for (let index = 0; index < 18; index++) machine.write(`big/${index}`, randomBytes(1_000_000));
  const repository = await machine.open();
  const trees: string[][] = [];
  const steps: (() => void)[] = [
    () => undefined,
    () => {
      fs.rmSync(machine.at('source', 'names'), { recursive: true });
      fs.renameSync(machine.at('source', 'big'), machine.at('source', 'renamed'));
      fs.rmSync(machine.at('source', 'plain'));
      machine.write('plain/now a directory', 'x');
    },
    () => {
      fs.rmSync(machine.at('source', 'plain'), { recursive: true });
      fs.symlinkSync('elsewhere', machine.at('source', 'plain'));
      fs.chmodSync(machine.at('source', 'empty directory'), 0o1777);
    },
    () => fs.rmSync(machine.at('source', 'renamed'), { recursive: true }),
  ];
  for (const [index, step] of steps.entries()) {
    step();
    t.equal((await backup(repository, machine.source)).version, index + 1);
    trees.push(machine.described());
  }
  t.ok((await removeAll(machine.store, 'streams/')) >= 4);
  const elsewhere = await stranger(machine);
  t.match(await recover(elsewhere), {
    damagedPacks: [],
    streams: [{ intact: 0, rebuilt: [1, 2, 3, 4], lost: [] }],
  });
  await same(t, machine, elsewhere, trees);
  t.match(
    await recover(elsewhere),
    { streams: [{ intact: 4, rebuilt: [], lost: [] }] },
    'a second time: nothing to do',
  );
  machine.write('goes on', 'x');
  t.match(await backup(elsewhere, machine.source), { version: 5, added: 1 });
});

void t.test('only the newest log entries deleted: the others stay as they are', async (t) => {
  const machine = new Machine(t);
  const repository = await machine.open();
  const trees: string[][] = [];
  for (const content of ['1', '2', '3', '4']) {
    machine.write('a', content);
    machine.write(content, content);
    await backup(repository, machine.source);
    trees.push(machine.described());
  }
  const second = await machine.store.get(commitKey(repository, 2));
  for (const sequence of [3, 4]) await removeAll(machine.store, commitKey(repository, sequence));
  const elsewhere = await stranger(machine);
  t.match(await recover(elsewhere), { streams: [{ intact: 2, rebuilt: [3, 4], lost: [] }] });
  t.ok((await machine.store.get(commitKey(repository, 2))).equals(second));
  await same(t, machine, elsewhere, trees);
});

void t.test('what a run left that died before its commit is not taken for the version', async (t) => {
  for (const isRemembered of [true, false]) {
    const machine = new Machine(t);
    const repository = await machine.open();
    const trees: string[][] = [];
    const commit = async () => {
      t.match(await backup(repository, machine.source), { version: trees.length + 1 });
      trees.push(machine.described());
    };
    machine.write('a', randomBytes(100_000));
    await commit();
    machine.write('b', randomBytes(100_000));
    machine.write('left over', 'never a version');
    await dieBeforeCommit(machine);
    if (!isRemembered) repository.state.journalClear(repository.streamId('source'));
    fs.rmSync(machine.at('source', 'left over'));
    await commit();
    await removeAll(machine.store, 'streams/');
    const elsewhere = await stranger(machine);
    t.match(await recover(elsewhere), { streams: [{ rebuilt: [1, 2], lost: [] }] });
    await same(t, machine, elsewhere, trees);
  }
});

void t.test('a store that was rolled back, and went on: the history that is there counts', async (t) => {
  const machine = new Machine(t);
  const repository = await machine.open();
  const trees: string[][] = [];
  const commit = async (of: Repository, content: string) => {
    machine.write('a', content);
    await backup(of, machine.source);
    trees.push(machine.described());
  };
  await commit(repository, '1');
  for (const content of ['old 2', 'old 3', 'old 4', 'old 5']) await commit(repository, content);
  trees.length = 1;
  for (const sequence of [2, 3, 4, 5]) await removeAll(machine.store, commitKey(repository, sequence));
  await repository.adopt();
  for (const content of ['new 2', 'new 3', 'new 4']) await commit(repository, content);
  await removeAll(machine.store, commitKey(repository, 4));
  await removeAll(machine.store, commitKey(repository, 3));
  const elsewhere = await stranger(machine);
  t.match(await recover(elsewhere), { streams: [{ intact: 2, rebuilt: [3, 4], lost: [5] }] });
  await same(t, machine, elsewhere, trees);
});

void t.test(
  'a lost pack costs its version, and of those behind it what nobody else tells, and that is said; other streams come back',
  async (t) => {
    const machine = new Machine(t);
    const repository = await machine.open();
    const other = { ...machine.source, name: 'other' };
    const packs = new Set<string>();
    const newPacks = async () => {
      const found: string[] = [];
      for await (const { key } of machine.store.list('packs/')) if (!packs.has(key)) found.push(key);
      for (const key of found) packs.add(key);
      return found;
    };
    machine.write('a', '1');
    await backup(repository, machine.source);
    await newPacks();
    machine.write('b', '2');
    await backup(repository, machine.source);
    const ofSecond = await newPacks();
    machine.write('c', '3');
    await backup(repository, machine.source);
    await backup(repository, other);
    for (const key of ofSecond) {
      const bytes = await machine.store.get(key);
      bytes[bytes.length - 30]! ^= 1;
      machine.store.tamper(key, bytes);
    }
    await removeAll(machine.store, 'streams/');
    const elsewhere = await stranger(machine);
    const { streams, damagedPacks } = await recover(elsewhere);
    t.equal(damagedPacks.length, 1);
    const of = (name: string) => streams.find(({ source }) => source === name);
    t.match(of('source'), { intact: 0, rebuilt: [1, 3], inPart: [3], lost: [2] });
    t.match(of('other'), { intact: 0, rebuilt: [1], inPart: [], lost: [] });
  },
);

void t.test(
  'a gap in the middle of one stream that no pack fills: said, and no reason not to rebuild another',
  async (t) => {
    const machine = new Machine(t);
    const repository = await machine.open();
    const other = { ...machine.source, name: 'other' };
    const lost: string[] = [];
    for (const content of ['1', '2', '3']) {
      machine.write('a', content);
      await backup(repository, machine.source);
      const before = new Set<string>();
      for await (const { key } of machine.store.list('packs/')) before.add(key);
      await backup(repository, other);
      for await (const { key } of machine.store.list('packs/'))
        if (content === '2' && !before.has(key)) lost.push(key);
    }
    for (const key of lost) await removeAll(machine.store, key);
    await removeAll(machine.store, commitKey(repository, 2, 'other'));
    await removeAll(machine.store, commitKey(repository, 3, 'source'));
    const elsewhere = await stranger(machine);
    const { streams } = await recover(elsewhere);
    const of = (name: string) => streams.find(({ source }) => source === name);
    t.match(of('other'), { intact: 2, rebuilt: [], inPart: [3], lost: [2] });
    t.match(of('source'), { intact: 2, rebuilt: [3], inPart: [], lost: [] });
    t.strictSame(await machine.restored(elsewhere, 3), machine.described());
  },
);

void t.test('objects written over the packs by somebody without the right to delete', async (t) => {
  const machine = new Machine(t);
  const repository = await machine.open();
  const trees: string[][] = [];
  for (const content of ['1', '2', '3']) {
    machine.write(content, content.repeat(1000));
    await backup(repository, machine.source);
    trees.push(machine.described());
  }
  const keys: string[] = [];
  for await (const { key } of machine.store.list('packs/')) keys.push(key);
  const contents = await Promise.all(keys.map((key) => machine.store.get(key)));
  for (const [index, key] of keys.entries()) {
    await machine.store.put(key, Buffer.from('garbage'));
    // A pack that is in order, in the place of another.
    if (index > 0) await machine.store.put(key, contents[0]!);
    machine.store.hide(key);
  }
  await removeAll(machine.store, 'streams/');
  const elsewhere = await stranger(machine);
  t.match(await recover(elsewhere), { damagedPacks: [], streams: [{ rebuilt: [1, 2, 3], lost: [] }] });
  await same(t, machine, elsewhere, trees);
});

void t.test('a pack in the place of another, and the other gone: no version without its rows', async (t) => {
  const machine = new Machine(t);
  const repository = await machine.open();
  for (let index = 0; index < 18; index++) machine.write(`${index}`, randomBytes(1_000_000));
  await backup(repository, machine.source);
  machine.write('more', 'more');
  await backup(repository, machine.source);
  const keys: string[] = [];
  for await (const { key } of machine.store.list('packs/')) keys.push(key);
  t.ok(keys.length > 2);
  for (const [index, victim] of keys.entries()) {
    // Each other one in its turn is another pack of the same version, or of another one.
    for (const impostor of [1, 2].map((step) => keys[(index + step) % keys.length]!)) {
      const store = machine.store.copy();
      await removeAll(store, 'streams/');
      store.tamper(victim, await store.get(impostor));
      const elsewhere = await stranger(machine, store);
      const { streams } = await recover(elsewhere);
      for (const sequence of streams[0]!.rebuilt) {
        const files = elsewhere.catalog.version(elsewhere.streamId('source'), sequence)!.header.statistics
          .files;
        let rows = 0;
        const root = elsewhere.catalog.root(elsewhere.streamId('source'), sequence)!;
        for (const { entry } of elsewhere.catalog.list(root.directory!, sequence))
          if (entry.type === 'file') rows++;
        const isTold = streams[0]!.inPart.includes(sequence);
        if (!isTold && rows !== files) t.fail(`version ${sequence} has ${rows} of ${files} files`);
      }
      await elsewhere.close();
    }
  }
});
