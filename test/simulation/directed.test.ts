// Scenarios 4, 5, 13 and 15 of TESTING.md: what chance would seldom bring in these numbers.

import t from 'tap';
import { RrbackupError } from '../../lib/errors/index.js';
import { backup } from '../../lib/index.js';
import { ChainReader } from '../../lib/manifest/chain.js';
import { CommitWriter } from '../../lib/manifest/commit.js';
import { FaultStore } from '../../lib/store/faults.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { RetryStore } from '../../lib/store/retry.js';
import type { Call, ObjectStore, StoredObject } from '../../lib/store/types.js';
import { type Subject, WrappedStore } from '../../lib/store/wrapper.js';
import { added, headerOf, manifestContext, readHistory, stream, writeHistory } from '../manifest/fixture.js';
import { Machine } from '../repository/fixture.js';
import { runs } from '../runs.js';
import { Random } from './random.js';
import { runBackupsHere } from './threads-here.js';

runBackupsHere();

const patient = (store: ObjectStore) => new RetryStore(store, { sleep: () => Promise.resolve() });

for (const ignoresIfNoneMatch of [false, true]) {
  const which = ignoresIfNoneMatch ? 'without If-None-Match' : 'with If-None-Match';
  void t.test(`commits whose answers are lost, ${which}: each exactly once`, async (t) => {
    const count = runs(100).numRuns;
    const memory = new MemoryStore({ ignoresIfNoneMatch });
    memory.conditionalCreate = !ignoresIfNoneMatch;
    const faulty = new FaultStore(memory);
    const context = await manifestContext(memory);
    let parent = '';
    for (let sequence = 1; sequence <= count; sequence++) {
      faulty.add({ operation: 'create', nth: 1, kind: 'after' });
      const writer = new CommitWriter({ ...context, store: patient(faulty), stream });
      await writer.addRow(added(`file-${sequence}`));
      parent = (await writer.publish(headerOf(sequence, parent))).hash;
      faulty.release();
      faulty.calls.length = 0;
    }
    const { hashes, code } = await readHistory(context);
    t.equal(code, undefined);
    t.equal(hashes.length, count);
    t.equal(hashes.at(-1), parent);
  });
}

void t.test('32 writers race for every commit: one wins, the others follow, nobody is lost', async (t) => {
  const writers = 32;
  const { numRuns } = runs(4);
  for (let round = 0; round < numRuns; round++) {
    const context = await manifestContext();
    const chain = new ChainReader(context);
    let waiting = Array.from({ length: writers }, (_, index) => `file-${index}`);
    let head = { sequence: 0, hash: '' };
    for (let race = 1; race <= writers; race++) {
      const results = await Promise.all(
        waiting.map(async (name, index) => {
          const writer = new CommitWriter({ ...context, stream });
          await writer.addRow(added(name));
          const run = `${head.sequence + 1}${String(index).padStart(4, '0')}`.padStart(32, '0');
          try {
            const parentRun = head.sequence === 0 ? '' : '0'.repeat(32);
            await writer.publish(headerOf(head.sequence + 1, head.hash, { run, parentRun }));
            return name;
          } catch (error) {
            if (!(error instanceof RrbackupError) || error.code !== 'manifest.lost_race') throw error;
            return undefined;
          }
        }),
      );
      const won = results.filter((name) => name !== undefined);
      t.equal(won.length, 1, `one has won version ${head.sequence + 1}`);
      waiting = waiting.filter((name) => name !== won[0]);
      for await (const { header, hash } of chain.commits(stream, head.sequence === 0 ? undefined : head))
        head = { sequence: header.sequence, hash };
    }
    const { commits, code } = await readHistory(context);
    const names = new Set<string>();
    for (const commit of commits)
      for await (const { path } of commit.rows()) names.add(Buffer.from(path).toString());
    t.strictSame([code, commits.length, names.size], [undefined, writers, writers]);
  }
});

