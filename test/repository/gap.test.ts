// A history that cannot be read to its end: every reader of the catalog learns that what it has is not the newest.

import t, { type Test } from 'tap';
import { backup, type Repository } from '../../lib/index.js';
import { checkpointKey, commitKey } from '../../lib/manifest/names.js';
import { Tree } from '../../lib/mount/tree/index.js';
import { nodeKinds, rootNode } from '../../lib/mount/tree/node.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import { Machine } from './fixture.js';

interface Loss {
  readonly machine: Machine;
  readonly stream: string;
  /** Takes an object out of the store; returns what puts it back. */
  lose(key: string): Promise<() => Promise<void>>;
}

async function history(t: Test, versions: number): Promise<Loss> {
  const machine = new Machine(t);
  const repository = await machine.open();
  for (let version = 1; version <= versions; version++) {
    machine.write('file', `content ${version}`);
    await backup(repository, machine.source);
  }
  const { store } = machine;
  const lose = async (key: string): Promise<() => Promise<void>> => {
    const bytes = Buffer.from(await store.get(key));
    await remove(store, key);
    return async () => void (await store.put(key, bytes));
  };
  return { machine, stream: repository.streamId('source'), lose };
}

async function remove(store: MemoryStore, key: string): Promise<void> {
  for await (const object of store.list(key)) await store.remove(object.key, object.versionId);
}

/** A machine that has never seen the repository. */
const stranger = (t: Test, { store }: Machine): Machine => new Machine(t, store);

/** Names in the source's directory of a mount. */
function shown({ catalog, host }: Repository): string[] {
  const tree = new Tree(catalog, { host, owner: { uid: 0, gid: 0 } });
  const source = [...tree.readdir(rootNode, 0)!].find(({ node }) => node.kind === nodeKinds.stream)!;
  t.equal(
    tree.lookup(source.node, Buffer.from('current')) !== undefined,
    [...tree.readdir(source.node, 0)!].some(({ name }) => name.toString() === 'current'),
    'a listing and a look-up agree',
  );
  return Array.from(tree.readdir(source.node, 0)!, ({ name }) => name.toString()).filter(
    (name) => !/^20/.test(name),
  );
}

void t.test('an entry in the middle is left out; it comes back', async (t) => {
  const { machine, stream, lose } = await history(t, 3);
  const putBack = await lose(commitKey(stream, 2));
  const there = await stranger(t, machine).open({ access: 'read' });
  t.match(there.catalog.stream(stream), { head: 1, endsInGap: true });
  t.equal(there.gap(stream)?.code, 'manifest.missing_commit');
  t.strictSame(shown(there), ['history'], 'an old version is not shown as the current one');

  await putBack();
  await there.sync();
  t.match(there.catalog.stream(stream), { head: 3, endsInGap: false });
  t.equal(there.gap(stream), undefined);
  t.strictSame(shown(there), ['current', 'history']);
});

/** The time that the root of a mount shows. */
function newest({ catalog, host }: Repository): string {
  const { mtime_s, mtimeRest_ns } = new Tree(catalog, { host, owner: { uid: 0, gid: 0 } }).getattr(rootNode)!;
  return `${mtime_s} ${mtimeRest_ns}`;
}

void t.test(
  'a gap behind what a mount shows already: the kernel notices that the directory has changed',
  async (t) => {
    const { machine, stream, lose } = await history(t, 1);
    const there = await stranger(t, machine).open({ access: 'read' });
    const before = newest(there);
    t.strictSame(shown(there), ['current', 'history']);
    const here = await machine.open();
    for (const version of [2, 3]) {
      machine.write('file', `content ${version}`);
      await backup(here, machine.source);
    }
    await lose(commitKey(stream, 2));
    await there.sync();
    t.strictSame(shown(there), ['history']);
    t.not(newest(there), before);
  },
);

void t.test('a gap is said once, however often the store is asked', async (t) => {
  const { machine, stream, lose } = await history(t, 3);
  await lose(commitKey(stream, 2));
  const there = await stranger(t, machine).open({ access: 'read', sync: false });
  const warnings: string[] = [];
  const run = { onWarning: (message: string) => void warnings.push(message) };
  for (let time = 0; time < 3; time++) await there.sync(run);
  t.equal(warnings.length, 1);
});

void t.test('the newest entry is damaged: who has read it before still has the newest version', async (t) => {
  const { machine, stream } = await history(t, 2);
  const other = stranger(t, machine);
  await remove(machine.store, commitKey(stream, 2));
  await machine.store.put(commitKey(stream, 2), Buffer.from('no entry'));
  const here = await machine.open({ access: 'read' });
  t.match(here.catalog.stream(stream), { head: 2, endsInGap: false });
  t.throws(() => here.refuseBehindGap(stream), { code: 'manifest.damaged_commit' });
  t.match((await other.open({ access: 'read' })).catalog.stream(stream), { head: 1, endsInGap: true });
});

void t.test('the last entries are gone, and a checkpoint that cannot be read tells of them', async (t) => {
  const { machine, stream, lose } = await history(t, 3);
  await lose(commitKey(stream, 2));
  await lose(commitKey(stream, 3));
  const key = checkpointKey(stream, 3);
  await remove(machine.store, key);
  await machine.store.put(key, Buffer.from('no checkpoint'));
  const there = await stranger(t, machine).open({ access: 'read' });
  for (let time = 0; time < 2; time++) {
    t.match(there.catalog.stream(stream), { head: 1, endsInGap: true });
    await there.sync();
  }
  t.match(there.gap(stream), { message: /versions 2 to 3 are missing/ });
});

void t.test('no entry of a stream can be read', async (t) => {
  const { machine, stream, lose } = await history(t, 2);
  await lose(commitKey(stream, 1));
  const there = await stranger(t, machine).open({ access: 'read' });
  t.equal(there.catalog.stream(stream), undefined);
  t.match(there.namelessGaps, [{ code: 'manifest.missing_commit' }]);
});
