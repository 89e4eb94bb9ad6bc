// A catalog that began with a checkpoint and took in the versions before it answers like one that has read the log from its
// start, whenever it was stopped on the way; and until it is done it answers as if there were no past.

import path from 'node:path';

import fc from 'fast-check';
import t from 'tap';

import { type Catalog, openCatalog, openCatalogReader } from '../../lib/catalog/index.js';
import type { CatalogReader, DirectoryId } from '../../lib/catalog/types.js';
import type { Checkpoint } from '../../lib/manifest/checkpoint.js';
import type { Commit, Entry } from '../../lib/manifest/types.js';
import type { PackInfo } from '../../lib/pack/types.js';
import {
  busyTrees,
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
  printed,
  repositoryId,
  streamOf,
  symlink,
  type Tree,
} from './trees.js';
import { runs } from '../runs.js';

const stream = streamOf(1);
const acl = Buffer.from('system.posix_acl_access');

function checkpointOf(tree: Tree, sequence: number, packs: readonly PackInfo[] = []): Checkpoint {
  return {
    stream,
    sequence,
    commitHash: hashOf(stream, sequence),
    header: headerOf(stream, sequence),
    parts: [],
    async *packs() {
      yield* packs;
    },
    async *rows() {
      yield* diff(new Map(), tree);
    },
  };
}

/** Numbers in the order in which they are met: catalogs that number differently become comparable. */
function numbering(): (number: number | undefined) => number | undefined {
  const met = new Map<number, number>();
  return (number) => {
    if (number === undefined) return undefined;
    if (!met.has(number)) met.set(number, met.size);
    return met.get(number);
  };
}

/** Everything that a reader can ask about the stream. */
function answers(catalog: CatalogReader): unknown {
  const info = catalog.stream(stream)!;
  const versions = catalog.versions(stream);
  const row = numbering();
  const behind = numbering();
  const directories = new Map<DirectoryId, string>();
  const paths = new Set<string>(['']);
  const trees = versions.map(({ header: { sequence } }) => {
    const listed: unknown[] = [];
    const walk = (id: DirectoryId, at: string): void => {
      directories.set(id, at);
      for (const entry of catalog.list(id, sequence)) {
        const full = at === '' ? entry.name.toString('latin1') : `${at}/${entry.name.toString('latin1')}`;
        paths.add(full);
        const byId = catalog.entryById(entry.id);
        const short = catalog.lookupRow(id, entry.name, sequence)!;
        listed.push([
          full,
          printed(entry.entry),
          row(entry.id),
          behind(entry.directory),
          printed(byId?.entry),
          printed(catalog.find(stream, sequence, bytesOf(full))?.entry),
          short.id === entry.id && catalog.isReadable(id, sequence),
        ]);
        if (entry.directory !== undefined) walk(entry.directory, full);
      }
    };
    const root = catalog.root(stream, sequence);
    if (root?.directory !== undefined) walk(root.directory, '');
    return [sequence, catalog.version(stream, sequence)?.hash, printed(root?.entry), listed];
  });
  const histories = [...paths]
    .sort()
    .map((at) => [
      at,
      behind(catalog.directoryEver(stream, bytesOf(at))),
      catalog
        .history(stream, bytesOf(at))
        .map(({ id, from, to, entry }) => [row(id), from, to, printed(entry)]),
    ]);
  const names = [...directories].map(([id, at]) => [
    at,
    Array.from(catalog.namesEver(id), (found) => [found.name.toString('latin1'), behind(found.directory)]),
  ]);
  const sequences = [0, ...versions.map(({ header }) => header.sequence)];
  const changes = sequences.flatMap((from) =>
    sequences.map((to) =>
      Array.from(catalog.changes(stream, from, to), (change) => [
        ...[change.kind, change.path.toString('latin1'), change.movedFrom?.toString('latin1')],
        ...[printed(change.before), printed(change.after)],
      ]),
    ),
  );
  return [info.head, info.headHash, info.firstSequence, trees, histories, names.sort(), changes];
}

/** The row numbers of every entry of the versions from `first` on. */
function rowsFrom(catalog: CatalogReader, first: number): string[] {
  const found: string[] = [];
  for (const { header } of catalog.versions(stream)) {
    if (header.sequence < first) continue;
    const walk = (id: DirectoryId): void => {
      for (const entry of catalog.list(id, header.sequence)) {
        found.push(`${header.sequence} ${entry.id} ${entry.name.toString('latin1')} ${entry.directory}`);
        if (entry.directory !== undefined) walk(entry.directory);
      }
    };
    walk(catalog.root(stream, header.sequence)!.directory!);
  }
  return found;
}

