// The kernel driver with a real kernel.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { live, noMount, run, shell, start } from './live.js';
import { umount } from '../umount.js';
import { chunkIdOf, directory, type TestRepository, type TestTree } from './repository.js';

const skip = noMount;
const day1_ns = 1_795_230_000_000_000_000n;
const day_ns = 86_400_000_000_000n;
const day1 = '2026-11-21T03-00-00Z';
const day2 = '2026-11-22T03-00-00Z';

const fillWith =
  (...versions: TestTree[]) =>
  async (repository: TestRepository): Promise<void> => {
    for (const [index, tree] of versions.entries()) {
      await repository.commit('here', 'docs', day1_ns + BigInt(index) * day_ns, tree);
    }
  };

/** user::rw- user:1000:r-- group::r-- mask::r-- other::---, as the kernel keeps it. */
const acl = [
  [1, 6, -1],
  [2, 4, 1000],
  [4, 4, -1],
  [16, 4, -1],
  [32, 0, -1],
].reduce((bytes, [tag, permissions, id]) => {
  const entry = Buffer.alloc(8);
  entry.writeUInt16LE(tag!, 0);
  entry.writeUInt16LE(permissions!, 2);
  entry.writeInt32LE(id!, 4);
  return bytes + entry.toString('latin1');
}, '\x02\0\0\0');

const big = 'abcdefgh'.repeat(32 * 1024);
const everything: TestTree = {
  '': { type: 'directory', mode: 0o755, mtime_ns: 1_600_000_000_123_456_789n },
  'a.txt': 'hello\n',
  empty: '',
  d: directory,
  'd/e': directory,
  'd/e/f': 'deep\n',
  emptydir: directory,
  '\xff\xfe name\n': 'bytes\n',
  big: { content: [big, 100_000, big, 'tail'] },
  hole: { content: [1_000_000] },
  h1: { content: 'linked', inode: 9n, links: 2 },
  h2: { content: 'linked', inode: 9n, links: 2 },
  link: { type: 'symlink', target: 'a.txt', mode: 0o777 },
  strange: { type: 'symlink', target: Buffer.from('\xff/x', 'latin1'), mode: 0o777 },
  fifo: { type: 'fifo' },
  null: { type: 'character-device', rdev: [1, 3], mode: 0o666 },
  secret: { content: 's', mode: 0o4600, uid: 1234, gid: 4321, mtime_ns: -1_999_999_999n },
  acl: { content: 'a', mode: 0o640, xattrs: { 'system.posix_acl_access': acl } },
  tagged: { content: 't', xattrs: { 'user.color': 'red', 'user.empty': '' } },
};

void t.test('everything is there, as it was', { skip }, async (test) => {
  const { at, scratch, warnings } = await live(
    test,
    'kernel',
    fillWith(everything, { ...everything, 'a.txt': 'bye\n' }),
  );
  const root = path.join(at, 'docs', day1);
  const list = await run('ls', ['-lR', at]);
  test.equal(list.status, 0, list.errors);
  test.strictSame((await run('ls', [path.join(at, 'docs')])).output, `${day1}\n${day2}\ncurrent\nhistory\n`);
  test.equal((await run('cat', [path.join(root, 'a.txt')])).output, 'hello\n');
  test.equal((await run('cat', [path.join(at, 'docs/current/a.txt')])).output, 'bye\n');
  test.equal((await run('cat', [path.join(at, 'hosts/here/docs', day2, 'd/e/f')])).output, 'deep\n');
  test.equal((await shell('cat "$1"/*name*', root)).output, 'bytes\n');
  test.equal((await run('readlink', ['-n', path.join(root, 'strange')])).output, '\xff/x');
  const stat = async (name: string, format: string): Promise<string> =>
    (await run('stat', ['-c', format, path.join(root, name)])).output.trim();
  test.equal(await stat('secret', '%a %u %g %s %.9Y %F'), '4600 1234 4321 1 -1.999999999 regular file');
  test.equal(await stat('', '%.9Y %F'), '1600000000.123456789 directory');
  test.equal(await stat('null', '%t %T %F'), '1 3 character special file');
  test.equal(await stat('fifo', '%F'), 'fifo');
  test.equal(await stat('hole', '%s %b'), '1000000 0');
  test.equal(await stat('h1', '%i %h'), await stat('h2', '%i %h'));
  const attributes = await run('getfattr', ['-d', '--absolute-names', path.join(root, 'tagged')]);
  test.match(attributes.output, 'user.color="red"\nuser.empty=""\n');
  test.match(
    (await run('getfacl', ['-n', path.join(root, 'acl')])).output,
    'user::rw-\nuser:1000:r--\ngroup::r--',
  );
  const copy = path.join(scratch, 'copy');
  const copied = await run('cp', ['-a', root, copy]);
  test.equal(copied.status, 0, copied.errors);
  test.ok(
    fs.readFileSync(path.join(copy, 'big'), 'latin1') === big + '\0'.repeat(100_000) + big + 'tail',
    'big is whole',
  );
  test.equal(fs.statSync(path.join(copy, 'h1')).ino, fs.statSync(path.join(copy, 'h2')).ino);
  const compared = await run('rsync', ['-aHAXSnci', '--delete', `${root}/`, `${copy}/`]);
  test.strictSame([compared.status, compared.output, compared.errors], [0, '', '']);
  test.equal((await run('find', [path.join(at, 'docs/history')])).status, 0);
  test.match((await run('df', [at])).output, '100%');
  test.strictSame(warnings, []);
});

