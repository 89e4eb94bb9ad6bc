import t from 'tap';
import { ByteWriter } from '../../lib/bytes/cursor.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { ChainReader } from '../../lib/manifest/chain.js';
import { writeCheckpoint } from '../../lib/manifest/checkpoint.js';
import { commitMagic } from '../../lib/manifest/layout.js';
import { checkpointKey, commitKey } from '../../lib/manifest/names.js';
import { rootBinding, sealObject } from '../../lib/manifest/object.js';
import type { GetOptions, StoredObject } from '../../lib/store/types.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { noise } from '../pack/fixture.js';
import {
  added,
  headerOf,
  manifestContext,
  readHistory,
  stream,
  writeCommit,
  writeHistory,
} from './fixture.js';

const count = 12;

async function history(store = new MemoryStore()) {
  const context = await manifestContext(store);
  const hashes = await writeHistory(context, count);
  return { context, hashes, store };
}

async function remove(store: MemoryStore, key: string): Promise<void> {
  const { versionId } = (await store.stat(key))!;
  await store.remove(key, versionId);
}

t.test('all versions in order, or those behind a known one', async (t) => {
  const { context, hashes } = await history();
  const all = await readHistory(context);
  t.same(all.hashes, hashes);
  t.same(
    all.commits.map(({ header }) => header.sequence),
    hashes.map((_, index) => index + 1),
  );
  for (const sequence of [1, 5, 11, 12]) {
    const rest = await readHistory(context, { sequence, hash: hashes[sequence - 1]! });
    t.same(rest, { ...rest, hashes: hashes.slice(sequence), code: undefined });
  }
});

t.test('a stream that is not there has no versions', async (t) => {
  const context = await manifestContext();
  t.same(await readHistory(context), { commits: [], hashes: [], code: undefined, error: undefined });
});

t.test('a reader that stops early leaves nothing behind', async (t) => {
  const { context, hashes } = await history();
  for await (const commit of new ChainReader(context).commits(stream)) {
    t.equal(commit.hash, hashes[0]);
    break;
  }
});

t.test('another known hash than the one in the store is a fork', async (t) => {
  const { context } = await history();
  for (const sequence of [5, 12]) {
    const { code, commits } = await readHistory(context, { sequence, hash: 'ab'.repeat(32) });
    t.equal(code, 'manifest.forked');
    t.equal(commits.length, 0);
  }
});

t.test('where the version id of what is known is listed, it is not fetched again', async (t) => {
  class Counting extends MemoryStore {
    gets = 0;
    override get(key: string, options = {}): Promise<Buffer> {
      this.gets++;
      return super.get(key, options);
    }
  }
  const store = new Counting();
  const { context, hashes } = await history(store);
  const { versionId } = (await store.stat(commitKey(stream, count)))!;
  const hash = hashes[count - 1]!;
  for (const [known, gets] of [
    [{ sequence: count, hash, versionId }, 0],
    [{ sequence: count, hash, versionId: '' }, 1],
    [{ sequence: count, hash, versionId: 'of another store' }, 1],
  ] as const) {
    store.gets = 0;
    t.equal((await readHistory(context, known)).code, undefined);
    t.equal(store.gets, gets);
  }
});

t.test('a bucket rolled back is noticed', async (t) => {
  const { context, hashes, store } = await history();
  for (const by of [1, 5, 12]) {
    const past = store.copy();
    for (let sequence = count - by + 1; sequence <= count; sequence++)
      await remove(past, commitKey(stream, sequence));
    const { code } = await readHistory(
      { ...context, store: past },
      { sequence: count, hash: hashes[count - 1]! },
    );
    t.equal(code, 'manifest.rolled_back');
  }
});

t.test('a bucket rolled back and written on is a fork', async (t) => {
  const { context, hashes, store } = await history();
  const fork = store.copy();
  for (const sequence of [11, 12]) await remove(fork, commitKey(stream, sequence));
  const other = { ...context, store: fork };
  let parent = hashes[9]!;
  for (const sequence of [11, 12, 13]) parent = (await writeCommit(other, headerOf(sequence, parent))).hash;
  t.equal((await readHistory(other, { sequence: 12, hash: hashes[11]! })).code, 'manifest.forked');
  t.equal((await readHistory(other, { sequence: 10, hash: hashes[9]! })).code, undefined);
});