const leaf: fc.Arbitrary<Entry> = fc.oneof(
  fc.constantFrom('', 'one', 'two').map((text) => file(text)),
  // Names of the same file, now and then.
  fc.constantFrom('shared', 'other').map((text) => file(text, { links: 2, inode: 7n })),
  fc.constantFrom('x', 'y').map((target) => symlink(target)),
  fc.constant(file('with an acl', { xattrs: [{ name: acl, value: Buffer.of(1) }] })),
);

const anyTree: fc.Arbitrary<Tree> = fc
  .array(
    fc.tuple(
      fc.constantFrom('a', 'b', 'a/c', 'a/d', 'a/c/e', 'b/c', 'b/f', 'a-b', '\xff'),
      fc.option(leaf, { nil: directory({ mode: 0o700 }) }),
    ),
    { maxLength: 9 },
  )
  .map((wanted) => {
    const tree: Tree = new Map([['', directory()]]);
    for (const [at, entry] of wanted) {
      const parent = at.includes('/') ? at.slice(0, at.lastIndexOf('/')) : '';
      if (tree.get(parent)?.type === 'directory') tree.set(at, entry);
      if (entry.type !== 'directory')
        for (const below of [...tree.keys()]) if (below.startsWith(`${at}/`)) tree.delete(below);
    }
    return tree;
  });

const textsOf = (tree: Tree): string[] =>
  ['one', 'two', 'shared', 'other', 'with an acl'].filter((text) =>
    [...tree.values()].some(({ content }) =>
      content.some((segment) => segment.kind === 'chunk' && chunkIdOf(text).equals(Buffer.from(segment.id))),
    ),
  );

/** Commits with a pack for each text that is new. */
function commitsWithPacks(trees: readonly Tree[]): Commit[] {
  const stored = new Set<string>();
  return trees.map((tree, index) => {
    const fresh = textsOf(tree).filter((text) => !stored.has(text));
    for (const text of fresh) stored.add(text);
    const packs = fresh.map((text) => packOf(text));
    const rows = diff(trees[index - 1] ?? new Map(), tree);
    return commitOf({ stream, sequence: index + 1, rows, packs });
  });
}

interface Opened {
  readonly catalog: Catalog;
  readonly path: string;
}

/** What is left of a run of `takePast` that is stopped after so many transactions. */
async function takeFor(catalog: Catalog, past: Catalog, transactions: number): Promise<boolean> {
  const controller = new AbortController();
  let left = transactions;
  const onProgress = (): void => {
    if (--left <= 0) controller.abort();
  };
  try {
    return await catalog.takePast(past, stream, { signal: controller.signal, onProgress });
  } catch (error) {
    if ((error as { code?: unknown }).code !== 'interrupted') throw error;
    return false;
  }
}

t.test('whatever the history: the same answers as read forward, none of it before its time', async (t) => {
  const at = t.testdir();
  let round = 0;
  const history = fc.array(anyTree, { minLength: 2, maxLength: 7 }).chain((trees) =>
    fc.record({
      trees: fc.constant(trees),
      base: fc.integer({ min: 2, max: trees.length }),
      /** How far each catalog has read before the past is taken. */
      known: fc.integer({ min: 0, max: trees.length }),
      read: fc.integer({ min: 0, max: trees.length }),
      /** How many transactions each run lives. */
      lives: fc.array(fc.integer({ min: 1, max: 5 }), { maxLength: 3 }),
      batch: fc.integer({ min: 1, max: 12 }),
    }),
  );
  await fc.assert(
    fc.asyncProperty(history, async ({ trees, base, known, read, lives, batch }) => {
      const run = path.join(at, String(round++));
      const open = async (name: string): Promise<Opened> => {
        const file = path.join(run, name);
        return { catalog: (await openCatalog({ path: file, repositoryId, batch })).catalog, path: file };
      };
      const [forward, filled, past, alone] = await Promise.all(
        ['forward', 'filled', 'past', 'alone'].map((name) => open(name)),
      );
      const commits = commitsWithPacks(trees);
      await forward!.catalog.ingestAll(commits);
      const packs = Array.from(forward!.catalog.packsOf(stream, base));
      const checkpoint = checkpointOf(trees[base - 1]!, base, packs);
      for (const { catalog } of [filled!, alone!]) {
        await catalog.ingestCheckpoint(checkpoint, {}, { lacksPast: true });
        await catalog.ingestAll(commits.slice(base, Math.max(base, known)));
      }
      await past!.catalog.ingestAll(commits.slice(0, Math.max(base, read)));

      const reader = openCatalogReader(filled!.path, repositoryId);
      const rows = rowsFrom(filled!.catalog, base);
      const hidden = answers(alone!.catalog);
      for (const life of lives) {
        if (await takeFor(filled!.catalog, past!.catalog, life)) break;
        reader.refresh();
        t.same(answers(reader), hidden);
        t.same(rowsFrom(reader, base), rows);
        t.equal(reader.isUnheardOf(acl), false);
      }
      t.equal(await filled!.catalog.takePast(past!.catalog, stream), true);
      reader.refresh();
      t.equal(reader.stream(stream)?.lacksPast, false);
      const found = rowsFrom(reader, base);
      t.same(found, rows, 'row numbers stay');
      await filled!.catalog.ingestAll(commits.slice(Math.max(base, known)));
      reader.refresh();
      t.same(answers(reader), answers(forward!.catalog));
      t.equal(reader.isUnheardOf(acl), forward!.catalog.isUnheardOf(acl));
      for (const text of new Set(trees.flatMap(textsOf)))
        t.same(reader.chunk(chunkIdOf(text)), forward!.catalog.chunk(chunkIdOf(text)));
      await reader.close();
      await Promise.all([forward!, filled!, past!, alone!].map(({ catalog }) => catalog.close()));
    }),
    runs(60),
  );
});

