// Whose the directories of the virtual tree are, and who is let in, without a kernel: history/, and the top of what --path shows.

import t from 'tap';
import { rootNode } from '../../lib/mount/tree/node.js';
import { Tree, type Found } from '../../lib/mount/tree/index.js';
import { scratchDirectory } from '../trees.js';
import { TestRepository, type TestTree } from './repository.js';

const options = { host: 'here', owner: { uid: 1000, gid: 1000 } };
const day1_ns = 1_795_230_000_000_000_000n;
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

void t.test(
  'history is as closed as the source has ever been, under the owners that are shown',
  async (test) => {
    const root = (mode: number, uid: number): TestTree => ({
      '': { type: 'directory', mode, uid, gid: uid },
      a: { content: 'one', mode, uid, gid: uid },
      link: { type: 'symlink', target: 'a', uid: uid + 1, mode: 0o777 },
    });
    const repository = await repositoryOf(test, [root(0o750, 5), root(0o755, 5), root(0o755, 6)]);
    const shown = (path: string, owner: { uid?: number; gid?: number } = {}): unknown => {
      const { uid, gid, mode } = walk(
        new Tree(repository.catalog, { ...options, ...owner }),
        path,
      )!.attributes;
      return [uid, gid, mode.toString(8)];
    };
    test.strictSame(shown('docs/history'), [5, 5, '40750']);
    test.strictSame(shown('docs/history/a'), [5, 5, '40750'], 'of a file: whoever may read it');
    test.strictSame(shown('docs/history/link'), [7, 0, '40755'], 'a symlink is open to all');
    test.strictSame(shown('docs/history', { uid: 77, gid: 88 }), [77, 88, '40750']);
    test.strictSame(shown('docs/history/link', { uid: 77, gid: 88 }), [77, 88, '40755']);
    test.strictSame(shown(`docs/${day3}`), [6, 6, '40755'], 'a version is as it was');
  },
);

void t.test('the root of a version below a path: as closed as what is above, ACLs included', async (test) => {
  const acl = '\x02\0\0\0';
  const xattrs = { 'system.posix_acl_access': acl, 'user.a': 'b' };
  const home = (mode: number): TestTree => ({
    home: { type: 'directory', mode, uid: 5, gid: 5 },
    'home/w': { type: 'directory', mode: 0o2775, uid: 6, gid: 6, xattrs },
    'home/w/in': { type: 'directory', mode: 0o775, uid: 6, gid: 6 },
  });
  const repository = await repositoryOf(test, [home(0o700), home(0o755)]);
  const tree = new Tree(repository.catalog, { ...options, path: Buffer.from('home/w') });
  const namesOf = (path: string): string[] =>
    tree.xattrs(walk(tree, path)!.node)!.map(({ name }) => Buffer.from(name).toString());
  const [closed, open] = [day1, day2].map((day) => walk(tree, `docs/${day}`)!);
  test.match(closed!.attributes, { mode: 0o42000, uid: 6, gid: 6 }, 'what is no ACL lets nobody in');
  test.strictSame(tree.getattr(closed!.node), closed!.attributes, 'by its number, too');
  test.strictSame(namesOf(`docs/${day1}`), ['user.a'], 'its own ACL would let others in');
  test.match(open!.attributes, { mode: 0o42775, uid: 6, gid: 6 });
  test.strictSame(namesOf(`docs/${day2}`), ['system.posix_acl_access', 'user.a'], 'as it was');
  test.match(walk(tree, `docs/${day1}/in`)!.attributes, { mode: 0o40775 }, 'below it nothing changes');
});