t.test('each commit deleted in turn: those before it, then a word about the missing one', async (t) => {
  const { context, hashes, store } = await history();
  for (let sequence = 1; sequence < count; sequence++) {
    const holed = store.copy();
    await remove(holed, commitKey(stream, sequence));
    const result = await readHistory({ ...context, store: holed });
    t.same(result.hashes, hashes.slice(0, sequence - 1));
    t.equal(result.code, 'manifest.missing_commit');
    t.match(result.error, { kind: 'damaged', message: new RegExp(`version ${sequence} `) });
  }
});

t.test('overwritten and delete-marked by an attacker: everything reads as before', async (t) => {
  const { context, hashes, store } = await history();
  for (let sequence = 1; sequence <= count; sequence++) {
    const key = commitKey(stream, sequence);
    const intact = await store.get(key);
    await store.put(key, noise(500, sequence));
    await store.put(key, Buffer.alloc(0));
    await store.put(key, intact.subarray(0, 200));
    await store.put(key, await store.get(commitKey(stream, 1 + (sequence % count))));
    const newer = Buffer.from(intact);
    newer[8] = 9;
    await store.put(key, newer);
    if (sequence % 2 === 0) store.hide(key);
  }
  t.same((await readHistory(context)).hashes, hashes);
});

t.test('listings reordered, duplicated or with strange keys mean the same', async (t) => {
  class Shuffling extends MemoryStore {
    override async *list(prefix: string, options = {}): AsyncIterable<StoredObject> {
      const byKey = new Map<string, StoredObject[]>();
      for await (const object of super.list(prefix, options))
        byKey.set(object.key, [object, ...(byKey.get(object.key) ?? []), object]);
      for (const objects of byKey.values()) yield* objects;
    }
  }
  const { context, hashes, store } = await history(new Shuffling());
  await store.put(commitKey(stream, 3), noise(100));
  await store.put(`streams/${stream}/commits/0000000003.tmp`, noise(100));
  await store.put(`streams/${stream}/commits/0000000000`, noise(100));
  t.same((await readHistory(context)).hashes, hashes);
});

t.test('of two true entries the one that the next names is the version', async (t) => {
  const { context, hashes, store } = await history();
  const withdrawn = store.copy();
  await remove(withdrawn, commitKey(stream, 7));
  await writeCommit({ ...context, store: withdrawn }, headerOf(7, hashes[5]!, { program: 'the loser' }));
  await store.put(commitKey(stream, 7), await withdrawn.get(commitKey(stream, 7)));
  t.same((await readHistory(context)).hashes, hashes);
});

t.test('two true entries at the head: nothing decides until the next version does', async (t) => {
  const { context, hashes, store } = await history();
  const twin = store.copy();
  await remove(twin, commitKey(stream, count));
  await writeCommit(
    { ...context, store: twin },
    headerOf(count, hashes[count - 2]!, { program: 'the twin' }),
  );
  await store.put(commitKey(stream, count), await twin.get(commitKey(stream, count)));
  const open = await readHistory(context);
  t.same(open.hashes, hashes.slice(0, -1));
  t.equal(open.code, 'manifest.forked');
  const { hash } = await writeCommit(context, headerOf(count + 1, hashes[count - 1]!));
  t.same((await readHistory(context)).hashes, [...hashes, hash]);
});

t.test('an entry withdrawn between listing and reading never was', async (t) => {
  class Vanishing extends MemoryStore {
    override get(key: string, options = {}): Promise<Buffer> {
      return key === commitKey(stream, count) ? super.get('gone', options) : super.get(key, options);
    }
  }
  const { context, hashes } = await history(new Vanishing());
  const { hashes: read, code } = await readHistory(context);
  t.same(read, hashes.slice(0, -1));
  t.equal(code, undefined);
});

t.test('what another account has put over an entry, for nobody else to read, hides nothing', async (t) => {
  class Denying extends MemoryStore {
    denied: string | undefined;
    override async get(key: string, options: GetOptions = {}): Promise<Buffer> {
      const denial = { code: 'store.denied', kind: 'store', message: 'the store denied it' } as const;
      if (key === commitKey(stream, 5) && options.versionId === this.denied) throw new RrbackupError(denial);
      return super.get(key, options);
    }
  }
  const store = new Denying();
  const { context, hashes } = await history(store);
  const own = (await store.stat(commitKey(stream, 5)))!.versionId;
  ({ versionId: store.denied } = await store.put(commitKey(stream, 5), noise(100)));
  t.same((await readHistory(context)).hashes, hashes);
  await store.remove(commitKey(stream, 5), store.denied);
  store.denied = own;
  t.equal((await readHistory(context)).code, 'store.denied', 'a denial is no damage');
});

