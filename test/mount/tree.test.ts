// The virtual tree, without a kernel: names, states, inode numbers, listings.

import t from 'tap';
import { rootNode, nodeNumber, decodeNode, encodeNode, type NodeId } from '../../lib/mount/tree/node.js';
import { Tree, type Found } from '../../lib/mount/tree/index.js';
import type { CatalogReader, StreamInfo } from '../../lib/catalog/types.js';
import { scratchDirectory } from '../trees.js';
import { directory, TestRepository, type TestTree } from './repository.js';

const options = { host: 'here', owner: { uid: 1000, gid: 1000 } };
const day1_ns = 1_795_230_000_000_000_000n; // 2026-11-21T03-00-00Z
const day_ns = 86_400_000_000_000n;
const day1 = '2026-11-21T03-00-00Z';
const day2 = '2026-11-22T03-00-00Z';
const day3 = '2026-11-23T03-00-00Z';

function walk(tree: Tree, path: string): Found | undefined {
  let found: Found | undefined = { node: rootNode, attributes: tree.getattr(rootNode)! };
  for (const name of path.split('/').filter(Boolean)) {
    found = found && tree.lookup(found.node, Buffer.from(name, 'latin1'));
  }
  return found;
}

function names(tree: Tree, path: string): string[] {
  return Array.from(tree.readdir(walk(tree, path)!.node, 0)!, ({ name }) => name.toString('latin1'));
}

async function repositoryOf(
  test: Parameters<typeof scratchDirectory>[0],
  versions: TestTree[],
): Promise<TestRepository> {
  const repository = await TestRepository.create(scratchDirectory(test));
  test.teardown(() => repository.catalog.close());
  for (const [index, tree] of versions.entries()) {
    await repository.commit('here', 'docs', day1_ns + BigInt(index) * day_ns, tree);
  }
  return repository;
}

void t.test('the four branches', async (test) => {
  const repository = await repositoryOf(test, [{ a: 'one' }, { a: 'two', b: 'new' }]);
  await repository.commit('there', 'photos', day1_ns, { p: 'picture' });
  const tree = new Tree(repository.catalog, options);
  test.strictSame(names(tree, ''), ['.trackerignore', 'hosts', 'docs']);
  test.strictSame(names(tree, 'docs'), ['current', 'history', day1, day2]);
  test.strictSame(names(tree, 'hosts'), ['here', 'there']);
  test.strictSame(names(tree, 'hosts/there'), ['photos']);
  test.strictSame(names(tree, `hosts/there/photos/${day1}`), ['p']);
  test.strictSame(names(tree, `docs/${day1}`), ['a']);
  test.strictSame(names(tree, `docs/${day2}`), ['a', 'b']);
  test.equal(Buffer.from(tree.readlink(walk(tree, 'docs/current')!.node)!).toString(), day2);
  test.equal(walk(tree, 'docs/nothing'), undefined);
  test.equal(walk(tree, `docs/${day1}/b`), undefined);
  test.equal(walk(tree, 'photos'), undefined, "another host's source is not in the root");
  test.strictSame(tree.totals(), { bytes: 3 + 3 + 7, files: 2 + 1 + 1 + 1 });
});

void t.test('a new version shows, and current moves, without a new tree', async (test) => {
  const repository = await repositoryOf(test, [{ a: 'one' }]);
  const tree = new Tree(repository.catalog, options);
  const before = walk(tree, 'docs/current')!;
  test.equal(names(tree, 'docs').length, 3);
  await repository.commit('here', 'docs', day1_ns + day_ns, { a: 'two' });
  tree.refresh();
  test.strictSame(names(tree, 'docs'), ['current', 'history', day1, day2]);
  const after = walk(tree, 'docs/current')!;
  test.equal(Buffer.from(tree.readlink(after.node)!).toString(), day2);
  test.not(nodeNumber(before.node), nodeNumber(after.node), 'a new target is a new inode');
  test.equal(Buffer.from(tree.readlink(before.node)!).toString(), day1, 'whoever holds the old one keeps it');
});

void t.test('two versions of one second', async (test) => {
  const repository = await repositoryOf(test, [{ a: 'one' }]);
  await repository.commit('here', 'docs', day1_ns + 1000n, { a: 'two' });
  const tree = new Tree(repository.catalog, options);
  test.strictSame(names(tree, 'docs'), ['current', 'history', day1, `${day1}-2`]);
});

