// What a log entry has to prove before it is a version, one proof at a time, each with all others in order: that it is of this
// stream and number, by its seal and by what it says; that its parent is the version before; and whose it is.

import t from 'tap';
import { ChainReader } from '../../lib/manifest/chain.js';
import { writeCheckpoint } from '../../lib/manifest/checkpoint.js';
import { checkpointMagic, commitMagic, partMagic, partTypes } from '../../lib/manifest/layout.js';
import { checkpointKey, commitKey } from '../../lib/manifest/names.js';
import { openObject, partBinding, rootBinding, sealObject } from '../../lib/manifest/object.js';
import { MemoryStore } from '../../lib/store/memory.js';
import {
  added,
  headerOf,
  manifestContext,
  readHistory,
  stream,
  writeCommit,
  writeHistory,
} from './fixture.js';

const other = 'bb'.repeat(16);

void t.test('the seal names stream and number of a root, stream and type of a part', async (t) => {
  const context = await manifestContext();
  const own = {
    root: [commitMagic, rootBinding(stream, 1), [rootBinding(stream, 2), rootBinding(other, 1)]],
    part: [
      partMagic,
      partBinding(stream, partTypes.rows),
      [partBinding(stream, partTypes.packs), partBinding(other, partTypes.rows)],
    ],
  } as const;
  for (const [what, [magic, binding, others]] of Object.entries(own)) {
    const { bytes } = sealObject(context, magic, binding, Buffer.from('body'));
    t.equal(openObject(context, magic, binding, bytes, what).toString(), 'body');
    for (const wrong of others)
      t.throws(() => openObject(context, magic, wrong, bytes, what), { code: 'manifest.damaged' });
  }
});

void t.test('a root that says it is another than its seal is none', async (t) => {
  const context = await manifestContext();
  const { store } = context;
  const hashes = await writeHistory(context, 2);
  await writeCheckpoint(context, {
    commitHash: hashes[1]!,
    header: headerOf(2, hashes[0]!),
    packs: [],
    rows: [],
  });
  for (const [at, sequence] of [
    [stream, 3],
    [other, 2],
  ] as const) {
    const move = async (magic: string, key: (stream: string, sequence: number) => string): Promise<void> => {
      const bytes = await store.get(key(stream, 2));
      const plain = openObject(context, magic, rootBinding(stream, 2), bytes, 'it');
      await store.put(key(at, sequence), sealObject(context, magic, rootBinding(at, sequence), plain).bytes);
    };
    await move(commitMagic, commitKey);
    await move(checkpointMagic, checkpointKey);
    const chain = new ChainReader(context);
    await t.rejects(chain.checkpoint(at, sequence), { code: 'manifest.damaged' });
    const after = { sequence: sequence - 1, hash: at === stream ? hashes[1]! : '' };
    await t.rejects(chain.commits(at, after).next(), { code: 'manifest.damaged_commit' });
  }
});

void t.test('an entry that goes on from another version than the one before is a fork', async (t) => {
  const context = await manifestContext();
  const hashes = await writeHistory(context, 2);
  const elsewhere = { ...context, store: new MemoryStore() };
  await writeCommit(elsewhere, headerOf(3, 'cd'.repeat(32)), [added('another')]);
  await context.store.put(commitKey(stream, 3), await elsewhere.store.get(commitKey(stream, 3)));
  const { hashes: read, code } = await readHistory(context);
  t.strictSame([read, code], [hashes, 'manifest.forked']);
});

void t.test("without If-None-Match: what is as long as ours is another writer's, and stays", async (t) => {
  const store = new MemoryStore({ ignoresIfNoneMatch: true });
  store.conditionalCreate = false;
  const context = await manifestContext(store);
  const commitOf = async (name: string): Promise<[bytes: Buffer, hash: string]> => {
    const elsewhere = await manifestContext();
    const { hash } = await writeCommit(elsewhere, headerOf(1, ''), [added(name)]);
    return [await elsewhere.store.get(commitKey(stream, 1)), hash];
  };
  const [[theirs, hash], [ours]] = [await commitOf('a'), await commitOf('b')];
  t.equal(theirs.length, ours.length);
  await store.put(commitKey(stream, 1), theirs);
  await t.rejects(writeCommit(context, headerOf(1, ''), [added('b')]), { code: 'manifest.lost_race' });
  t.strictSame((await readHistory(context)).hashes, [hash]);
});