void t.test('nothing can be written', { skip }, async (test) => {
  const { at } = await live(test, 'kernel', fillWith({ a: 'one' }));
  const file = path.join(at, 'docs', day1, 'a');
  for (const script of [
    'echo x > "$1"',
    'rm -f "$1"',
    'mv "$1" "$1.b"',
    'mkdir "$1.d"',
    'chmod 600 "$1"',
    'touch "$1"',
  ]) {
    test.match((await shell(script, file)).errors, /Read-only file system/, script);
  }
  const options = (await shell('grep " $1 " /proc/self/mountinfo', at)).output;
  test.match(options, / ro,nosuid,nodev/);
  test.match(options, / fuse\.rrbackup rrbackup /);
});

void t.test('ten thousand entries in a directory', { skip }, async (test) => {
  const names = Array.from({ length: 10_000 }, (_, index) => `file-${String(index).padStart(6, '0')}`);
  const { at } = await live(test, 'kernel', fillWith(Object.fromEntries(names.map((name) => [name, name]))));
  const list = await run('ls', ['-l', path.join(at, 'docs', day1)]);
  test.equal(list.output.split('\n').length, 10_000 + 2);
  test.equal((await run('ls', [path.join(at, 'docs', day1)])).output, `${names.join('\n')}\n`);
  test.equal((await run('cat', [path.join(at, 'docs', day1, names[7777]!)])).output, names[7777]);
});

void t.test('many readers at once, while versions come', { skip }, async (test) => {
  const contents = Array.from({ length: 400 }, (_, index) => `${index} `.repeat(1 + index * 37));
  const tree = Object.fromEntries(contents.map((content, index) => [`f${index}`, content]));
  const { at, scratch, repository, warnings } = await live(test, 'kernel', fillWith(tree));
  const expected = path.join(scratch, 'expected');
  fs.mkdirSync(expected);
  contents.forEach((content, index) => {
    fs.writeFileSync(path.join(expected, `f${index}`), content);
  });
  const script =
    'ls "$1" | xargs -P 16 -n 5 sh -c \'a=$1; b=$2; shift 2; for f; do cmp "$a/$f" "$b/$f" || exit 255; done\' sh "$1" "$2"';
  const readers = shell(script, expected, path.join(at, 'docs', day1));
  for (let version = 1; version < 10; version++) {
    await repository.commit('here', 'docs', day1_ns + BigInt(version) * day_ns, {
      ...tree,
      f0: `version ${version}`,
    });
  }
  const { status, output, errors } = await readers;
  test.strictSame([status, output, errors], [0, '', '']);
  test.strictSame(warnings, []);
});

void t.test('holes are found by SEEK_HOLE and SEEK_DATA', { skip }, async (test) => {
  const { at } = await live(
    test,
    'kernel',
    fillWith({ s: { content: ['x'.repeat(4096), 1_000_000, 'end'] } }),
  );
  const script =
    'import os,sys; f=os.open(sys.argv[1],0); s=os.lseek; print(s(f,0,3),s(f,0,4),s(f,5000,3),s(f,1004096,4),s(f,5000,4))';
  const found = await run('python3', ['-c', script, path.join(at, 'docs', day1, 's')]);
  test.equal(found.output.trim(), '0 4096 1004096 1004099 5000', found.errors);
});