void t.test('inode numbers', async (test) => {
  const link = { content: 'same', inode: 7n, links: 2 };
  const versions = [
    { a: 'one', d: directory, 'd/x': link, y: link },
    { a: 'one', d: directory, 'd/x': link, y: link, b: '' },
  ];
  const repository = await repositoryOf(test, versions);
  const tree = new Tree(repository.catalog, options);
  const number = (path: string): bigint => nodeNumber(walk(tree, path)!.node);
  test.equal(
    number(`docs/${day1}/a`),
    number(`docs/${day2}/a`),
    'the same state is the same inode in all versions',
  );
  test.equal(number(`docs/${day1}/a`), number(`hosts/here/docs/${day2}/a`), 'in both views');
  test.equal(number(`docs/${day1}/y`), number(`docs/${day1}/d/x`), 'hard links share one');
  test.not(number(`docs/${day1}/d`), number(`docs/${day2}/d`), 'a directory belongs to its version');
  test.not(number(`docs/${day1}/d`), number(`hosts/here/docs/${day1}/d`), 'and to its view');
  test.not(number('docs'), number('hosts/here/docs'));
  const again = new Tree(repository.catalog, options);
  for (const path of [
    'docs',
    `docs/${day1}`,
    `docs/${day1}/d`,
    `docs/${day2}/a`,
    'docs/history',
    'docs/history/a',
  ]) {
    test.equal(nodeNumber(walk(again, path)!.node), number(path), `${path} is stable`);
  }
  const seen = new Map<bigint, string>();
  const visit = (node: NodeId, path: string): void => {
    for (const entry of tree.readdir(node, 0) ?? []) {
      const child = tree.lookup(node, entry.name)!;
      test.equal(
        nodeNumber(entry.node),
        nodeNumber(child.node),
        `${path}/${entry.name.toString()}: listing and lookup agree`,
      );
      const { high, low } = encodeNode(child.node);
      test.strictSame(decodeNode(high, low), child.node);
      if (tree.readdir(child.node, 0) === undefined) continue;
      const at = `${path}/${entry.name.toString()}`;
      test.equal(seen.get(nodeNumber(child.node)), undefined, `${at} is a directory of its own`);
      seen.set(nodeNumber(child.node), at);
      visit(child.node, at);
    }
  };
  visit(rootNode, '');
});

void t.test('attributes', async (test) => {
  const before1970_ns = -1_500_000_000n;
  const repository = await repositoryOf(test, [
    {
      '': { type: 'directory', mode: 0o1750, uid: 5, gid: 6, mtime_ns: 123_456_789n },
      sparse: { content: ['x'.repeat(1000), 100_000, 'y'.repeat(24)] },
      old: { content: 'old', mtime_ns: before1970_ns, mode: 0o4711 },
      link: { type: 'symlink', target: Buffer.from([0xff, 0x2f, 0x61]) },
      device: { type: 'block-device', rdev: [8, 300] },
      tagged: { content: 'x', xattrs: { 'user.b': '2', 'system.posix_acl_access': '\x02\0\0\0' } },
    },
  ]);
  const tree = new Tree(repository.catalog, options);
  const at = (name: string): Found => walk(tree, `docs/${day1}/${name}`)!;
  test.match(
    at('').attributes,
    { mode: 0o41750, uid: 5, gid: 6, mtime_s: 0, mtimeRest_ns: 123_456_789 },
    'a version has its root as it was',
  );
  test.match(at('sparse').attributes, { size_bytes: 101_024, blocks: 2 });
  test.match(at('old').attributes, { mtime_s: -2, mtimeRest_ns: 500_000_000, mode: 0o104711 });
  test.match(at('link').attributes, { mode: 0o120644, size_bytes: 3 });
  test.strictSame(Buffer.from(tree.readlink(at('link').node)!), Buffer.from([0xff, 0x2f, 0x61]));
  test.match(at('device').attributes, { rdevMajor: 8, rdevMinor: 300 });
  const xattrs = tree.xattrs(at('tagged').node)!.map(({ name }) => Buffer.from(name).toString());
  test.strictSame(xattrs, ['system.posix_acl_access', 'user.b']);
  test.strictSame(tree.xattrs(rootNode), []);
  test.equal(tree.readlink(at('old').node), undefined);
  test.equal(tree.readdir(at('old').node, 0), undefined);
});

