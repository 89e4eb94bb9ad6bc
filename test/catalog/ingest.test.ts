// Taking in commits: order, repetition, forks, packs and chunks, checkpoints, a full disk.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';

import t, { type Test } from 'tap';

import { type Catalog, openCatalog } from '../../lib/catalog/index.js';
import type { Checkpoint } from '../../lib/manifest/checkpoint.js';
import type { Commit, Row } from '../../lib/manifest/types.js';
import {
  bytesOf,
  chunkIdOf,
  commitOf,
  commitsOf,
  diff,
  directory,
  file,
  hashOf,
  headerOf,
  packOf,
  repositoryId,
  streamOf,
  type Tree,
} from './trees.js';

const stream = streamOf(1);

const treeOf = (files: Record<string, string>): Tree =>
  new Map([['', directory()], ...Object.entries(files).map(([at, text]) => [at, file(text)] as const)]);

async function opened(t: Test, options: { batch?: number } = {}): Promise<Catalog> {
  const at = path.join(t.testdir(), 'catalog');
  const { catalog } = await openCatalog({ path: at, repositoryId, ...options });
  t.teardown(() => catalog.close());
  return catalog;
}

const pathsAt = (catalog: Catalog, sequence: number, id = stream): string[] =>
  Array.from(catalog.changes(id, 0, sequence), (change) => change.path.toString('latin1'));

t.test('the same commit twice is no work; a version number is never used twice', async (t) => {
  const catalog = await opened(t);
  const commits = commitsOf([treeOf({ a: '1' }), treeOf({ a: '2' })]);
  t.equal(await catalog.ingestAll(commits), 2);
  t.equal(await catalog.ingestAll(commits), 0);
  t.equal(catalog.history(stream, bytesOf('a')).length, 2);
  const other = commitOf({ sequence: 2, flavour: 'other', rows: [] });
  await t.rejects(catalog.ingest(other), { code: 'catalog.forked', kind: 'tampered' });
  await t.rejects(catalog.ingest(commitOf({ sequence: 4, rows: [] })), { code: 'catalog.out_of_sequence' });
  const strange = commitOf({ sequence: 3, rows: [] });
  await t.rejects(
    catalog.ingest({ ...strange, header: { ...strange.header, parentHash: hashOf(stream, 7) } }),
    {
      code: 'catalog.forked',
    },
  );
  t.equal(catalog.stream(stream)?.head, 2);
});

t.test('streams stand side by side', async (t) => {
  const catalog = await opened(t);
  await catalog.ingestAll([
    ...commitsOf([treeOf({ mine: '1' })], streamOf(1)),
    ...commitsOf([treeOf({ yours: '1' }), treeOf({ yours: '2', more: '3' })], streamOf(2)),
  ]);
  t.match(catalog.streams(), [
    {
      id: streamOf(1),
      host: 'tester',
      source: 'source-01',
      head: 1,
      headHash: hashOf(streamOf(1), 1),
      firstSequence: 1,
    },
    { id: streamOf(2), head: 2, headVersionId: 'v2', sourcePath: Buffer.from('/some/where\xff', 'latin1') },
  ]);
  t.same(pathsAt(catalog, 1, streamOf(1)), ['', 'mine']);
  t.same(pathsAt(catalog, 2, streamOf(2)), ['', 'more', 'yours']);
  t.same(
    catalog.versions(streamOf(2)).map(({ header }) => header.sequence),
    [1, 2],
  );
  t.same(catalog.version(streamOf(2), 2)?.header, headerOf(streamOf(2), 2));
  t.equal(catalog.version(streamOf(2), 3), undefined);
  t.equal(catalog.stream(streamOf(3)), undefined);
  t.same(catalog.versions(streamOf(3)), []);
});

