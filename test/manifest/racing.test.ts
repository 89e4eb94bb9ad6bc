// A store without conditional create: what a reader takes for the newest version, and what a writer does that is not alone.

import t from 'tap';
import type { Clock } from '../../lib/clock.js';
import { sha256 } from '../../lib/crypto/index.js';
import { ChainReader } from '../../lib/manifest/chain.js';
import { writeCheckpoint } from '../../lib/manifest/checkpoint.js';
import { CommitWriter } from '../../lib/manifest/commit.js';
import { commitKey } from '../../lib/manifest/names.js';
import { MemoryStore } from '../../lib/store/memory.js';
import type { Call, GetOptions, StoredObject } from '../../lib/store/types.js';
import { added, headerOf, manifestContext, stream, writeCommit, writeHistory } from './fixture.js';

/** What happens between the calls of whoever is looked at. */
class Racing extends MemoryStore {
  lists = 0;
  /** Of each get. */
  most_bytes: (number | undefined)[] = [];
  created: Uint8Array = Buffer.alloc(0);
  /** What a listing says that every object has. */
  lie_bytes: number | undefined;
  /** Before the n-th listing from now on (1 is the next). */
  readonly beforeList = new Map<number, () => Promise<unknown>>();

  constructor(isConditional = false, clock?: Clock) {
    super({ ignoresIfNoneMatch: !isConditional, ...(clock && { clock }) });
    this.conditionalCreate = isConditional;
  }

  override async *list(prefix: string, options?: Call & { after?: string }): AsyncIterable<StoredObject> {
    this.lists++;
    const act = this.beforeList.get(this.lists);
    this.beforeList.delete(this.lists);
    await act?.();
    for await (const object of super.list(prefix, options))
      yield this.lie_bytes === undefined ? object : { ...object, size_bytes: this.lie_bytes };
  }

  override create(key: string, bytes: Uint8Array, call?: Call): Promise<{ versionId: string }> {
    this.created = bytes;
    return super.create(key, bytes, call);
  }

  override get(key: string, options?: GetOptions): Promise<Buffer> {
    this.most_bytes.push(options?.most_bytes);
    return super.get(key, options);
  }

  /** From here on. */
  begin(): void {
    this.lists = 0;
    this.most_bytes = [];
  }
}

const now_ns = 1_800_000_000n * 10n ** 9n;

/** Nothing is waited for: `acts` are what happens in the pauses. */
function clockOf(acts: (() => Promise<unknown>)[] = [], later_ns = 0n): Clock & { pauses: number } {
  return {
    pauses: 0,
    now_ns: () => now_ns + later_ns,
    monotonic_ms: () => 0,
    async pause() {
      this.pauses++;
      await acts.shift()?.();
    },
  };
}

async function racing(count: number, isConditional = false) {
  const store = new Racing(isConditional, clockOf());
  const context: Context = { ...(await manifestContext(store)), store };
  return { store, context, hashes: await writeHistory(context, count) };
}

type Context = Awaited<ReturnType<typeof manifestContext>> & { readonly store: Racing };

/** What a writer puts that has read the history up to `hashes`, and does nothing more. */
async function put(context: Context, hashes: readonly string[], program: string) {
  const elsewhere = await manifestContext();
  const sequence = hashes.length + 1;
  const { hash } = await writeCommit(elsewhere, headerOf(sequence, hashes.at(-1) ?? '', { program }));
  const bytes = await elsewhere.store.get(commitKey(stream, sequence));
  const { versionId } = await context.store.put(commitKey(stream, sequence), bytes);
  return { hash, withdraw: () => context.store.remove(commitKey(stream, sequence), versionId) };
}

async function read(context: Context, clock: Clock, after?: { sequence: number; hash: string }) {
  const hashes: string[] = [];
  try {
    for await (const { hash } of new ChainReader(context, clock).commits(stream, after)) hashes.push(hash);
    return { hashes, code: undefined };
  } catch (error) {
    return { hashes, code: (error as { code: string }).code };
  }
}

t.test('a head that is withdrawn a moment later was never seen', async (t) => {
  const { context, hashes } = await racing(2);
  const loser = await put(context, hashes, 'loser');
  const clock = clockOf([loser.withdraw]);
  t.same(await read(context, clock), { hashes, code: undefined });
  t.equal(clock.pauses, 1);
});

t.test('what stays is seen, at the second look', async (t) => {
  const { store, context, hashes } = await racing(3);
  const clock = clockOf();
  store.begin();
  t.same(await read(context, clock), { hashes, code: undefined });
  t.same([clock.pauses, store.lists], [1, 2]);
  store.begin();
  const known = { sequence: 3, hash: hashes[2]! };
  t.same(await read(context, clock, known), { hashes: [], code: undefined });
  t.same([clock.pauses, store.lists], [1, 1], 'what is known already is not looked at twice');
});

t.test(
  'one look where nothing races: a head that is an hour old, or a store with conditional create',
  async (t) => {
    const old = await racing(3);
    const later = clockOf([], 3601n * 10n ** 9n);
    t.same(await read(old.context, later), { hashes: old.hashes, code: undefined });
    const conditional = await racing(3, true);
    const clock = clockOf();
    t.same(await read(conditional.context, clock), { hashes: conditional.hashes, code: undefined });
    t.same([later.pauses, clock.pauses], [0, 0]);
  },
);

