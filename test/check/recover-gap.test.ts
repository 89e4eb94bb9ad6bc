// Each log entry and checkpoint lost in turn: what does not depend on it reads as before, what does is told by its number, and
// after `recover` everything reads as before again, for the machine that had seen it, too.

import t, { type Test } from 'tap';
import { walkTree } from '../../lib/catalog/changes.js';
import { randomBytes } from '../../lib/crypto/index.js';
import { backup, recover, type Repository } from '../../lib/index.js';
import { writeCheckpoint } from '../../lib/manifest/checkpoint.js';
import { checkpointKey, commitKey } from '../../lib/manifest/names.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import type { ObjectStore } from '../../lib/store/types.js';
import { Machine } from '../repository/fixture.js';
import { runs } from '../runs.js';

const versions = [1, 2, 3, 4, 5];
const checkpointed = 3;

async function remove(store: ObjectStore, prefix: string): Promise<void> {
  for await (const { key, versionId } of store.list(prefix)) await store.remove(key, versionId);
}

const ways: Record<string, (store: MemoryStore, key: string) => Promise<void>> = {
  removed: remove,
  damaged: async (store, key) => {
    const bytes = await store.get(key);
    bytes[bytes.length - 40]! ^= 4;
    store.tamper(key, bytes);
  },
};

/** Everything that the catalog knows of a version's tree; undefined where there is no such version. */
function treeOf({ catalog }: Repository, stream: string, sequence: number): string[] | undefined {
  const root = catalog.root(stream, sequence);
  if (root === undefined) return undefined;
  return Array.from(walkTree(catalog, root, sequence), ({ path, found: { entry } }) =>
    JSON.stringify({ path: path.toString(), ...entry }, (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    ),
  );
}

interface Told {
  readonly machine: Machine;
  readonly stream: string;
  readonly trees: readonly (string[] | undefined)[];
}

/** Five versions, a checkpoint of the third. */
async function told(t: Test): Promise<Told> {
  const machine = new Machine(t);
  const repository = await machine.open();
  for (const version of versions) {
    machine.write('changing', String(version));
    machine.write(`of/${version}/file`, randomBytes(1000));
    await backup(repository, machine.source);
  }
  const { catalog, context } = repository;
  const stream = repository.streamId('source');
  const { header, hash: commitHash } = catalog.version(stream, checkpointed)!;
  const rows = Array.from(
    walkTree(catalog, catalog.root(stream, checkpointed)!, checkpointed),
    ({ path, found: { entry } }) => ({ op: 'added' as const, path, entry }),
  );
  await writeCheckpoint(context, { commitHash, header, packs: catalog.packsOf(stream, checkpointed), rows });
  return { machine, stream, trees: versions.map((version) => treeOf(repository, stream, version)) };
}

/** Made once: what is harmed is a copy of its store. */
const made = told(t);

/** A machine that has never seen the store. */
async function stranger(
  machine: Machine,
  store: ObjectStore,
  sync: boolean,
): Promise<{ repository: Repository; warnings: string[] }> {
  const at = machine.at(`stranger ${randomBytes(4).toString('hex')}`);
  const warnings: string[] = [];
  const onWarning = (message: string) => warnings.push(message);
  const configuration = { stateDirectory: at, cacheDirectory: at };
  return { repository: await machine.open({ sync, onWarning }, { store, configuration }), warnings };
}

async function recovers(
  t: Test,
  { machine, stream, trees }: Told,
  store: MemoryStore,
  what: string,
): Promise<void> {
  const before = new Map<string, string>();
  for await (const { key, versionId } of store.list(''))
    before.set(`${key} ${versionId}`, (await store.get(key, { versionId })).toString('base64'));
  const { repository } = await stranger(machine, store, false);
  const [result] = (await recover(repository)).streams;
  t.strictSame(result!.lost, [], what);
  for (const version of versions)
    t.strictSame(treeOf(repository, stream, version), trees[version - 1], `${what}: version ${version}`);
  t.match(await backup(repository, machine.source), { version: versions.length + 1 }, `${what}: it goes on`);
  for (const [object, bytes] of before) {
    const [key, versionId] = object.split(' ') as [string, string];
    if ((await store.get(key, { versionId })).toString('base64') !== bytes)
      t.fail(`${what}: ${key} was changed`);
  }
  await repository.close();
}

void t.test('each log entry in turn', async (t) => {
  const all = await made;
  const { machine, stream, trees } = all;
  machine.write('changing', 'more');
  for (const [way, damage] of Object.entries(ways)) {
    // Readers do with a damaged one what they do with none: in the middle of a log, at its end, where a checkpoint stands in.
    for (const lost of way === 'removed' || runs(1).numRuns > 1 ? versions : [2, checkpointed, 5]) {
      const what = `${way}, version ${lost}`;
      const store = machine.store.copy();
      await damage(store, commitKey(stream, lost));
      const { repository, warnings } = await stranger(machine, store, true);
      // The end of a log that is gone is known to who has seen it; what a checkpoint leads to depends on nothing before it.
      const isReadable = (version: number) =>
        version < lost || (version >= checkpointed && lost <= checkpointed);
      for (const version of versions)
        t.strictSame(
          treeOf(repository, stream, version),
          isReadable(version) ? trees[version - 1] : undefined,
          `${what}: version ${version} before`,
        );
      const isUnknown = way === 'removed' && lost === versions.length;
      if (!isUnknown)
        t.match(warnings.join('\n'), new RegExp(`version ${lost}\\b|versions ${lost} to`), `${what} is told`);
      await repository.close();
      await recovers(t, all, store, what);
    }
  }
});

void t.test('each checkpoint in turn, alone and with what it stands for', async (t) => {
  const all = await made;
  const { machine, stream, trees } = all;
  machine.write('changing', 'more');
  const key = checkpointKey(stream, checkpointed);
  for (const [way, damage] of Object.entries(ways)) {
    const store = machine.store.copy();
    await damage(store, key);
    const { repository, warnings } = await stranger(machine, store, true);
    for (const version of versions)
      t.strictSame(treeOf(repository, stream, version), trees[version - 1], `${way}: nothing depends on it`);
    t.strictSame(warnings, []);
    await repository.close();
    await damage(store, commitKey(stream, checkpointed));
    await recovers(t, all, store, `checkpoint and log entry ${way}`);
  }
});

void t.test('stretches of a log, and all of them', async (t) => {
  const all = await made;
  const { machine, stream } = all;
  machine.write('changing', 'more');
  for (const lost of [[1, 2], [2, 4], [3, 4, 5], versions]) {
    const store = machine.store.copy();
    await remove(store, checkpointKey(stream, checkpointed));
    for (const version of lost) await remove(store, commitKey(stream, version));
    const what = `versions ${lost.join(', ')}`;
    await recovers(t, all, store, what);
    const { repository } = await stranger(machine, store, false);
    t.match((await recover(repository)).streams, [{ rebuilt: [], lost: [] }], `${what}: once is enough`);
    await repository.close();
  }
});

void t.test(
  'the machine that had seen a history takes it back without a question where only its middle was lost',
  async (t) => {
    const { machine, stream, trees } = await told(t);
    await remove(machine.store, commitKey(stream, 2));
    await remove(machine.store, checkpointKey(stream, checkpointed));
    const { repository } = await stranger(machine, machine.store, false);
    t.match((await recover(repository)).streams, [{ rebuilt: [2], lost: [] }]);
    const known = await machine.open();
    for (const version of versions) t.strictSame(treeOf(known, stream, version), trees[version - 1]);
    t.match(await backup(known, machine.source), { version: undefined });
  },
);
