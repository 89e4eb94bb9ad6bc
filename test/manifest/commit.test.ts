import { isDeepStrictEqual } from 'node:util';
import t from 'tap';
import { ChainReader } from '../../lib/manifest/chain.js';
import { CommitWriter } from '../../lib/manifest/commit.js';
import { manifestLimits } from '../../lib/manifest/layout.js';
import { commitKey, partKey } from '../../lib/manifest/names.js';
import type { Commit, Row } from '../../lib/manifest/types.js';
import type { PackInfo } from '../../lib/pack/types.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { buildPack, noise } from '../pack/fixture.js';
import {
  added,
  collect,
  directory,
  headerOf,
  manifestContext,
  readHistory,
  stream,
  writeCommit,
} from './fixture.js';

async function only(context: Awaited<ReturnType<typeof manifestContext>>): Promise<Commit> {
  const { commits, error } = await readHistory(context);
  if (commits.length !== 1) throw error ?? new Error(`${commits.length} commits`);
  return commits[0]!;
}

t.test('a small commit is one object', async (t) => {
  const context = await manifestContext();
  const { info } = buildPack(context, [[Buffer.from('content')]]);
  const rows = [added('', directory), added('a')];
  const header = headerOf(1, '', {
    userNames: new Map([
      [7, 'seven'],
      [1, 'ö'],
    ]),
  });
  const { hash, versionId } = await writeCommit(context, header, rows, [{ ...info, versionId: 'v-7' }]);
  const keys = (await collect(context.store.list(''))).map(({ key }) => key);
  t.same(keys, [commitKey(stream, 1)]);
  const commit = await only(context);
  t.match(commit, { kind: 'version', hash, versionId, parts: [] });
  t.same(commit.header, {
    ...header,
    userNames: new Map([
      [1, 'ö'],
      [7, 'seven'],
    ]),
  });
  t.same(await collect(commit.rows()), rows);
  t.same(await collect(commit.packs()), [{ ...info, versionId: 'v-7' }]);
});

t.test('a commit without rows and packs', async (t) => {
  const context = await manifestContext();
  await writeCommit(context, headerOf(1, ''), []);
  const commit = await only(context);
  t.same(await collect(commit.rows()), []);
  t.same(await collect(commit.packs()), []);
});

/** Enough of both for several parts. */
function largeDiff(context: Parameters<typeof buildPack>[0]): { rows: Row[]; packs: PackInfo[] } {
  const value = noise(40_000);
  const rows = Array.from({ length: 250 }, (_, index) =>
    added(`file-${String(index).padStart(4, '0')}`, { xattrs: [{ name: Buffer.from('user.x'), value }] }),
  );
  const plains = Array.from({ length: 60_000 }, (_, index) => Buffer.from(`chunk ${index}`));
  const { info } = buildPack(context, [plains.slice(0, 30_000), plains.slice(30_000)]);
  return { rows, packs: [info, { ...info, versionId: 'second' }, { ...info, versionId: 'third' }] };
}

t.test('a large commit: parts first, all bound to it', async (t) => {
  const context = await manifestContext();
  const { rows, packs } = largeDiff(context);
  await writeCommit(context, headerOf(1, ''), rows, packs);
  const commit = await only(context);
  t.ok(commit.parts.length >= 4, `${commit.parts.length} parts`);
  t.ok(isDeepStrictEqual(await collect(commit.rows()), rows));
  t.ok(isDeepStrictEqual(await collect(commit.packs()), packs));
  for (const part of commit.parts) t.ok(part.size_bytes < manifestLimits.body_bytes);

  // Ten megabytes of rows make three parts; those of packs come first.
  const packParts = commit.parts.length - 3;
  for (const [index, part] of commit.parts.entries()) {
    const key = partKey(stream, part.hash);
    const intact = await context.store.get(key);
    const read = async () => {
      const isPacks = index < packParts;
      return (await collect<unknown>(isPacks ? commit.packs() : commit.rows())).length;
    };
    const flipped = Buffer.from(intact);
    flipped[flipped.length >> 1]! ^= 1;
    context.store.tamper(key, flipped);
    await t.rejects(
      read(),
      { code: 'manifest.damaged', message: new RegExp(part.hash) },
      `part ${index}, one bit`,
    );
    context.store.tamper(key, intact.subarray(0, -1));
    await t.rejects(read(), { code: 'manifest.damaged' }, `part ${index}, cut`);
    const other = commit.parts[(index + 1) % commit.parts.length]!;
    context.store.tamper(key, await context.store.get(partKey(stream, other.hash)));
    await t.rejects(read(), `part ${index}, another in its place`);
    context.store.tamper(key, intact);
    await context.store.put(key, noise(10));
    context.store.hide(key);
    await t.resolves(read(), `part ${index}, overwritten and hidden: the version named is read`);
    await context.store.remove(key, part.versionId);
    await t.rejects(read(), { code: 'manifest.damaged' }, `part ${index}, deleted`);
    await context.store.put(key, intact);
    await t.resolves(read(), `part ${index}, back under another version id`);
  }
});

t.test('rows out of order, unsafe or twice never get in', async (t) => {
  const context = await manifestContext();
  const writer = new CommitWriter({ ...context, stream });
  await writer.addRow(added('b'));
  await t.rejects(writer.addRow(added('a')), { code: 'manifest.bad_row' });
  await t.rejects(writer.addRow(added('b')), { code: 'manifest.bad_row' });
  await t.rejects(writer.addRow(added('c/..')), { code: 'manifest.bad_row' });
  await writer.addRow(added('c'));
  t.equal(writer.rowCount, 2);
  t.equal(writer.packCount, 0);
});