t.test('rows that cannot be right are refused, and nothing of them is seen', async (t) => {
  const added = (at: string): Row => ({ op: 'added', path: bytesOf(at), entry: file('x') });
  const root: Row = { op: 'added', path: bytesOf(''), entry: directory() };
  const wrong: Record<string, Row[]> = {
    'out of order': [root, added('b'), added('a')],
    'twice the same': [root, added('a'), added('a')],
    'no parent': [root, added('nowhere/a')],
    'below a file': [root, added('a'), added('a/b')],
    'no root': [added('a')],
    'a NUL in a name': [root, added('a\0b')],
    'up and away': [root, added('..')],
  };
  for (const [what, rows] of Object.entries(wrong)) {
    const catalog = await opened(t, { batch: 1 });
    await t.rejects(
      catalog.ingest(commitOf({ sequence: 1, flavour: 'wrong', rows })),
      { code: 'catalog.bad_commit', kind: 'damaged' },
      what,
    );
    t.same(catalog.streams(), [], what);
    await catalog.ingestAll(commitsOf([treeOf({ a: '1' })]));
    t.same(pathsAt(catalog, 1), ['', 'a'], what);
    await catalog.close();
  }
});

t.test('packs and chunks: where each lies, and what a version needs', async (t) => {
  const catalog = await opened(t);
  const [first, second, unused] = [packOf('one', 'three'), packOf('four'), packOf('nobody')];
  await catalog.ingest(
    commitOf({
      sequence: 1,
      rows: diff(new Map(), treeOf({ a: 'one', b: 'three', c: 'four' })),
      packs: [first, second, unused],
    }),
  );
  t.same(catalog.chunk(chunkIdOf('three')), {
    pack: first.name,
    packVersionId: first.versionId,
    packHeader: first.header,
    block: 1,
    blockOffset_bytes: first.header.length + 19,
    blockStored_bytes: 21,
    blockPlain_bytes: 5,
    codec: 0,
    offset_bytes: 0,
    size_bytes: 5,
  });
  t.ok(catalog.hasChunk(chunkIdOf('four')));
  t.notOk(catalog.hasChunk(chunkIdOf('five')));
  t.equal(catalog.chunk(chunkIdOf('five')), undefined);
  t.same(catalog.pack(first.name), first);
  t.ok(catalog.hasPack(second.name));
  t.notOk(catalog.hasPack('0'.repeat(64)));
  t.equal(catalog.pack('0'.repeat(64)), undefined);
  t.same(Array.from(catalog.packsOf(stream, 1)), [first, second]);
});

const checkpointOf = (sequence: number, tree: Tree): Checkpoint => ({
  stream,
  sequence,
  commitHash: hashOf(stream, sequence),
  header: headerOf(stream, sequence),
  parts: [],
  async *packs() {},
  async *rows() {
    yield* diff(new Map(), tree);
  },
});

t.test('a checkpoint begins a stream whose first versions are lost', async (t) => {
  const catalog = await opened(t);
  await catalog.ingestCheckpoint(checkpointOf(5, treeOf({ a: '1', b: '2' })));
  await catalog.ingest(commitOf({ sequence: 6, rows: [{ op: 'removed', path: bytesOf('a') }] }));
  t.match(catalog.stream(stream), { head: 6, firstSequence: 5 });
  t.same(pathsAt(catalog, 5), ['', 'a', 'b']);
  t.same(pathsAt(catalog, 6), ['', 'b']);
  t.equal(catalog.root(stream, 4), undefined);
});

t.test('a checkpoint behind known versions leaves a gap and ends what it does not name', async (t) => {
  const catalog = await opened(t, { batch: 3 });
  const before = treeOf({ a: '1', b: '2', z: '3' });
  for (const [at, entry] of Object.entries({
    d: directory(),
    'd/e': directory(),
    'd/e/f': file('f'),
    'd/g': file('g'),
  }))
    before.set(at, entry);
  const after = treeOf({ a: '1', c: '4' });
  after.set('d', directory()).set('d/g', file('g'));
  await catalog.ingestAll(commitsOf([before]));
  await catalog.ingestCheckpoint(checkpointOf(4, after));
  t.match(catalog.stream(stream), { head: 4, firstSequence: 1 });
  t.same(pathsAt(catalog, 1), ['', 'a', 'b', 'd', 'd/e', 'd/e/f', 'd/g', 'z']);
  t.same(pathsAt(catalog, 4), ['', 'a', 'c', 'd', 'd/g']);
  t.equal(catalog.root(stream, 3), undefined);
  t.same(
    catalog.versions(stream).map(({ header }) => header.sequence),
    [1, 4],
  );
  t.same(
    Array.from(catalog.changes(stream, 1, 4), ({ kind, path: at }) => `${kind} ${at.toString()}`),
    ['removed b', 'added c', 'removed d/e', 'removed d/e/f', 'removed z'],
  );
});