t.test('two heads: the one that stays, and none while both do', async (t) => {
  const { context, hashes } = await racing(2);
  const one = await put(context, hashes, 'one');
  await put(context, hashes, 'two');
  const clock = clockOf();
  t.same(await read(context, clock), { hashes, code: 'manifest.undecided' });
  t.equal(clock.pauses, 2);
  const known = { sequence: 3, hash: one.hash };
  t.same(await read(context, clockOf(), known), { hashes: [], code: undefined }, 'who made it knows');
  const { hash } = await put(context, [...hashes, one.hash], 'next');
  t.same(await read(context, clockOf()), { hashes: [...hashes, one.hash, hash], code: undefined }, 'decided');

  const other = await racing(2);
  const stays = await put(other.context, other.hashes, 'one');
  const goes = await put(other.context, other.hashes, 'two');
  const all = [...other.hashes, stays.hash];
  t.same(await read(other.context, clockOf([goes.withdraw])), { hashes: all, code: undefined });
});

t.test('an alarm is what is the same at every look', async (t) => {
  const { store, context, hashes } = await racing(3);
  const key = commitKey(stream, 2);
  const { versionId } = (await store.stat(key))!;
  const bytes = await store.get(key);
  await store.remove(key, versionId);
  const back = () => store.put(key, bytes);
  t.same(await read(context, clockOf([back])), { hashes, code: undefined }, 'put back in time');
  await store.remove(key, (await store.stat(key))!.versionId);
  t.same(await read(context, clockOf()), { hashes: hashes.slice(0, 1), code: 'manifest.missing_commit' });
});

interface Read {
  readonly context: Context;
  readonly hashes: readonly string[];
  /** Of the newest; default: as it stands there. */
  readonly parentVersionId?: string;
}

/** Commits on top of what was read. */
async function commit({ context, hashes, ...read }: Read) {
  const sequence = hashes.length + 1;
  const parentVersionId =
    read.parentVersionId ?? (await context.store.stat(commitKey(stream, hashes.length)))!.versionId;
  const writer = new CommitWriter({ ...context, stream });
  await writer.addRow(added(`file-${sequence}`));
  context.store.begin();
  const header = headerOf(sequence, hashes.at(-1)!, { parentVersionId });
  return writer.publish(header).then(
    ({ hash }) => ({ hash, code: undefined }),
    (error: unknown) => ({ hash: undefined, code: (error as { code: string }).code }),
  );
}

const lost = { hash: undefined, code: 'manifest.lost_race' };

t.test('a writer that is alone asks once more, and fetches nothing', async (t) => {
  const { store, context, hashes } = await racing(2);
  const { hash } = await commit({ context, hashes });
  t.same([store.lists, store.most_bytes], [1, []]);
  t.same(await read(context, clockOf()), { hashes: [...hashes, hash], code: undefined });
});

t.test('the parent is withdrawn: so is what builds upon it', async (t) => {
  const { store, context, hashes } = await racing(2);
  const parent = await put(context, hashes, 'parent');
  store.beforeList.set(1, parent.withdraw);
  t.same(await commit({ context, hashes: [...hashes, parent.hash] }), lost);
  t.same(await read(context, clockOf()), { hashes, code: undefined });
});

t.test('who has been built upon stays, and who has withdrawn is put back for it', async (t) => {
  const built = await racing(2);
  let next = '';
  const follow = async (context: Context, hashes: readonly string[]): Promise<void> => {
    next = (await put(context, [...hashes, sha256(context.store.created).toString('hex')], 'next')).hash;
  };
  built.store.beforeList.set(1, async () => {
    await put(built.context, built.hashes, 'other');
    await follow(built.context, built.hashes);
  });
  const { hash } = await commit(built);
  t.same(await read(built.context, clockOf()), { hashes: [...built.hashes, hash, next], code: undefined });

  const late = await racing(2);
  const ours = () => sha256(late.store.created).toString('hex');
  late.store.beforeList.set(1, async () => {
    const { withdraw } = await put(late.context, late.hashes, 'other');
    late.store.beforeList.set(2, async () => {
      await withdraw();
      await follow(late.context, late.hashes);
    });
  });
  t.same(await commit(late), lost, 'whose history tells that it stands');
  t.same(await read(late.context, clockOf()), { hashes: [...late.hashes, ours(), next], code: undefined });
});

t.test('somebody is there already, beside or behind: exactly our own goes', async (t) => {
  for (const upon of [[], ['ab'.repeat(32)]]) {
    const { store, context, hashes } = await racing(2);
    store.beforeList.set(1, () => put(context, [...hashes, ...upon], 'other'));
    t.same(await commit({ context, hashes }), lost);
    const left = [];
    for await (const { key } of store.list(`streams/${stream}/commits/`)) left.push(key);
    t.same(
      left,
      [1, 2, 3 + upon.length].map((sequence) => commitKey(stream, sequence)),
    );
  }
});

t.test('a parent under another version id, or that only a checkpoint stands for, is a parent', async (t) => {
  const { store, context, hashes } = await racing(2);
  const key = commitKey(stream, 2);
  const { versionId } = (await store.stat(key))!;
  const bytes = await store.get(key);
  await store.remove(key, versionId);
  const header = headerOf(2, hashes[0]!);
  await writeCheckpoint(context, { commitHash: hashes[1]!, header, packs: [], rows: [] });
  t.same((await commit({ context, hashes, parentVersionId: versionId })).code, undefined);
  await store.put(key, bytes);
  t.equal((await read(context, clockOf())).hashes.length, 3);
  const copied = await racing(2);
  t.same((await commit({ ...copied, parentVersionId: 'of another store' })).code, undefined);
});

t.test(
  'what stands beside ours is not fetched beyond the length of ours, whatever a listing says',
  async (t) => {
    const { store, context, hashes } = await racing(2);
    store.beforeList.set(1, () => {
      store.lie_bytes = store.created.length;
      return store.put(commitKey(stream, 3), Buffer.alloc(store.lie_bytes + 1));
    });
    t.same(await commit({ context, hashes }), lost);
    t.same(store.most_bytes, [store.created.length]);
  },
);