t.test('entries of other places, streams and repositories are refused', async (t) => {
  const { context, hashes, store } = await history();
  const replayed = await store.get(commitKey(stream, 11));
  store.tamper(commitKey(stream, count), replayed);
  t.equal((await readHistory(context)).code, 'manifest.damaged_commit');

  const otherStream = 'bb'.repeat(16);
  await writeCommit(context, headerOf(1, '', { stream: otherStream }));
  const strange = store.copy();
  strange.tamper(commitKey(stream, 1), await store.get(commitKey(otherStream, 1)));
  t.equal((await readHistory({ ...context, store: strange })).code, 'manifest.damaged_commit');

  const elsewhere = { ...context, repositoryId: 'ff'.repeat(16), store: new MemoryStore() };
  await writeCommit(elsewhere, headerOf(1, ''));
  strange.tamper(commitKey(stream, 1), await elsewhere.store.get(commitKey(stream, 1)));
  const { error } = await readHistory({ ...context, store: strange });
  t.match(error, { code: 'manifest.damaged_commit', message: /another repository/ });
  t.same(hashes.length, count);
});

t.test('kinds of log entries to come are newer', async (t) => {
  const { context, hashes, store } = await history();
  for (const kind of [2, 3, 255]) {
    const body = new ByteWriter().u8(kind).raw(noise(50)).take();
    const { bytes } = sealObject(context, commitMagic, rootBinding(stream, count + 1), body);
    const later = store.copy();
    await later.put(commitKey(stream, count + 1), bytes);
    const { hashes: read, code, error } = await readHistory({ ...context, store: later });
    t.same(read, hashes);
    t.equal(code, 'format.newer');
    t.match(error, { message: /version 13 .*newer rrbackup/ });
  }
});

t.test('roots that lie are refused', async (t) => {
  const context = await manifestContext();
  for (const body of [
    Buffer.of(),
    Buffer.of(1),
    Buffer.concat([Buffer.of(1), noise(500)]),
    Buffer.alloc(1000, 1),
  ]) {
    const { bytes } = sealObject(context, commitMagic, rootBinding(stream, 1), body);
    const store = new MemoryStore();
    await store.put(commitKey(stream, 1), bytes);
    t.equal((await readHistory({ ...context, store })).code, 'manifest.damaged_commit');
  }
});

t.test('behind a gap a checkpoint leads on', async (t) => {
  const { context, hashes, store } = await history();
  for (const sequence of [4, 8]) {
    const header = headerOf(sequence, hashes[sequence - 2]!);
    await writeCheckpoint(context, {
      commitHash: hashes[sequence - 1]!,
      header,
      packs: [],
      rows: [added('tree')],
    });
  }
  for (const sequence of [6, 7, 8]) await remove(store, commitKey(stream, sequence));
  const chain = new ChainReader(context);
  const { code, commits, error } = await readHistory(context);
  t.equal(code, 'manifest.missing_commit');
  t.match(error, { message: /versions 6 to 8 / });
  t.same(await chain.checkpoints(stream), [4, 8]);
  const [next] = await chain.checkpoints(stream, commits.length + 1);
  t.equal(next, 8);
  const checkpoint = await chain.checkpoint(stream, next!);
  const rest = await readHistory(context, { sequence: next!, hash: checkpoint.commitHash });
  t.same(rest.hashes, hashes.slice(8));
  t.equal(rest.code, undefined);
});

t.test('a known log entry whose bytes are damaged is no fork', async (t) => {
  const { context, hashes, store } = await history();
  const known = { sequence: 8, hash: hashes[7]! };
  store.tamper(commitKey(stream, 8), Buffer.from('damaged'));
  t.equal((await readHistory(context, known)).code, 'manifest.damaged_commit');
  const header = headerOf(8, hashes[6]!);
  await writeCheckpoint(context, { commitHash: hashes[7]!, header, packs: [], rows: [] });
  const rest = await readHistory(context, known);
  t.same(rest.hashes, hashes.slice(8), 'a checkpoint leads on');
  t.equal(rest.code, undefined);
});

t.test('a checkpoint of the newest version stands for it when all log entries are gone', async (t) => {
  const { context, hashes, store } = await history();
  const header = headerOf(count, hashes[count - 2]!);
  await writeCheckpoint(context, { commitHash: hashes[count - 1]!, header, packs: [], rows: [] });
  for (let sequence = 1; sequence <= count; sequence++) await remove(store, commitKey(stream, sequence));
  const { code } = await readHistory(context, { sequence: count, hash: hashes[count - 1]! });
  t.equal(code, undefined);
  t.ok(await store.stat(checkpointKey(stream, count)));
});
