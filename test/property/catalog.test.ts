// The catalog against a naive model: a list of whole trees. Whatever happens to a tree over its versions, every question
// has the answer that the model gives.

import path from 'node:path';

import fc from 'fast-check';
import t from 'tap';

import { type Catalog, openCatalog } from '../../lib/catalog/index.js';
import type { CatalogEntry, Change } from '../../lib/catalog/types.js';
import { encodeRow, encodeRows } from '../../lib/manifest/row-stream.js';
import type { Commit, Entry } from '../../lib/manifest/types.js';
import {
  bytesOf,
  commitOf,
  commitsOf,
  diff,
  printed,
  repositoryId,
  sortedPaths,
  type Tree,
} from '../catalog/trees.js';
import { runs } from '../runs.js';
import { history, join, mutate, step, stream, treesOf } from './histories.js';

const summary = (entry: CatalogEntry | undefined): string =>
  entry === undefined ? '-' : printed(entry.entry);

function walk(catalog: Catalog, sequence: number): string[] {
  const lines: string[] = [];
  const visit = (entry: CatalogEntry, at: string): void => {
    lines.push(`${at} ${printed(entry.entry)}`);
    if (entry.directory === undefined) return;
    for (const child of catalog.list(entry.directory, sequence))
      visit(child, join(at, child.name.toString('latin1')));
  };
  const root = catalog.root(stream, sequence);
  if (root !== undefined) visit(root, '');
  return lines;
}

const same = (actual: unknown, expected: unknown, what: string): void => {
  const [left, right] = [JSON.stringify(actual), JSON.stringify(expected)];
  if (left !== right) throw new Error(`${what}\n  is       ${left}\n  should be ${right}`);
};

function checkTrees(catalog: Catalog, trees: Tree[]): void {
  const ever = sortedPaths(new Set(trees.flatMap((tree) => [...tree.keys()])));
  trees.forEach((tree, index) => {
    const sequence = index + 1;
    same(
      walk(catalog, sequence),
      sortedPaths(tree.keys()).map((key) => `${key} ${printed(tree.get(key))}`),
      `version ${sequence}`,
    );
    for (const key of ever) {
      const found = catalog.find(stream, sequence, bytesOf(key));
      same(summary(found), printed(tree.get(key)), `find ${key} in ${sequence}`);
      if (found === undefined) continue;
      same(summary(catalog.entryById(found.id)), printed(tree.get(key)), `entry by id of ${key}`);
      if (found.from > sequence || found.to <= sequence)
        throw new Error(`${key} does not hold in ${sequence}`);
      if (found.directory === undefined) continue;
      if (found.directory !== catalog.directoryEver(stream, bytesOf(key)))
        throw new Error('another directory');
      const listed = Array.from(catalog.list(found.directory, sequence), ({ name }) => name);
      listed.forEach((name, at) => {
        const rest = Array.from(catalog.list(found.directory!, sequence, name), (entry) => entry.name);
        same(rest, listed.slice(at + 1), `list after ${at}`);
      });
    }
  });
  for (const key of ever) {
    checkHistory(catalog, trees, key);
    const id = catalog.directoryEver(stream, bytesOf(key));
    const isDirectory = trees.some((tree) => tree.get(key)?.type === 'directory');
    if ((id !== undefined) !== isDirectory) throw new Error(`directoryEver of ${key}`);
    if (id === undefined) continue;
    const children = ever.filter(
      (other) => other !== '' && other.slice(0, Math.max(0, other.lastIndexOf('/'))) === key,
    );
    const known = Array.from(catalog.namesEver(id), (child) => [
      child.name.toString('latin1'),
      child.directory !== undefined,
    ]);
    const expected = children.map((child) => [
      child.slice(child.lastIndexOf('/') + 1),
      trees.some((tree) => tree.get(child)?.type === 'directory'),
    ]);
    same(known, expected, `names ever in ${key}`);
  }
}

function checkHistory(catalog: Catalog, trees: Tree[], key: string): void {
  const expected: [string, number, number | null][] = [];
  trees.forEach((tree, index) => {
    const state = printed(tree.get(key));
    const last = expected.at(-1);
    if (last !== undefined && last[2] === null && last[0] !== state) last[2] = index + 1;
    if (state !== '-' && (last === undefined || last[2] !== null)) expected.push([state, index + 1, null]);
  });
  const actual = catalog
    .history(stream, bytesOf(key))
    .map(({ entry, from, to }) => [printed(entry), from, to === Infinity ? null : to]);
  same(actual, expected, `history of ${key}`);
}