void t.test('a damaged block is EIO for its file alone, and a line in the log', { skip }, async (test) => {
  const { at, repository, warnings } = await live(test, 'kernel', fillWith({ bad: 'broken', good: 'fine' }));
  repository.failing.add(chunkIdOf('broken'));
  const root = path.join(at, 'docs', day1);
  test.match((await run('cat', [path.join(root, 'bad')])).errors, /Input\/output error/);
  test.equal((await run('cat', [path.join(root, 'good')])).output, 'fine');
  test.match(warnings, [/^bad cannot be read: block 0 of pack [0-9a-f]{64} is damaged$/]);
  repository.failing.clear();
  test.equal(
    (await run('cat', [path.join(root, 'bad')])).output,
    'broken',
    'once it is whole again it is read again',
  );
});

void t.test('a reader that waits for the store can be killed', { skip }, async (test) => {
  const { at, repository } = await live(test, 'kernel', fillWith({ slow: 'never comes', good: 'fine' }));
  repository.hanging.add(chunkIdOf('never comes'));
  const root = path.join(at, 'docs', day1);
  for (const signal of ['SIGINT', 'SIGKILL'] as const) {
    const before = repository.reads;
    // Direct, so that the reader itself waits in the request and INTERRUPT reaches us.
    const reader = start('dd', [`if=${path.join(root, 'slow')}`, 'iflag=direct', 'bs=4096', 'of=/dev/null']);
    const ended = new Promise((resolve) =>
      reader.on('close', (_, by) => {
        resolve(by);
      }),
    );
    while (repository.reads === before) await new Promise((resolve) => setTimeout(resolve, 10));
    reader.kill(signal);
    test.equal(await ended, signal);
  }
  test.ok(repository.aborted > 0, 'the fetch was called off');
  test.equal((await run('cat', [path.join(root, 'good')])).output, 'fine');
  const reader = start('cat', [path.join(root, 'slow')]);
  const ended = new Promise((resolve) =>
    reader.on('close', (_, by) => {
      resolve(by);
    }),
  );
  await new Promise((resolve) => setTimeout(resolve, 200));
  reader.kill('SIGINT');
  test.equal(await ended, 'SIGINT', 'also one that waits for the page cache');
});

void t.test('new versions appear, current moves, history grows', { skip }, async (test) => {
  const { at, repository } = await live(test, 'kernel', fillWith({ a: 'one' }));
  await run('ls', ['-lR', at]);
  await run('cat', [path.join(at, 'docs/current/a')]);
  await repository.commit('here', 'docs', day1_ns + day_ns, { a: 'two', b: 'new' });
  await repository.commit('here', 'more', day1_ns, { m: 'm' });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  test.equal((await run('ls', [path.join(at, 'docs')])).output, `${day1}\n${day2}\ncurrent\nhistory\n`);
  test.equal((await run('cat', [path.join(at, 'docs/current/a')])).output, 'two');
  test.equal((await run('cat', [path.join(at, 'docs', day1, 'a')])).output, 'one');
  test.equal((await run('ls', [path.join(at, 'docs/history')])).output, 'a\nb\n');
  test.equal((await run('ls', [path.join(at, 'docs/history/a')])).output, `${day1}\n${day2}\n`);
  test.equal((await run('cat', [path.join(at, 'docs/history/a', day2)])).output, 'two');
  test.equal((await run('ls', [at])).output, 'docs\nhosts\nmore\n');
});

void t.test('unmounting from outside ends it', { skip }, async (test) => {
  const { at, mounted } = await live(test, 'kernel', fillWith({ a: 'one' }));
  await umount(at);
  await mounted.closed;
  await mounted.unmount();
  test.strictSame(fs.readdirSync(at), []);
});

void t.test('unmounting while it is in use takes it away', { skip }, async (test) => {
  const { at, mounted, repository } = await live(test, 'kernel', fillWith({ a: 'one', slow: 'never comes' }));
  repository.hanging.add(chunkIdOf('never comes'));
  const root = path.join(at, 'docs', day1);
  const sitting = start('sh', ['-c', 'cd "$1" && exec sleep 30', 'sh', root]);
  const waiting = run('cat', [path.join(root, 'slow')]);
  while (repository.reads === 0) await new Promise((resolve) => setTimeout(resolve, 10));
  await mounted.unmount();
  test.not((await waiting).status, 0, 'a reader gets an error');
  sitting.kill('SIGKILL');
  test.notMatch((await run('cat', ['/proc/self/mountinfo'])).output, at);
});
