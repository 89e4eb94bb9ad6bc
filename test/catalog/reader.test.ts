// Readers beside a writer: in worker threads of the same process and in other processes, while the file grows manifold.

import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';

import t from 'tap';

import { openCatalog, openCatalogReader } from '../../lib/catalog/index.js';
import {
  busyTrees,
  bytesOf,
  commitsOf,
  directory,
  file,
  printed,
  repositoryId,
  sortedPaths,
  streamOf,
  type Tree,
} from './trees.js';

const stream = streamOf(1);

/** Each version has ten times the files of the one before. */
const trees = [1, 10, 100, 1000, 10_000].map((count) => {
  const tree: Tree = new Map([
    ['', directory()],
    ['first', file('first')],
  ]);
  for (let number = 1; number < count; number++) tree.set(`file ${number}`, file(`text ${number}`));
  return tree;
});

t.test('a thread that blocks its event loop sees every new version after refresh', async (t) => {
  const at = path.join(t.testdir(), 'catalog');
  const { catalog } = await openCatalog({ path: at, repositoryId });
  const script = new URL('./reader-thread.js', import.meta.url);
  const views = [new SharedArrayBuffer(12), new SharedArrayBuffer(12)];
  const workers = views.map((shared) => new Worker(script, { workerData: { path: at, shared } }));
  const readers = views.map((shared) => new Int32Array(shared));
  const exited = workers.map(
    (worker) => new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject)),
  );
  for (const [index, commit] of commitsOf(trees).entries()) {
    await catalog.ingest(commit);
    for (const numbers of readers) {
      const deadline_ms = performance.now() + 20_000;
      while (Atomics.load(numbers, 0) <= index && performance.now() < deadline_ms)
        await new Promise(setImmediate);
      t.equal(Atomics.load(numbers, 0), index + 1);
      t.equal(Atomics.load(numbers, 1), trees[index]!.size - 1);
    }
  }
  for (const numbers of readers) Atomics.store(numbers, 2, 1);
  await Promise.all(exited);
  await catalog.close();
});

t.test(
  'a reader keeps its snapshot until it is refreshed, and reads on after the writer has gone',
  async (t) => {
    const at = path.join(t.testdir(), 'catalog');
    const commits = commitsOf(trees);
    const writer = await openCatalog({ path: at, repositoryId });
    await writer.catalog.ingestAll(commits.slice(0, 2));
    const reader = openCatalogReader(at, repositoryId);
    t.equal(reader.stream(stream)?.head, 2);
    await writer.catalog.ingestAll(commits.slice(2));
    reader.refresh();
    t.equal(reader.stream(stream)?.head, 5);
    await writer.catalog.close();
    t.equal(Array.from(reader.changes(stream, 1, 5)).length, 9999);
    t.ok(reader.find(stream, 1, bytesOf('first')));
    await reader.close();
  },
);

t.test(
  'two processes that take in the same versions at once agree, and a third reads meanwhile',
  async (t) => {
    const at = path.join(t.testdir(), 'catalog');
    const { catalog } = await openCatalog({ path: at, repositoryId });
    const child = new URL('./child.js', import.meta.url).pathname;
    const filling = [1, 2].map(() => promisify(execFile)(process.execPath, [child, 'fill', at]));
    const done = Promise.all(filling).then(() => true);
    const isOver = (): Promise<boolean> =>
      Promise.race([done, new Promise<boolean>((go) => setTimeout(go, 5, false))]);
    const expected = busyTrees();
    do {
      catalog.refresh();
      const head = catalog.stream(stream)?.head ?? 0;
      if (head === 0) continue;
      const count = Array.from(catalog.changes(stream, 0, head)).length;
      if (count !== expected[head - 1]!.size) t.fail(`version ${head} has ${count} entries`);
    } while (!(await isOver()));
    catalog.refresh();
    for (const [index, tree] of expected.entries()) {
      const found = Array.from(catalog.changes(stream, 0, index + 1), ({ path: name, after }) => [
        name.toString(),
        printed(after),
      ]);
      t.same(
        found,
        sortedPaths(tree.keys()).map((name) => [name, printed(tree.get(name))]),
      );
    }
    t.equal(catalog.stream(stream)?.head, 40);
    await catalog.close();
  },
);

t.test('a reader of a catalog that is not there', (t) => {
  t.throws(() => openCatalogReader(path.join(t.testdir(), 'none'), repositoryId), {
    code: 'catalog.missing',
  });
  t.end();
});
