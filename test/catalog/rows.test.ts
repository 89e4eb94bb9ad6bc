// What a mount reads of the catalog: listings that go on from any row in any reader, the short form of an entry, and what is
// known of a whole repository.

import path from 'node:path';
import t, { type Test } from 'tap';
import { openCatalog, openCatalogReader, type CatalogReader } from '../../lib/catalog/index.js';
import type { Entry } from '../../lib/manifest/types.js';
import { busyTrees, commitsOf, directory, file, repositoryId, streamOf, type Tree } from './trees.js';

const stream = streamOf(1);

const catalogOf = async (test: Test, trees: readonly Tree[]) => {
  const at = path.join(test.testdir(), 'catalog');
  const { catalog } = await openCatalog({ path: at, repositoryId });
  test.teardown(() => catalog.close());
  for (const commit of commitsOf(trees)) await catalog.ingest(commit);
  const other = openCatalogReader(at, repositoryId);
  test.teardown(() => other.close());
  return { catalog, other, at };
};

/** Names of a directory, each page asked of another reader, which knows nothing but the position. */
function paged(readers: readonly CatalogReader[], id: number, sequence: number, page: number): string[] {
  const names: string[] = [];
  for (let position = 0, turn = 0, count = page; count === page; turn++) {
    count = 0;
    readers[turn % readers.length]!.visitRows(id, sequence, position, page, (row) => {
      names.push(Buffer.from(row.nameBytes.subarray(row.nameStart, row.nameEnd)).toString('latin1'));
      position = row.position;
      return ++count === page;
    });
  }
  return names;
}

void t.test('listings in pages of any size are those of a whole listing, in every version', async (test) => {
  const trees = busyTrees();
  const { catalog, other } = await catalogOf(test, trees);
  for (let sequence = 1; sequence <= trees.length; sequence++) {
    const root = catalog.root(stream, sequence)!.directory!;
    const wanted = Array.from(catalog.list(root, sequence), ({ name }) => name.toString('latin1'));
    test.ok(wanted.length > 20);
    for (const page of [1, 5, 100])
      test.strictSame(paged([catalog, other], root, sequence, page), wanted, `${sequence} by ${page}`);
  }
});

void t.test('a name behind many older states of its neighbour is found', async (test) => {
  const trees = Array.from({ length: 60 }, (_, version): Tree => {
    const entries: [string, Entry][] = [['', directory()]];
    for (const name of ['a', 'b', 'c']) entries.push([name, file(name === 'b' ? `${version}` : name)]);
    return new Map(entries);
  });
  const { catalog, other } = await catalogOf(test, trees);
  const root = catalog.root(stream, 1)!.directory!;
  for (const sequence of [1, 30, 60])
    for (const page of [1, 2, 10])
      test.strictSame(paged([catalog, other], root, sequence, page), ['a', 'b', 'c']);
});

void t.test('files with contents so long that few of them are read at once', async (test) => {
  const content = Array.from({ length: 30_000 }, () => ({
    kind: 'chunk' as const,
    id: Buffer.alloc(32, 7),
    size_bytes: 1,
  }));
  const names = Array.from({ length: 12 }, (_, number) => `f${10 + number}`);
  const tree: Tree = new Map([['', directory()]]);
  for (const name of names) tree.set(name, file('', { content, size_bytes: content.length }));
  const { catalog, other } = await catalogOf(test, [tree]);
  const root = catalog.root(stream, 1)!.directory!;
  for (const page of [1, 5, 100]) test.strictSame(paged([catalog, other], root, 1, page), names);
  const cursor = other.cursor(root, 1);
  for (const name of names) {
    test.ok(cursor.next());
    test.equal(cursor.entry().name.toString(), name);
  }
  test.notOk(cursor.next());
});

void t.test('hard links share the inode, and a listing goes on behind each of them', async (test) => {
  const linked = file('x', { inode: 7n, links: 3 });
  const names = ['a', 'b', 'c', 'd', 'z'];
  const tree: Tree = new Map([
    ['', directory()],
    ...names.map((name): [string, Entry] => [name, name === 'c' ? file('c') : linked]),
  ]);
  const { catalog, other } = await catalogOf(test, [tree]);
  const root = catalog.root(stream, 1)!.directory!;
  for (const page of [1, 2, 3]) test.strictSame(paged([catalog, other], root, 1, page), names);
  const ids = names.map((name) => catalog.lookupRow(root, Buffer.from(name), 1)!.id);
  test.equal(new Set(ids).size, 2);
  test.strictSame(paged([catalog], root, 1, 2).length, names.length);
  catalog.visitRows(root, 1, 123_456, 10, () => test.fail('no row has this number'));
  const elsewhere = catalog.root(stream, 1)!.id;
  catalog.visitRows(root, 1, elsewhere, 10, () => test.fail('that row stands elsewhere'));
});