t.test('commits come in while the past is taken', async (t) => {
  const at = t.testdir();
  const trees = busyTrees().slice(0, 16);
  const commits = commitsOf(trees);
  const open = async (name: string): Promise<Catalog> =>
    (await openCatalog({ path: path.join(at, name), repositoryId, batch: 7 })).catalog;
  const [forward, filled, past] = await Promise.all(['forward', 'filled', 'past'].map(open));
  await Promise.all([forward!.ingestAll(commits), past!.ingestAll(commits.slice(0, 11))]);
  await filled!.ingestCheckpoint(checkpointOf(trees[7]!, 8), {}, { lacksPast: true });
  const [isComplete] = await Promise.all([
    filled!.takePast(past!, stream),
    filled!.ingestAll(commits.slice(8)),
    filled!.takePast(past!, stream),
  ]);
  t.equal(isComplete, true);
  t.same(answers(filled!), answers(forward!));
  await Promise.all([forward!, filled!, past!].map((catalog) => catalog.close()));
});

t.test('a directory that a commit makes anew, in the middle of which its past comes in', async (t) => {
  const at = t.testdir();
  const files = (text: string): Tree =>
    new Map([
      ['', directory()],
      ['d', directory()],
      ...Array.from({ length: 9 }, (_, number) => [`d/${number}`, file(text)] as const),
    ]);
  const trees: Tree[] = [files('old'), new Map([['', directory()]]), files('new')];
  const commits = commitsOf(trees);
  const open = async (name: string): Promise<Catalog> =>
    (await openCatalog({ path: path.join(at, name), repositoryId, batch: 2 })).catalog;
  const [forward, filled, past] = await Promise.all(['forward', 'filled', 'past'].map(open));
  await forward!.ingestAll(commits);
  await past!.ingestAll(commits.slice(0, 2));
  await filled!.ingestCheckpoint(checkpointOf(trees[1]!, 2), {}, { lacksPast: true });
  const last = commits[2]!;
  await filled!.ingest({
    ...last,
    async *rows() {
      for await (const row of last.rows()) {
        if (Buffer.from(row.path).equals(bytesOf('d/4'))) t.ok(await filled!.takePast(past!, stream));
        yield row;
      }
    },
  });
  t.same(answers(filled!), answers(forward!));
  await Promise.all([forward!, filled!, past!].map((catalog) => catalog.close()));
});

t.test('what cannot be taken', async (t) => {
  const at = t.testdir();
  const trees = busyTrees().slice(0, 4);
  const commits = commitsOf(trees);
  const open = async (name: string): Promise<Catalog> =>
    (await openCatalog({ path: path.join(at, name), repositoryId })).catalog;
  const begun = async (name: string, tree: Tree): Promise<Catalog> => {
    const catalog = await open(name);
    await catalog.ingestCheckpoint(checkpointOf(tree, 3), {}, { lacksPast: true });
    return catalog;
  };
  const past = await open('past');
  const catalog = await begun('sound', trees[2]!);
  await past.ingestAll(commits.slice(0, 2));
  t.equal(await catalog.takePast(past, stream), false, 'the log has not been read as far as that');
  t.match(catalog.stream(stream), { firstSequence: 3, lacksPast: true });

  const wrong = await begun('wrong', trees[3]!);
  await past.ingestAll(commits);
  await t.rejects(wrong.takePast(past, stream), { code: 'catalog.damaged' });
  t.match(wrong.stream(stream), { firstSequence: 3, lacksPast: true });

  const other = await open('other');
  await other.ingestAll([...commits.slice(0, 2), { ...commits[2]!, hash: hashOf(stream, 3, 'another') }]);
  await t.rejects(catalog.takePast(other, stream), { code: 'catalog.forked', kind: 'tampered' });

  t.equal(await catalog.takePast(past, stream), true);
  t.equal(await catalog.takePast(past, stream), true, 'again');
  t.equal(catalog.versions(stream).length, 3);
  await Promise.all([past, catalog, wrong, other].map((opened) => opened.close()));
});
