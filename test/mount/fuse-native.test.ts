// The driver fuse-native with a real kernel: the same tree, as far as libfuse 2 by path can show it.

import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { live, noMount, run } from './live.js';
import { umount } from '../umount.js';
import { chunkIdOf, directory, type TestRepository, type TestTree } from './repository.js';

const day1_ns = 1_795_230_000_000_000_000n;
const day1 = '2026-11-21T03-00-00Z';
const day2 = '2026-11-22T03-00-00Z';

const skip = noMount || whyNotLoaded();

function whyNotLoaded(): string | false {
  try {
    createRequire(import.meta.url)('fuse-native');
    return false;
  } catch {
    return 'needs the npm package fuse-native and libfuse2';
  }
}

const fillWith =
  (...versions: TestTree[]) =>
  async (repository: TestRepository): Promise<void> => {
    for (const [index, tree] of versions.entries()) {
      await repository.commit('here', 'docs', day1_ns + BigInt(index) * 86_400_000_000_000n, tree);
    }
  };

void t.test('the same tree', { skip }, async (test) => {
  const one: TestTree = {
    'a.txt': 'hello\n',
    empty: '',
    d: directory,
    'd/f': { content: ['x'.repeat(300_000), 70_000, 'tail'] },
    link: { type: 'symlink', target: 'a.txt' },
    '\xff': 'bytes\n',
    secret: { content: 's', mode: 0o4600, uid: 1234, gid: 4321, mtime_ns: 1_600_000_000_125_000_000n },
    tagged: { content: 't', xattrs: { 'user.color': 'red' } },
    bad: 'broken',
  };
  const { at, scratch, repository, warnings } = await live(
    test,
    'fuse-native',
    fillWith(one, { ...one, 'a.txt': 'bye\n' }),
  );
  const root = path.join(at, 'docs', day1);
  test.equal((await run('ls', [at])).output, 'docs\nhosts\n');
  test.equal((await run('ls', [path.join(at, 'docs')])).output, `${day1}\n${day2}\ncurrent\nhistory\n`);
  test.equal((await run('cat', [path.join(at, 'docs/current/a.txt')])).output, 'bye\n');
  test.equal((await run('ls', [path.join(at, 'docs/history/a.txt')])).output, `${day1}.txt\n${day2}.txt\n`);
  test.equal((await run('cat', [path.join(root, '\\xff')])).output, 'bytes\n', 'other bytes stand as \\xNN');
  const stat = await run('stat', ['-c', '%a %u %g %s %.9Y', path.join(root, 'secret')]);
  test.equal(stat.output, '4600 1234 4321 1 1600000000.125000000\n', 'times in milliseconds');
  const tagged = await run('getfattr', ['-d', path.join(root, 'tagged')]);
  test.match(tagged.output, 'user.color="red"');
  const copied = await run('cp', ['-a', root, path.join(scratch, 'copy')]);
  test.equal(copied.status, 0, copied.errors);
  const whole = `${'x'.repeat(300_000)}${'\0'.repeat(70_000)}tail`;
  test.ok(fs.readFileSync(path.join(scratch, 'copy/d/f'), 'latin1') === whole);
  test.equal(fs.readlinkSync(path.join(scratch, 'copy/link')), 'a.txt');
  test.match((await run('touch', [path.join(root, 'new')])).errors, /Read-only file system/);
  repository.failing.add(chunkIdOf('broken'));
  test.strictSame(warnings, []);
});

void t.test('a damaged block is EIO for its file alone', { skip }, async (test) => {
  const { at, repository, warnings } = await live(
    test,
    'fuse-native',
    fillWith({ bad: 'broken', good: 'fine' }),
  );
  repository.failing.add(chunkIdOf('broken'));
  test.match((await run('cat', [path.join(at, 'docs', day1, 'bad')])).errors, /Input\/output error/);
  test.equal((await run('cat', [path.join(at, 'docs', day1, 'good')])).output, 'fine');
  test.match(warnings, [/bad cannot be read: block 0 of pack/]);
});

void t.test('other users are not let in where nobody enforces ACLs', { skip: noMount }, async (test) => {
  const refused = live(test, 'fuse-native', fillWith({ a: 'one' }), { allowOther: true });
  await test.rejects(refused, { code: 'mount.no_acls', exitStatus: 2 });
});

void t.test('unmounting from outside ends it', { skip }, async (test) => {
  const { at, mounted } = await live(test, 'fuse-native', fillWith({ a: 'one' }));
  await umount(at);
  await mounted.closed;
  await mounted.unmount();
});
