import t from 'tap';
import { ChainReader } from '../../lib/manifest/chain.js';
import { shouldCheckpoint, writeCheckpoint } from '../../lib/manifest/checkpoint.js';
import {
  checkpointKey,
  commitKey,
  sequenceOfCheckpoint,
  sequenceOfCommit,
} from '../../lib/manifest/names.js';
import { buildPack, noise } from '../pack/fixture.js';
import { added, collect, directory, headerOf, manifestContext, stream, writeHistory } from './fixture.js';

const context = await manifestContext();
const { store } = context;
const chain = new ChainReader(context);
const hashes = await writeHistory(context, 3);
const header = headerOf(3, hashes[1]!);
const { info } = buildPack(context, [[Buffer.from('content')]]);
const rows = [added('', directory), added('a'), added('b')];

t.test('a checkpoint is the whole tree at a version', async (t) => {
  await writeCheckpoint(context, { commitHash: hashes[2]!, header, packs: [info], rows });
  const checkpoint = await chain.checkpoint(stream, 3);
  t.match(checkpoint, { stream, sequence: 3, commitHash: hashes[2], parts: [] });
  t.same(checkpoint.header, header);
  t.same(await collect(checkpoint.rows()), rows);
  t.same(await collect(checkpoint.packs()), [info]);
  await writeCheckpoint(context, { commitHash: hashes[2]!, header, packs: [info], rows });
  t.same((await chain.checkpoint(stream, 3)).header, header, 'written twice');
});

t.test('a large one has parts', async (t) => {
  const value = noise(60_000);
  const many = Array.from({ length: 120 }, (_, index) =>
    added(`f${String(index).padStart(3, '0')}`, { xattrs: [{ name: Buffer.from('user.x'), value }] }),
  );
  const second = headerOf(2, hashes[0]!);
  await writeCheckpoint(context, { commitHash: hashes[1]!, header: second, packs: [], rows: many });
  const checkpoint = await chain.checkpoint(stream, 2);
  t.ok(checkpoint.parts.length >= 2);
  t.same(await collect(checkpoint.rows()), many);
});

t.test('overwritten, hidden and damaged ones', async (t) => {
  const key = checkpointKey(stream, 3);
  const intact = await store.get(key);
  await store.put(key, noise(300));
  store.hide(key);
  t.equal((await chain.checkpoint(stream, 3)).commitHash, hashes[2]);
  const alone = store.copy();
  for await (const { versionId } of store.list(key)) await alone.remove(key, versionId);
  const other = new ChainReader({ ...context, store: alone });
  await t.rejects(other.checkpoint(stream, 3), { code: 'manifest.no_checkpoint' });
  for (let index = 0; index < intact.length; index += 7) {
    const flipped = Buffer.from(intact);
    flipped[index]! ^= 1 << (index % 8);
    const damagedStore = alone.copy();
    await damagedStore.put(key, flipped);
    await t.rejects(new ChainReader({ ...context, store: damagedStore }).checkpoint(stream, 3), {
      code: /manifest.damaged|format.newer|crypto.other_repository/,
    });
  }
  const asCommit = alone.copy();
  await asCommit.put(key, await store.get(commitKey(stream, 3)));
  await t.rejects(new ChainReader({ ...context, store: asCommit }).checkpoint(stream, 3), {
    code: 'manifest.damaged',
  });
});

t.test('two that stand for different commits are a fork', async (t) => {
  const twin = store.copy();
  await writeCheckpoint({ ...context, store: twin }, { commitHash: hashes[0]!, header, packs: [], rows });
  await t.rejects(new ChainReader({ ...context, store: twin }).checkpoint(stream, 3), {
    code: 'manifest.forked',
  });
});

t.test('only whole trees', async (t) => {
  const removed = { op: 'removed', path: Buffer.from('a') } as const;
  const source = { commitHash: hashes[2]!, header, packs: [], rows: [removed] };
  await t.rejects(writeCheckpoint(context, source), RangeError);
});

t.test('when one is worth it', async (t) => {
  t.notOk(shouldCheckpoint({ rowsSinceCheckpoint: 0, treeRows: 0 }));
  t.notOk(
    shouldCheckpoint({ rowsSinceCheckpoint: 100, treeRows: 10 }),
    'a small tree is read at once anyway',
  );
  t.notOk(shouldCheckpoint({ rowsSinceCheckpoint: 50_000, treeRows: 100_000 }));
  t.ok(shouldCheckpoint({ rowsSinceCheckpoint: 50_001, treeRows: 100_000 }));
});

t.test('names', async (t) => {
  t.equal(commitKey(stream, 7), `streams/${stream}/commits/0000000007`);
  t.equal(checkpointKey(stream, 7), `streams/${stream}/checkpoints/0000000007/root`);
  t.equal(sequenceOfCommit(stream, commitKey(stream, 9_999_999_999)), 9_999_999_999);
  t.equal(sequenceOfCheckpoint(stream, checkpointKey(stream, 7)), 7);
  for (const name of ['0000000000', '7', '00000000007', '000000000x', '0000000007/root', ''])
    t.equal(sequenceOfCommit(stream, `streams/${stream}/commits/${name}`), undefined);
  for (const name of ['0000000007', '0000000007/part', '7/root', '0000000000/root'])
    t.equal(sequenceOfCheckpoint(stream, `streams/${stream}/checkpoints/${name}`), undefined);
  for (const sequence of [-1, 0.5, 10_000_000_000]) t.throws(() => commitKey(stream, sequence), RangeError);
});
