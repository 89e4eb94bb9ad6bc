// Two machines at once on a store without conditional create: a repository that both would make, and a history with two ends,
// left by a machine that died before it could withdraw its own.

import t, { type Test } from 'tap';
import { backup, listPasswords, recover, type Repository } from '../../lib/index.js';
import { FaultStore } from '../../lib/store/faults.js';
import { MemoryStore } from '../../lib/store/memory.js';
import type { Call } from '../../lib/store/types.js';
import { restless } from '../manifest/fixture.js';
import { Machine } from './fixture.js';

/** Does something before it stores what nothing may stand beside, and may die over it. */
class Meeting extends FaultStore {
  readonly #key: RegExp;
  readonly #before: () => Promise<unknown>;
  readonly #dies: boolean;

  constructor(store: MemoryStore, key: RegExp, before: () => Promise<unknown>, { dies = false } = {}) {
    super(store);
    this.#key = key;
    this.#before = before;
    this.#dies = dies;
  }

  override async create(key: string, bytes: Uint8Array, call?: Call): Promise<{ versionId: string }> {
    const isIt = this.#key.test(key);
    if (isIt) await this.#before();
    const stored = await super.create(key, bytes, call);
    if (isIt && this.#dies) this.add({ nth: 1, times: Infinity, kind: 'before' });
    return stored;
  }
}

const racy = () => new MemoryStore({ ignoresIfNoneMatch: true });
const busy = { code: 'repository.made_meanwhile', kind: 'busy', guidance: /again/ };
const secret = { configuration: { encryption: 'password', password: () => Promise.resolve('one') } } as const;

void t.test('two machines make a repository at once: neither does, and then one of them', async (t) => {
  const store = racy();
  let arrive = (): void => undefined;
  const both = new Promise<void>((resolve) => (arrive = resolve));
  let waiting = 2;
  const meet = async (): Promise<void> => {
    if (--waiting === 0) arrive();
    await both;
  };
  const machines = [new Machine(t, store), new Machine(t, store)];
  const opening = machines.map((machine) => machine.open({}, { store: new Meeting(store, /json$/, meet) }));
  for (const opened of opening) await t.rejects(opened, busy);
  t.equal(await store.stat('rrbackup.json'), undefined);
  const [one, two] = [await machines[0]!.open(), await machines[1]!.open()];
  t.equal(one.id, two.id);
});

void t.test('the second to make it uses the first, and leaves a key slot that opens nothing', async (t) => {
  const store = racy();
  const [one, two] = [new Machine(t, store), new Machine(t, store)];
  let made: Repository | undefined;
  const meeting = new Meeting(store, /json$/, async () => (made = await two.open({}, secret)));
  await t.rejects(one.open({}, { ...secret, store: meeting }), busy);
  const opened = await one.open({}, secret);
  t.equal(opened.id, made!.id);
  const { passwords, unreadable } = await listPasswords(store, opened.id);
  t.same([passwords.length, unreadable.length], [1, 1]);
});

/** Two machines of one name that know version 1, the second of which has died while it committed version 2. */
async function twoEnds(t: Test, { firstDies }: { firstDies: boolean }) {
  const store = racy();
  const [one, two] = [new Machine(t, store), new Machine(t, store)];
  one.write('file', 'first');
  const first = await one.open({ clock: restless });
  await backup(first, one.source);
  one.write('file', 'of one');
  two.write('file', 'of two');
  const commits = /commits/;
  const dies = { dies: true };
  const commitOne = async () => {
    if (!firstDies) return backup(first, one.source);
    const dying = new Meeting(store, commits, () => Promise.resolve(), dies);
    return t.rejects(backup(await one.open({ clock: restless }, { store: dying }), one.source));
  };
  const dying = new Meeting(store, commits, commitOne, dies);
  await t.rejects(backup(await two.open({ clock: restless }, { store: dying }), two.source));
  return { store, one, first };
}

/** One that has seen nothing yet. */
async function stranger(t: Test, store: MemoryStore) {
  const machine = new Machine(t, store);
  const warnings: string[] = [];
  const options = { clock: restless, onWarning: (message: string) => warnings.push(message) };
  return { machine, warnings, repository: await machine.open(options) };
}

const heads = ({ catalog }: Repository): number[] => catalog.streams().map(({ head }) => head);
const undecided = { code: 'manifest.undecided', kind: 'damaged', guidance: /recover/ };

void t.test('two ends: none shows, and who was told of success goes on from its own', async (t) => {
  const { store, one, first } = await twoEnds(t, { firstDies: false });
  const { machine, warnings, repository } = await stranger(t, store);
  t.same(heads(repository), [1]);
  t.match(warnings, [/newest version .* does not show yet/]);
  machine.write('file', 'of a stranger');
  await t.rejects(backup(repository, machine.source), undecided);
  one.write('file', 'more');
  t.match(await backup(first, one.source), { version: 3 });
  t.match(await backup(repository, machine.source), { version: 4 });
  t.same(heads((await stranger(t, store)).repository), [4]);
});

void t.test(
  'two ends of which nobody knows: recover chooses one, and backups go on from there',
  async (t) => {
    const { store } = await twoEnds(t, { firstDies: true });
    const { machine, repository } = await stranger(t, store);
    await recover(repository);
    t.same(heads(repository), [2]);
    machine.write('file', 'of a stranger');
    t.match(await backup(repository, machine.source), { version: 3 });
    const another = await stranger(t, store);
    t.same([heads(another.repository), another.warnings], [[3], []]);
    t.match(await recover(another.repository), { streams: [{ rebuilt: [], lost: [] }] });
  },
);