void t.test(
  'a cursor meets what a listing lists, in every version, any number of them at once',
  async (test) => {
    const trees = busyTrees();
    const { catalog, other } = await catalogOf(test, trees);
    for (let sequence = 1; sequence <= trees.length; sequence++) {
      const root = catalog.root(stream, sequence)!.directory!;
      const wanted = Array.from(catalog.list(root, sequence));
      const cursors = [catalog, catalog, other].map((reader) => reader.cursor(root, sequence));
      const found = wanted.map((_, index) =>
        cursors.map((cursor) => {
          if (!cursor.next()) test.fail('it ended early');
          test.equal(cursor.compareName(wanted[index]!.name), 0);
          if (index > 0) test.ok(cursor.compareName(wanted[index - 1]!.name) > 0);
          if (index + 1 < wanted.length) test.ok(cursor.compareName(wanted[index + 1]!.name) < 0);
          test.equal(cursor.directory, wanted[index]!.directory);
          return cursor.entry();
        }),
      );
      test.strictSame(
        found,
        wanted.map((entry) => [entry, entry, entry]),
      );
      test.notOk(cursors.some((cursor) => cursor.next()));
    }
  },
);

void t.test('a cursor that was closed has ended, and its successor is sound', async (test) => {
  const tree: Tree = new Map([['', directory()]]);
  const names = Array.from({ length: 3000 }, (_, number) => `f${10_000 + number}`);
  for (const name of names) tree.set(name, file(name));
  const { catalog } = await catalogOf(test, [tree]);
  const root = catalog.root(stream, 1)!.directory!;
  const first = catalog.cursor(root, 1);
  test.ok(first.next());
  first.close();
  test.notOk(first.next());
  test.throws(() => first.entry(), RangeError);
  const cursors = [catalog.cursor(root, 1), catalog.cursor(root, 1)];
  for (const name of names)
    for (const cursor of cursors) {
      if (!cursor.next() || cursor.compareName(Buffer.from(name)) !== 0) test.fail(`${name} is missing`);
    }
  test.notOk(cursors.some((cursor) => cursor.next()));
  test.notOk(catalog.cursor(123_456, 1).next());
});

void t.test('200,000 names in one directory, in pages of two readers', async (test) => {
  const tree: Tree = new Map([['', directory()]]);
  const entry = file('');
  const wanted: string[] = [];
  for (let number = 0; number < 200_000; number++) wanted.push(`f${String(number).padStart(6, '0')}`);
  for (const name of wanted) tree.set(name, entry);
  const { catalog, other } = await catalogOf(test, [tree]);
  const root = catalog.root(stream, 1)!.directory!;
  const names = paged([catalog, other], root, 1, 190);
  test.equal(names.length, wanted.length);
  test.ok(names.every((name, index) => name === wanted[index]));
});

void t.test('the short form of an entry', async (test) => {
  const holes = [
    { kind: 'hole' as const, size_bytes: 2 ** 40 },
    { kind: 'hole' as const, size_bytes: 5 },
  ];
  const sparse = file('', { content: holes, size_bytes: 2 ** 40 + 5, mtime_ns: -1n });
  const { catalog } = await catalogOf(test, [
    new Map([
      ['', directory()],
      ['d', directory({ mode: 0o700 })],
      ['sparse', sparse],
    ]),
  ]);
  const root = catalog.root(stream, 1)!;
  const row = catalog.lookupRow(root.directory!, Buffer.from('sparse'), 1)!;
  test.match(row, { holes_bytes: 2 ** 40 + 5, status: { mtime_s: -1, mtimeRest_ns: 999_999_999 } });
  test.match(catalog.row(row.id), { id: row.id, status: { type: 'file', size_bytes: 2 ** 40 + 5 } });
  const below = catalog.lookupRow(root.directory!, Buffer.from('d'), 1)!;
  test.match(below, { status: { type: 'directory', mode: 0o700 } });
  test.equal(catalog.directoryById(below.id), below.directory);
  test.equal(catalog.directoryById(row.id), undefined);
  test.equal(catalog.row(123_456), undefined);
  test.equal(catalog.extrasById(123_456), undefined);
});

void t.test('an ACL in any version is heard of for ever, in every reader', async (test) => {
  const xattr = (name: string) => [{ name: Buffer.from(name), value: Buffer.from('x') }];
  const [access, standard] = ['system.posix_acl_access', 'system.posix_acl_default'].map((name) =>
    Buffer.from(name),
  );
  const trees: Tree[] = [
    new Map([
      ['', directory()],
      ['a', file('a', { xattrs: xattr('user.any') })],
    ]),
    new Map([
      ['', directory()],
      ['a', file('a', { xattrs: xattr('system.posix_acl_access') })],
    ]),
    new Map([['', directory()]]),
  ];
  const { catalog, other, at } = await catalogOf(test, trees.slice(0, 1));
  test.ok(catalog.isUnheardOf(access!));
  test.ok(catalog.isUnheardOf(Buffer.from('security.selinux')));
  test.notOk(catalog.isUnheardOf(Buffer.from('user.other')), 'only what is asked for all the time');
  for (const commit of commitsOf(trees).slice(1)) {
    await catalog.ingest(commit);
    other.refresh();
    for (const reader of [catalog, other]) {
      test.notOk(reader.isUnheardOf(access!));
      test.notOk(reader.isUnheardOf(standard!), 'a file system has both kinds or none');
      test.ok(reader.isUnheardOf(Buffer.from('security.selinux')));
    }
  }
  const again = openCatalogReader(at, repositoryId);
  test.notOk(again.isUnheardOf(access!));
  await again.close();
});
