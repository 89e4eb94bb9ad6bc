// Scenario 9 of TESTING.md: each object is deleted in turn, and a check names exactly the files and versions that a machine which
// has never seen the repository cannot get back.

import t from 'tap';
import { backup, check } from '../../lib/index.js';
import { commitKey } from '../../lib/manifest/names.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import { Machine } from '../repository/fixture.js';
import { keysOf, reallyLost, sample, sorted, stranger, told } from './check-sample.js';

/** What is harmed is a copy of its store. */
const made = sample(t);

void t.test('each object deleted in turn', async (t) => {
  const all = await made;
  const { machine, repository, trees } = all;
  const fine = await check(await stranger(machine, machine.store));
  t.match(fine, {
    verdict: 'fine',
    findings: [],
    fileCount: 0,
    unneeded: { packs: 0, manifest: 0, foreignCount: 0, furtherVersions: 0 },
  });
  // Nobody can miss the newest entry of a log, or a checkpoint, who has not seen it.
  const isUnseen = (key: string): boolean =>
    key.endsWith('/root') ||
    repository.catalog
      .streams()
      .some(({ id, head }) => key.startsWith(`streams/${id}/commits/`) && Number(key.slice(-10)) === head);
  // A checkpoint stands for it.
  const replaced = commitKey(repository.streamId('source'), 3);
  const isCheckpoint = (key: string): boolean => key.includes('/checkpoints/');
  let filesHurt = 0;
  let versionsLost = 0;
  for (const { key, versionId } of await keysOf(machine.store)) {
    if (key === 'rrbackup.json') continue;
    const store = machine.store.copy();
    await store.remove(key, versionId);
    const elsewhere = await stranger(machine, store);
    const expected = await reallyLost(all, elsewhere);
    for (const fresh of [false, true]) {
      const result = await check(elsewhere, { fresh });
      t.strictSame(sorted(told(all, result)), sorted(expected), key);
      const isHarmless = isUnseen(key) || key === replaced;
      t.equal(result.verdict, isHarmless ? 'fine' : 'damaged', key);
      const named = key === replaced ? result.mended : result.findings;
      t.equal(
        named.some(({ object }) => object === key),
        !isUnseen(key),
        `${key} is named`,
      );
      t.equal(result.remedies.length > 0, !isHarmless && !isCheckpoint(key), `${key}: what to do is told`);
    }
    await elsewhere.close();
    for (const name of expected) {
      if (trees.has(name)) versionsLost++;
      else filesHurt++;
    }
  }
  t.ok(filesHurt > 20, `${filesHurt}`);
  t.ok(versionsLost > 5, `${versionsLost}`);
});

void t.test('on a machine that has seen all of it, what is gone is missed', async (t) => {
  const all = await sample(t, 4);
  const { machine, repository } = all;
  const stream = repository.streamId('source');
  await repository.close();
  const commit = (sequence: number): string => commitKey(stream, sequence);
  const cases = [
    { key: commit(4), code: 'history.rolled_back', lost: [{ from: 4, to: 4 }], isMended: false },
    // There is a checkpoint of the third version.
    { key: commit(3), code: 'commit.missing', lost: [], isMended: true },
    { key: commit(2), code: 'commit.missing', lost: [{ from: 2, to: 2 }], isMended: false },
    { key: 'rrbackup.json', code: 'descriptor.missing', lost: [], isMended: false },
  ];
  for (const { key, code, lost, isMended } of cases) {
    const store = machine.store.copy();
    const seeing = await machine.open({ sync: false, access: 'read' }, { store });
    await remove(store, key);
    const result = await check(seeing);
    const [told, others] = isMended ? [result.mended, result.findings] : [result.findings, result.mended];
    t.match(told, [{ code }], key);
    t.strictSame([told.length, others.length], [1, 0]);
    t.equal(result.verdict, isMended ? 'fine' : code === 'history.rolled_back' ? 'tampered' : 'damaged');
    t.strictSame(result.streams.find(({ source }) => source === 'source')!.lost, lost, key);
    await seeing.close();
  }
});

void t.test('a log that ends before its last checkpoint', async (t) => {
  const all = await made;
  const store = all.machine.store.copy();
  const stream = all.repository.streamId('source');
  for (const sequence of [4, 5]) await remove(store, commitKey(stream, sequence));
  for (const [sequence, expected] of [
    [3, { verdict: 'fine', findings: [], mended: [{ code: 'commit.missing' }] }],
    [2, { verdict: 'damaged', findings: [{ code: 'commit.missing' }], mended: [], remedies: ['recover'] }],
  ] as const) {
    await remove(store, commitKey(stream, sequence));
    const elsewhere = await stranger(all.machine, store);
    const lost = await reallyLost(all, elsewhere);
    t.equal(elsewhere.catalog.stream(stream)?.head, 3, 'the version of the checkpoint comes out');
    const result = await check(elsewhere);
    t.match(result, expected);
    t.strictSame(sorted(told(all, result)), sorted(lost));
    const gone = ['source 4', 'source 5'];
    t.strictSame(sorted(lost), sequence === 3 ? gone : ['source 2', ...gone]);
  }
});

void t.test('passwords: the last one gone, one that is damaged', async (t) => {
  const machine = new Machine(t);
  const configuration = { encryption: 'password', password: () => Promise.resolve('a') } as const;
  const repository = await machine.open({}, { configuration });
  machine.write('a', 'a');
  await backup(repository, machine.source);
  t.match(await check(repository), { verdict: 'fine' });
  await machine.store.put('keys/0123456789abcdef', Buffer.from('{}'));
  t.match(await check(repository), { verdict: 'damaged', findings: [{ code: 'key.damaged' }] });
  for (const { key } of await keysOf(machine.store))
    if (key.startsWith('keys/')) await remove(machine.store, key);
  t.match(await check(repository), { verdict: 'damaged', findings: [{ code: 'key.none' }] });
});

async function remove(store: MemoryStore, key: string): Promise<void> {
  for (const object of await keysOf(store)) if (object.key === key) await store.remove(key, object.versionId);
}