void t.test('a large directory, page by page, from any position', async (test) => {
  const many = Object.fromEntries(
    Array.from({ length: 1000 }, (_, index) => [`f${String(index).padStart(5, '0')}`, '']),
  );
  const repository = await repositoryOf(test, [many]);
  const { node } = walk(new Tree(repository.catalog, options), `docs/${day1}`)!;
  for (const page of [1, 7, 64, 65, 300]) {
    const trees = [new Tree(repository.catalog, options), new Tree(repository.catalog, options)];
    const seen: string[] = [];
    for (let position = 0, turn = 0; ; turn++) {
      const before = position;
      // As threads do: pages alternate between trees that know nothing of each other.
      for (const entry of trees[turn % 2]!.readdir(node, position)!) {
        seen.push(entry.name.toString());
        position = entry.next;
        if (position - before === page) break;
      }
      if (position === before) break;
    }
    test.strictSame(seen, Object.keys(many), `pages of ${page}`);
  }
});

void t.test('history', async (test) => {
  const repository = await repositoryOf(test, [
    { 'a.txt': 'one', d: directory, 'd/x.tar.gz': 'x', swap: 'a file', gone: directory, 'gone/deep': '1' },
    { 'a.txt': 'two', d: directory, 'd/x.tar.gz': 'x', swap: directory, [`swap/${day1}`]: 'clash' },
    { d: directory, 'd/x.tar.gz': 'x', swap: 'a file again', 'a.txt': 'two' },
    { d: directory },
  ]);
  const day4 = '2026-11-24T03-00-00Z';
  const tree = new Tree(repository.catalog, options);
  test.strictSame(names(tree, 'docs/history').slice(0, 4), ['a.txt', 'd', 'gone', 'swap']);
  test.strictSame(names(tree, 'docs/history/a.txt'), [`${day1}.txt`, `${day2}.txt`, `${day4}.deleted`]);
  test.strictSame(names(tree, 'docs/history/d/x.tar.gz'), [`${day1}.gz`, `${day4}.deleted`]);
  test.strictSame(names(tree, 'docs/history/gone'), ['deep', `${day2}.deleted`]);
  test.strictSame(names(tree, 'docs/history/gone/deep'), [`${day1}`, `${day2}.deleted`]);
  test.strictSame(
    names(tree, 'docs/history/swap'),
    [day1, `${day1}~`, day3, `${day4}.deleted`],
    'a path that was a file and a directory has both; a clash is resolved',
  );
  test.strictSame(names(tree, `docs/history/swap/${day1}`), [day2, `${day3}.deleted`]);
  const state = walk(tree, `docs/history/a.txt/${day1}.txt`)!;
  test.strictSame(state.node, walk(tree, `docs/${day1}/a.txt`)!.node, 'a state is the file itself');
  const marker = walk(tree, `docs/history/a.txt/${day4}.deleted`)!;
  test.match(marker.attributes, { size_bytes: 0, mode: 0o100444 });
  test.strictSame(tree.getattr(marker.node)?.mode, 0o100444);
  test.equal(walk(tree, 'docs/history/never'), undefined);
});

void t.test('what the kernel forgets is forgotten', async (test) => {
  const repository = await repositoryOf(test, [{ a: 'one' }]);
  const tree = new Tree(repository.catalog, options);
  const { node } = walk(tree, 'docs/history/a')!;
  walk(tree, 'docs/history/a');
  test.equal(tree.history.size, 1);
  tree.history.forget(node, 1);
  test.ok(tree.getattr(node));
  tree.history.forget(node, 1);
  test.equal(tree.history.size, 0);
  test.equal(tree.getattr(node), undefined);
});

void t.test('names that hosts and sources give themselves stay in their directory', async (test) => {
  const repository = await TestRepository.create(scratchDirectory(test));
  test.teardown(() => repository.catalog.close());
  await repository.commit('..', '../../etc', day1_ns, { a: '' });
  await repository.commit('here', 'hosts', day1_ns, { a: '' });
  const tree = new Tree(repository.catalog, options);
  test.strictSame(names(tree, ''), ['.trackerignore', 'hosts']);
  test.strictSame(names(tree, 'hosts'), ['_..', 'here']);
  test.strictSame(names(tree, 'hosts/_..'), ['.._.._etc']);
  test.strictSame(names(tree, `hosts/here/hosts/${day1}`), ['a']);
});