t.test('a directory of many entries is listed lazily, from anywhere, while other reads go on', async (t) => {
  const catalog = await opened(t);
  const tree = treeOf({});
  for (let number = 0; number < 5000; number++)
    tree.set(`file ${String(number).padStart(5, '0')}`, file(`${number}`));
  await catalog.ingestAll(commitsOf([tree, treeOf({}), tree]));
  const root = catalog.root(stream, 1)!.directory!;
  const listing = catalog.list(root, 1);
  const seen: string[] = [];
  for (const { name } of listing) {
    seen.push(name.toString());
    if (seen.length % 1000 !== 0) continue;
    t.ok(catalog.lookup(root, name, 3));
    await new Promise(setImmediate);
    catalog.refresh();
  }
  t.equal(seen.length, 5000);
  t.same(seen, [...seen].sort());
  t.equal(catalog.list(root, 1, bytesOf('file 04321')).next().value?.name.toString(), 'file 04322');
  t.equal(catalog.list(root, 2).next().done, true);
});

t.test('one name with a great many states costs its neighbours nothing', async (t) => {
  const catalog = await opened(t);
  const trees = Array.from({ length: 300 }, (_, number) => treeOf({ busy: `${number}`, quiet: 'q' }));
  await catalog.ingestAll(commitsOf(trees));
  const root = catalog.root(stream, 1)!.directory!;
  for (const sequence of [1, 150, 300]) {
    t.same(
      Array.from(catalog.list(root, sequence), ({ name, from }) => [name.toString(), from]),
      [
        ['busy', sequence],
        ['quiet', 1],
      ],
    );
  }
  t.equal(catalog.history(stream, bytesOf('busy')).length, 300);
  t.same(
    Array.from(catalog.namesEver(root), ({ name }) => name.toString()),
    ['busy', 'quiet'],
  );
});

const skip = process.getuid?.() === 0 ? false : 'mounting takes root';

t.test('a full disk is an error with a way out; the versions before stand', { skip }, async (t) => {
  const disk = fs.mkdtempSync(path.join(os.tmpdir(), 'rrbackup-small-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m,mode=755', 'tmpfs', disk]);
  t.teardown(() => {
    execFileSync('umount', ['-l', disk]);
    fs.rmdirSync(disk);
  });
  const at = path.join(disk, 'catalog');
  const { catalog } = await openCatalog({ path: at, repositoryId, batch: 500 });
  const small = treeOf({ a: '1' });
  await catalog.ingestAll(commitsOf([small]));
  const large = new Map(small);
  for (let number = 0; number < 30_000; number++) large.set(`file ${number}`, file(`${number}`));
  await t.rejects(catalog.ingestAll(commitsOf([small, large])), { code: 'catalog.disk_full' });
  t.same(pathsAt(catalog, 1), ['', 'a']);
  t.equal(catalog.stream(stream)?.head, 1);
  await catalog.close();
  const again = await openCatalog({ path: at, repositoryId });
  t.equal(again.state, 'opened');
  t.same(pathsAt(again.catalog, 1), ['', 'a']);
  await again.catalog.close();
});

t.test(
  'progress tells how many rows the commit at hand will bring, and never fewer than there were',
  async (t) => {
    const catalog = await opened(t, { batch: 2 });
    const saying = (commit: Commit, added: number): Commit => {
      const statistics = { ...commit.header.statistics, added, changed: 0, removed: 0 };
      return { ...commit, header: { ...commit.header, statistics } };
    };
    const [first, second] = commitsOf([
      treeOf({ a: '1', b: '2', c: '3', d: '4' }),
      treeOf({ a: '2', b: '2', c: '4', d: '4' }),
    ]);
    const seen: (readonly [number, number | undefined])[] = [];
    await catalog.ingestAll([saying(first!, 5), saying(second!, 0)], {
      onProgress: ({ files_done, files_total }) => seen.push([files_done, files_total]),
    });
    t.ok(seen.length > 3);
    t.strictSame(
      seen.filter(([done]) => done < 5).map(([, total]) => total),
      seen.filter(([done]) => done < 5).map(() => 5),
    );
    t.strictSame(seen.at(-1), [7, 7]);
  },
);