void t.test(
  'a bucket rolled back by 1 to 50 commits, or forked there, is an alarm with a way out',
  async (t) => {
    const machine = new Machine(t);
    const repository = await machine.open();
    const past: MemoryStore[] = [];
    for (let version = 1; version <= 51; version++) {
      machine.write('file', `version ${version}`);
      await backup(repository, machine.source);
      past.push(machine.store.copy());
    }
    await repository.close();
    const other = new Machine(t);
    for (const [index, store] of past.slice(0, -1).entries()) {
      const what = `${50 - index} commits back`;
      const rolledBack = { code: 'repository.rolled_back', kind: 'tampered', guidance: /--adopt/ };
      await t.rejects(machine.open({}, { store }), rolledBack, what);
      // Somebody else has gone on from there.
      if (index % 10 !== 0) continue;
      const fork = store.copy();
      // Version ids of its own, as any store has.
      await fork.put('elsewhere', Buffer.from('x'));
      const theirs = await other.open({ adopt: true, sync: false }, { store: fork });
      await theirs.adopt();
      for (let version = index + 2; version <= 51; version++) {
        other.write('file', `another ${version}`);
        await backup(theirs, other.source);
      }
      const forked = { code: 'repository.forked', kind: 'tampered', guidance: /--adopt/ };
      await t.rejects(machine.open({}, { store: fork }), forked, `${what}, forked`);
    }
    const adopted = await machine.open({ adopt: true, sync: false }, { store: past[20]! });
    await adopted.adopt();
    t.equal(adopted.catalog.streams()[0]!.head, 21);
  },
);

/** Versions of a key in any order, some objects several times; without ids only the newest of each, as of a plain bucket. */
class Disorderly extends WrappedStore {
  readonly #random = new Random(15);
  readonly #hasIds: boolean;

  constructor(inner: MemoryStore, hasIds: boolean) {
    super(inner);
    this.#hasIds = hasIds;
  }

  protected override around<T>(_subject: Subject, _call: Call, action: () => Promise<T>): Promise<T> {
    return action();
  }

  override async *list(prefix: string, options?: Call & { after?: string }): AsyncIterable<StoredObject> {
    const all: StoredObject[] = [];
    for await (const object of this.inner.list(prefix, options))
      if (this.#hasIds) all.push(object);
      else if (all.at(-1)?.key !== object.key) all.push({ ...object, versionId: '' });
    const twice = all.flatMap((object) => (this.#random.chance(0.5) ? [object, object] : [object]));
    yield* this.#random.shuffled(twice).sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  }
}

void t.test('listings reordered, with repetitions, without ids: the same history', async (t) => {
  const store = new MemoryStore();
  const context = await manifestContext(store);
  const hashes = await writeHistory(context, 30);
  // Noise of an attacker who may write, but not delete versions.
  for (let sequence = 1; sequence <= 30; sequence += 3) {
    const key = `streams/${stream}/commits/${String(sequence).padStart(10, '0')}`;
    const bytes = await store.get(key);
    for (let times = 0; times < 3; times++) await store.put(key, Buffer.from('noise'));
    store.hide(key);
    await store.put(key, bytes);
  }
  for (const hasIds of [true, false]) {
    const reading = { ...context, store: patient(new Disorderly(store, hasIds)) as unknown as MemoryStore };
    const read = await readHistory(reading);
    t.strictSame([read.code, read.hashes], [undefined, hashes], hasIds ? 'with ids' : 'without');
  }
});

void t.test('of a whole repository: the same versions, and none is made twice', async (t) => {
  const machine = new Machine(t);
  const repository = await machine.open();
  const trees: string[][] = [];
  for (let version = 1; version <= 5; version++) {
    machine.write(`file ${version}`, `version ${version}`);
    await backup(repository, machine.source);
    trees.push(machine.described());
  }
  for (const hasIds of [true, false]) {
    const other = new Machine(t, machine.store);
    const opened = await other.open({}, { store: patient(new Disorderly(machine.store, hasIds)) });
    for (const [index, tree] of trees.entries())
      t.strictSame(await other.restored(opened, index + 1), tree, hasIds ? 'with ids' : 'without');
    const again = await machine.open({}, { store: patient(new Disorderly(machine.store, hasIds)) });
    t.match(await backup(again, machine.source), { version: undefined, newest: 5 });
  }
});