function withoutContentOf(entry: Entry): string {
  return printed({
    ...entry,
    mode: 0,
    uid: 0,
    gid: 0,
    mtime_ns: 0n,
    ctime_ns: 0n,
    inode: 0n,
    device: 0n,
    links: 1,
  });
}

function expectedChanges(before: Tree, after: Tree): string[] {
  const removed = sortedPaths([...before.keys()].filter((key) => !after.has(key)));
  const kinds = new Map<string, string>();
  for (const key of sortedPaths(after.keys())) {
    const entry = after.get(key)!;
    const old = before.get(key);
    if (old === undefined) {
      const source = removed.find((other) => {
        const candidate = before.get(other)!;
        if (candidate.inode !== entry.inode || candidate.type !== entry.type) return false;
        if (entry.type === 'directory') return true;
        return (
          candidate.mtime_ns === entry.mtime_ns && withoutContentOf(candidate) === withoutContentOf(entry)
        );
      });
      if (source !== undefined) removed.splice(removed.indexOf(source), 1);
      kinds.set(key, source === undefined ? 'added' : `moved from ${source}`);
    } else if (withoutContentOf(old) !== withoutContentOf(entry)) kinds.set(key, 'changed');
    else if (
      printed({ ...old, ctime_ns: 0n, inode: 0n, links: 1 }) !==
      printed({ ...entry, ctime_ns: 0n, inode: 0n, links: 1 })
    )
      kinds.set(key, 'metadata');
  }
  for (const key of removed) kinds.set(key, 'removed');
  return sortedPaths(kinds.keys()).map((key) => `${kinds.get(key)} ${key}`);
}

const printedChange = ({ kind, path: at, movedFrom }: Change): string =>
  `${kind}${movedFrom === undefined ? '' : ` from ${movedFrom.toString('latin1')}`} ${at.toString('latin1')}`;

function checkChanges(catalog: Catalog, trees: Tree[]): void {
  const all: Tree[] = [new Map(), ...trees];
  all.forEach((before, from) => {
    all.forEach((after, to) => {
      const actual = Array.from(catalog.changes(stream, from, to), printedChange);
      same(actual, expectedChanges(before, after), `changes ${from} ${to}`);
    });
  });
}

function checkLinks(catalog: Catalog, trees: Tree[]): void {
  trees.forEach((tree, index) => {
    const ids = new Map<string, number>();
    const owners = new Map<number, string>();
    for (const key of tree.keys()) {
      const { id, entry } = catalog.find(stream, index + 1, bytesOf(key))!;
      const state = entry.links > 1 && entry.type !== 'directory' ? printed(entry) : key;
      if ((ids.get(state) ?? id) !== id) throw new Error(`links of one inode have several rows: ${key}`);
      if ((owners.get(id) ?? state) !== state) throw new Error(`row ${id} has two owners`);
      ids.set(state, id);
      owners.set(id, state);
    }
  });
}

let count = 0;

async function check(catalogPath: string, trees: Tree[], commits: Commit[]): Promise<void> {
  const { catalog } = await openCatalog({ path: catalogPath, repositoryId });
  await catalog.ingestAll(commits);
  checkTrees(catalog, trees);
  checkChanges(catalog, trees);
  checkLinks(catalog, trees);
  await catalog.close();
}

t.test('every question about every version has the answer of the model', async (t) => {
  const base = t.testdir();
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      const trees = treesOf(steps);
      await check(path.join(base, `${count++}.mdb`), trees, commitsOf(trees));
    }),
    runs(75),
  );
});

t.test('rows below a removed directory may be missing', async (t) => {
  const base = t.testdir();
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      const trees = treesOf(steps);
      const commits = trees.map((tree, index) => {
        const before = trees[index - 1] ?? new Map<string, Entry>();
        const gone = [...before.keys()].filter(
          (key) => before.get(key)!.type === 'directory' && tree.get(key)?.type !== 'directory',
        );
        const rows = diff(before, tree).filter(
          (row) => !gone.some((top) => Buffer.from(row.path).toString('latin1').startsWith(`${top}/`)),
        );
        return commitOf({ stream, sequence: index + 1, rows });
      });
      await check(path.join(base, `${count++}.mdb`), trees, commits);
    }),
    runs(25),
  );
});

