// The virtual tree, without a kernel: names, states, inode numbers, listings.

import t from 'tap';
import { rootNode, nodeNumber, decodeNode, encodeNode, type NodeId } from '../../lib/mount/tree/node.js';
import { Tree, type Found } from '../../lib/mount/tree/index.js';
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
  test.strictSame(names(tree, ''), ['hosts', 'docs']);
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
    { mode: 0o41750, uid: 5, gid: 6, mtime_ns: 123_456_789n },
    'a version has its root as it was',
  );
  test.match(at('sparse').attributes, { size_bytes: 101_024, blocks: 2 });
  test.match(at('old').attributes, { mtime_ns: before1970_ns, mode: 0o104711 });
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
  test.strictSame(names(tree, ''), ['hosts']);
  test.strictSame(names(tree, 'hosts'), ['_..', 'here']);
  test.strictSame(names(tree, 'hosts/_..'), ['.._.._etc']);
  test.strictSame(names(tree, `hosts/here/hosts/${day1}`), ['a']);
});