t.test('an upload that fails is heard of, at the latest when publishing', async (t) => {
  class Failing extends MemoryStore {
    override put(): Promise<{ versionId: string }> {
      return Promise.reject(new Error('no space'));
    }
  }
  const context = await manifestContext(new Failing());
  const { rows } = largeDiff(context);
  const writer = new CommitWriter({ ...context, stream });
  const work = async () => {
    for (const row of rows) await writer.addRow(row);
    await writer.publish(headerOf(1, ''));
  };
  await t.rejects(work(), /no space/);
  t.same(await readHistory(context), { commits: [], hashes: [], code: undefined, error: undefined });
});

t.test('headers that make no sense are not written', async (t) => {
  const context = await manifestContext();
  await t.rejects(writeCommit(context, headerOf(1, 'ab'.repeat(32))), RangeError);
  await t.rejects(writeCommit(context, headerOf(2, '')), RangeError);
  await t.rejects(writeCommit(context, headerOf(1, '', { host: 'h'.repeat(5000) })), {
    code: 'manifest.header_too_large',
  });
  const names = new Map(Array.from({ length: 100_000 }, (_, id) => [id, 'n'.repeat(200)]));
  await t.rejects(writeCommit(context, headerOf(1, '', { userNames: names })), {
    code: 'manifest.header_too_large',
  });
  const writer = new CommitWriter({ ...context, stream: 'bb'.repeat(16) });
  await t.rejects(writer.publish(headerOf(1, '')), RangeError);
});

t.test('of many writers one commits', async (t) => {
  for (let round = 0; round < 20; round++) {
    const context = await manifestContext();
    const header = (writer: number) => headerOf(1, '', { run: String(writer).padStart(32, '0') });
    const attempts = Array.from({ length: 8 }, (_, writer) => writeCommit(context, header(writer)));
    const results = await Promise.allSettled(attempts);
    const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.hash] : []));
    t.equal(won.length, 1);
    for (const result of results)
      if (result.status === 'rejected') t.match(result.reason, { code: 'manifest.lost_race', kind: 'busy' });
    t.same((await readHistory(context)).hashes, won);
  }
});

t.test('a store that ignores If-None-Match: never two, and never a success undone', async (t) => {
  for (let round = 0; round < 50; round++) {
    const store = new MemoryStore({ ignoresIfNoneMatch: true });
    store.conditionalCreate = false;
    const context = await manifestContext(store);
    const attempts = Array.from({ length: 1 + (round % 4) }, async (_, writer) => {
      for (let turns = 0; turns < (round * writer) % 7; turns++) await Promise.resolve();
      return writeCommit(context, headerOf(1, '', { run: String(writer).padStart(32, '0') }));
    });
    const results = await Promise.allSettled(attempts);
    const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.hash] : []));
    t.ok(won.length <= 1);
    for (const result of results)
      if (result.status === 'rejected') t.match(result.reason, { code: 'manifest.lost_race' });
    t.same((await readHistory(context)).hashes, won);
    if (won.length === 0) await t.resolves(writeCommit(context, headerOf(1, '')), 'the next attempt');
  }
});

t.test('without conditional create, a put that was retried after a lost answer is still ours', async (t) => {
  class Stuttering extends MemoryStore {
    override async put(key: string, bytes: Uint8Array): Promise<{ versionId: string }> {
      await super.put(key, bytes);
      return super.put(key, bytes);
    }
    override create(key: string, bytes: Uint8Array): Promise<{ versionId: string }> {
      return this.put(key, bytes);
    }
  }
  const store = new Stuttering({ ignoresIfNoneMatch: true });
  store.conditionalCreate = false;
  const context = await manifestContext(store);
  const { hash } = await writeCommit(context, headerOf(1, ''));
  t.same((await readHistory(context)).hashes, [hash]);
});

t.test(
  'a commit hidden by a delete marker is not committed over, by a run that began long ago',
  async (t) => {
    const context = await manifestContext();
    const { hash } = await writeCommit(context, headerOf(1, ''));
    context.store.hide(commitKey(stream, 1));
    let now_ms = 0;
    const late = { ...context, clock: { now_ns: () => 0n, monotonic_ms: () => (now_ms += 61_000) } };
    await t.rejects(writeCommit(late, headerOf(1, '')), { code: 'manifest.lost_race' });
    t.same((await readHistory(context)).hashes, [hash]);
  },
);

t.test('every byte of a commit, changed in turn, and every truncation, is noticed', async (t) => {
  const context = await manifestContext();
  await writeCommit(context, headerOf(1, ''));
  const key = commitKey(stream, 1);
  const intact = await context.store.get(key);
  const codes = ['manifest.damaged_commit', 'format.newer'];
  for (let index = 0; index < intact.length; index++) {
    const flipped = Buffer.from(intact);
    flipped[index]! ^= 1 << (index % 8);
    context.store.tamper(key, flipped);
    const { commits, code } = await readHistory(context);
    if (commits.length > 0 || !codes.includes(code!)) t.fail(`byte ${index}`, { code });
    context.store.tamper(key, intact.subarray(0, index));
    const cut = await readHistory(context);
    if (cut.commits.length > 0 || cut.code !== 'manifest.damaged_commit')
      t.fail(`${index} bytes`, { code: cut.code });
  }
  context.store.tamper(key, intact);
  t.equal((await readHistory(context)).commits.length, 1);
});

t.test('streams are found', async (t) => {
  const context = await manifestContext();
  await writeCommit(context, headerOf(1, ''));
  await writeCommit(context, headerOf(1, '', { stream: 'bb'.repeat(16) }));
  await context.store.put('streams/something/else', Buffer.alloc(1));
  t.same(await new ChainReader(context).streams(), [stream, 'bb'.repeat(16)]);
});