t.test('a commit that was half read, then replaced by another, leaves nothing behind', async (t) => {
  const base = t.testdir();
  await fc.assert(
    fc.asyncProperty(history, fc.array(step, { maxLength: 12 }), async (steps, lost) => {
      const trees = treesOf(steps);
      const commits = commitsOf(trees);
      const before = trees.at(-2) ?? new Map<string, Entry>();
      const stray = lost.reduce(mutate, trees.at(-2) ?? treesOf([[]])[0]!);
      const catalogPath = path.join(base, `${count++}.mdb`);
      const { catalog } = await openCatalog({ path: catalogPath, repositoryId, batch: 2 });
      await catalog.ingestAll(commits.slice(0, -1));
      const unreadable: Commit = {
        ...commitOf({ stream, sequence: trees.length, flavour: 'stray', rows: [] }),
        async *rows() {
          yield* diff(before, stray);
          throw new Error('unreadable');
        },
      };
      await t.rejects(catalog.ingest(unreadable), { message: 'unreadable' });
      if (trees.length > 1) checkTrees(catalog, trees.slice(0, -1));
      await catalog.close();
      await check(catalogPath, trees, commits);
    }),
    runs(25),
  );
});

t.test('a half read commit is read again from its beginning', async (t) => {
  const base = t.testdir();
  await fc.assert(
    fc.asyncProperty(history, fc.nat(20), async (steps, readable) => {
      const trees = treesOf(steps);
      const commits = commitsOf(trees);
      const catalogPath = path.join(base, `${count++}.mdb`);
      const { catalog } = await openCatalog({ path: catalogPath, repositoryId, batch: 1 });
      for (const commit of commits) {
        const cut: Commit = {
          ...commit,
          async *rows() {
            let left = readable;
            for await (const row of commit.rows()) if (left-- > 0) yield row;
            throw new Error('unreadable');
          },
        };
        await t.rejects(catalog.ingest(cut), { message: 'unreadable' });
        await catalog.ingest(commit);
      }
      await catalog.close();
      await check(catalogPath, trees, commits);
    }),
    runs(25),
  );
});

t.test('two writers at the same commits agree', async (t) => {
  const base = t.testdir();
  await fc.assert(
    fc.asyncProperty(history, async (steps) => {
      const trees = treesOf(steps);
      const catalogPath = path.join(base, `${count++}.mdb`);
      const first = await openCatalog({ path: catalogPath, repositoryId, batch: 1 });
      const second = await openCatalog({ path: catalogPath, repositoryId, batch: 2 });
      await Promise.all([first, second].map(({ catalog }) => catalog.ingestAll(slowly(commitsOf(trees)))));
      await Promise.all([first, second].map(({ catalog }) => catalog.close()));
      await check(catalogPath, trees, commitsOf(trees));
    }),
    runs(25),
  );
});

t.test('a version that is taken in while it is made is the same, whoever brings it to its end', async (t) => {
  const base = t.testdir();
  const ending = fc.constantFrom('finished', 'taken over', 'given up', 'replaced');
  const endings = fc.array(fc.record({ ending, stretch: fc.integer({ min: 1, max: 5 }) }), { minLength: 1 });
  await fc.assert(
    fc.asyncProperty(history, endings, fc.integer({ min: 1, max: 4 }), async (steps, some, batch) => {
      const trees = treesOf(steps);
      const commits = commitsOf(trees);
      const catalogPath = path.join(base, `${count++}.mdb`);
      const { catalog } = await openCatalog({ path: catalogPath, repositoryId, batch });
      const other = await openCatalog({ path: catalogPath, repositoryId, batch: 1 });
      for (const [index, commit] of commits.entries()) {
        const { ending, stretch } = some[index % some.length]!;
        const rows = diff(trees[index - 1] ?? new Map(), trees[index]!).map(encodeRow);
        const run = ending === 'replaced' ? '0'.repeat(32) : commit.header.run;
        const feed = catalog.feed({ ...commit.header, run });
        for (let from = 0; from < rows.length; from += stretch) {
          await feed.add(encodeRows(rows.slice(from, from + stretch)));
          if (ending === 'taken over' && from === 0) await other.catalog.ingest(commit);
          const shown = ending === 'taken over' ? index + 1 : index;
          catalog.refresh();
          if (shown > 0) checkTrees(catalog, trees.slice(0, shown));
        }
        const isFinished = ending === 'finished' && rows.length > 0;
        if (ending === 'taken over') await feed.finish(commit);
        else if (isFinished) t.equal(await feed.finish(commit), true);
        if (!isFinished) await catalog.ingest(commit);
      }
      await Promise.all([catalog.close(), other.catalog.close()]);
      await check(catalogPath, trees, commits);
    }),
    runs(40),
  );
});

/** Lets somebody else take turns at every row. */
function slowly(commits: Commit[]): Commit[] {
  return commits.map((commit) => ({
    ...commit,
    async *rows() {
      for await (const row of commit.rows()) {
        await new Promise(setImmediate);
        yield row;
      }
    },
  }));
}