void t.test('only one source, of another machine', async (test) => {
  const repository = await repositoryOf(test, [{ a: 'one' }]);
  await repository.commit('there', 'docs', day1_ns, { t: '' });
  await repository.commit('there', 'photos', day1_ns, { p: '' });
  const there = new Tree(repository.catalog, { ...options, host: 'there' });
  test.strictSame(names(there, ''), ['.trackerignore', 'hosts', 'docs', 'photos']);
  test.strictSame(names(there, `docs/${day1}`), ['t']);
  const photos = new Tree(repository.catalog, { ...options, host: 'there', source: 'photos' });
  test.strictSame(names(photos, ''), ['.trackerignore', 'hosts', 'photos']);
  test.strictSame(names(photos, 'hosts'), ['there'], 'a machine without that source is not shown');
  test.equal(walk(photos, 'docs'), undefined);
  test.equal(photos.getattr(walk(there, 'docs')!.node), undefined, 'nor is it reached by its number');
  test.strictSame(photos.totals(), { bytes: 0, files: 2 });
});

void t.test('only what lies below a path', async (test) => {
  const repository = await repositoryOf(test, [
    { w: 'a file yet' },
    { w: directory, 'w/d': directory, 'w/d/a.txt': 'one', x: 'out' },
    { w: directory, 'w/d': directory, 'w/d/a.txt': 'two', x: 'out' },
    { x: 'out' },
  ]);
  await repository.commit('here', 'other', day1_ns, { a: '' });
  const tree = new Tree(repository.catalog, { ...options, path: Buffer.from('w') });
  test.strictSame(
    names(tree, ''),
    ['.trackerignore', 'hosts', 'docs'],
    'a source that never had it is not shown',
  );
  test.strictSame(names(tree, 'docs'), ['current', 'history', day2, day3], 'nor a version without it');
  test.equal(Buffer.from(tree.readlink(walk(tree, 'docs/current')!.node)!).toString(), day3);
  test.strictSame(names(tree, `docs/${day2}`), ['d']);
  test.strictSame(names(tree, `docs/${day2}/d`), ['a.txt']);
  test.equal(walk(tree, `docs/${day1}`), undefined);
  test.strictSame(names(tree, 'docs/history'), ['d', `${day1}`, '2026-11-24T03-00-00Z.deleted']);
  test.strictSame(names(tree, 'docs/history/d/a.txt'), [
    `${day2}.txt`,
    `${day3}.txt`,
    '2026-11-24T03-00-00Z.deleted',
  ]);
});

void t.test('no history', async (test) => {
  const repository = await repositoryOf(test, [{ a: 'one' }]);
  const tree = new Tree(repository.catalog, { ...options, hidesHistory: true });
  test.strictSame(names(tree, 'docs'), ['current', day1]);
  test.strictSame(names(tree, 'hosts/here/docs'), ['current', day1]);
  test.equal(walk(tree, 'docs/history'), undefined);
});

void t.test('another owner in every entry', async (test) => {
  const repository = await repositoryOf(test, [
    { a: { content: 'one', uid: 5, gid: 6, mode: 0o600 }, d: { type: 'directory', uid: 5, gid: 6 } },
    {},
  ]);
  const everything = (shown: { uid?: number; gid?: number }): Set<string> => {
    const tree = new Tree(repository.catalog, { ...options, ...shown });
    const owners = new Set<string>();
    const see = (node: NodeId): void => {
      for (const { name } of tree.readdir(node, 0) ?? []) {
        const found = tree.lookup(node, name)!;
        const now = tree.getattr(found.node)!;
        for (const { uid, gid } of [found.attributes, now]) owners.add(`${uid}:${gid}`);
        see(found.node);
      }
      for (const { attributes } of tree.readdir(node, 0) ?? [])
        if (attributes !== undefined) owners.add(`${attributes.uid}:${attributes.gid}`);
    };
    see(rootNode);
    return owners;
  };
  test.strictSame([...everything({ uid: 77, gid: 88 })], ['77:88']);
  test.strictSame([...everything({ uid: 77 })].sort(), ['77:0', '77:1000', '77:6']);
  test.strictSame([...everything({})].sort(), ['0:0', '1000:1000', '5:6']);
});

void t.test('other names for versions', async (test) => {
  const repository = await repositoryOf(test, [{ 'a.txt': 'one' }, { 'a.txt': 'two' }, {}]);
  await repository.commit('here', 'docs', day1_ns + 2n * day_ns + 60_000_000_000n, { a: '' });
  const samba = new Tree(repository.catalog, { ...options, timeFormat: 'samba', hidesHistory: true });
  const samba1 = '@GMT-2026.11.21-03.00.00';
  test.strictSame(names(samba, 'docs').slice(0, 2), ['current', samba1]);
  const monthly = new Tree(repository.catalog, { ...options, timeFormat: '%B %Y' });
  test.strictSame(
    names(monthly, 'docs'),
    ['current', 'history', 'November 2026', 'November 2026-2', 'November 2026-3', 'November 2026-4'],
    'never twice the same',
  );
  test.strictSame(names(monthly, 'docs/November 2026-2'), ['a.txt']);
  test.equal(
    Buffer.from(monthly.readlink(walk(monthly, 'docs/current')!.node)!).toString(),
    'November 2026-4',
  );
  test.strictSame(names(monthly, 'docs/history/a.txt'), [
    'November 2026.txt',
    'November 2026-2.txt',
    'November 2026-3.deleted',
  ]);
});

void t.test('a version that is removed leaves nothing to be reached', async (test) => {
  const repository = await repositoryOf(test, [
    { a: 'one', d: directory, 'd/x': '', e: directory },
    { a: 'two', d: directory, 'd/x': '', e: directory },
  ]);
  const removed = new Set<number>();
  const { catalog } = repository;
  const isRemoved = (sequence: number): boolean => removed.has(sequence);
  // As a catalog answers once a version has gone from its table of versions, while rows of it are still there.
  const pruned: CatalogReader = Object.assign(Object.create(catalog) as CatalogReader, {
    streams: () => catalog.streams().map(without),
    stream: (id: string) => without(catalog.stream(id)!),
    versions: (id: string) => catalog.versions(id).filter(({ header }) => !isRemoved(header.sequence)),
    version: (id: string, sequence: number) =>
      isRemoved(sequence) ? undefined : catalog.version(id, sequence),
    root: (id: string, sequence: number) => (isRemoved(sequence) ? undefined : catalog.root(id, sequence)),
    find: (id: string, sequence: number, path: Buffer) =>
      isRemoved(sequence) ? undefined : catalog.find(id, sequence, path),
    isReadable: (id: number, sequence: number) => !isRemoved(sequence) && catalog.isReadable(id, sequence),
    lookup: catalog.lookup.bind(catalog),
    list: catalog.list.bind(catalog),
    entryById: catalog.entryById.bind(catalog),
  });
  const without = (stream: StreamInfo): StreamInfo => ({
    ...stream,
    headHash: `${stream.headHash} ${removed.size}`,
  });
  const tree = new Tree(pruned, options);
  const paths = [`docs/${day1}`, `docs/${day1}/d`, `docs/${day1}/e`];
  const before = paths.map((path) => walk(tree, path)!.node);
  test.ok(before.every((node) => tree.getattr(node) !== undefined));
  removed.add(1);
  for (const node of before) {
    test.equal(tree.getattr(node), undefined);
    test.equal(tree.readdir(node, 0), undefined);
    test.equal(tree.lookup(node, Buffer.from('x')), undefined);
    test.equal(tree.xattrs(node), undefined);
    test.equal(tree.entry(node), undefined);
  }
  test.strictSame(names(tree, 'docs'), ['current', 'history', day2]);
  test.equal(walk(tree, `docs/${day1}`), undefined);
  test.strictSame(names(tree, `docs/${day2}`), ['a', 'd', 'e'], 'the one after it is as it was');
});

void t.test('a number that no node has', async (test) => {
  const repository = await repositoryOf(test, [{ a: 'one', d: directory }]);
  const tree = new Tree(repository.catalog, options);
  const { node } = walk(tree, `docs/${day1}/d`)!;
  for (const wrong of [
    { ...node, upper: 2 },
    { ...node, upper: 0 },
    { ...node, lower: node.lower + 1000 },
    { ...walk(tree, `docs/${day1}/a`)!.node, lower: 10_000 },
  ]) {
    test.equal(tree.getattr(wrong), undefined);
    test.equal(tree.readdir(wrong, 0), undefined);
    test.equal(tree.lookup(wrong, Buffer.from('a')), undefined);
  }
});
