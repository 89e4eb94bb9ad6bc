// Opening below a directory: in one call and name by name the same, and never through a symlink.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { closeNative, openBeneath, openByNames, openFollowing, readlinkOf } from '../../lib/posix/beneath.js';
import { O_PATH } from '../../lib/posix/long-path.js';
import { errorCode } from '../../lib/posix/libc.js';
import { isRoot, scratchDirectory } from '../trees.js';

const { O_RDONLY, O_DIRECTORY } = fs.constants;
const ways = { 'in one call': openBeneath, 'name by name': openByNames };

function held(t: Test, directory: string): number {
  const fd = fs.openSync(directory, O_RDONLY | O_DIRECTORY);
  t.teardown(() => fs.closeSync(fd));
  return fd;
}

const openDescriptors = (): number => fs.readdirSync('/proc/self/fd').length;

/** The inode that was opened, or the error's code. */
function outcome(open: () => number): number | string {
  try {
    const fd = open();
    const { ino } = fs.fstatSync(fd);
    closeNative(fd);
    return ino;
  } catch (error) {
    return errorCode(error)!;
  }
}

t.test('what is there, what is not, and symlinks anywhere on the way', (t) => {
  const root = scratchDirectory(t);
  fs.mkdirSync(path.join(root, 'a/b/c'), { recursive: true });
  fs.writeFileSync(path.join(root, 'a/b/file'), '');
  fs.symlinkSync('a', path.join(root, 'link'));
  fs.symlinkSync('b', path.join(root, 'a/link'));
  fs.symlinkSync(root, path.join(root, 'a/absolute'));
  const fd = held(t, root);
  const inode = (name: string): number => fs.statSync(path.join(root, name)).ino;
  const before = openDescriptors();
  for (const [way, open] of Object.entries(ways)) {
    const at = (name: string, flags = O_RDONLY | O_DIRECTORY): number | string =>
      outcome(() => open(fd, Buffer.from(name), flags));
    for (const name of ['a', 'a/b', 'a/b/c']) t.equal(at(name), inode(name), `${way}: ${name}`);
    t.equal(at('a/b/file', O_RDONLY), inode('a/b/file'));
    t.equal(at('a/b/file'), 'ENOTDIR');
    t.equal(at('a/b/file/x'), 'ENOTDIR');
    for (const name of ['x', 'a/x', 'x/b', 'a/b/x/y']) t.equal(at(name), 'ENOENT', `${way}: ${name}`);
    for (const name of ['link', 'link/b', 'a/link', 'a/link/c', 'a/absolute', 'a/absolute/a'])
      t.match(at(name), /^(ELOOP|ENOTDIR)$/, `${way}: ${name}`);
    t.equal(at('n'.repeat(256)), 'ENAMETOOLONG');
    t.equal(at('n'.repeat(9000)), 'ENAMETOOLONG');
    const link = open(fd, Buffer.from('a/absolute'), O_PATH | fs.constants.O_NOFOLLOW);
    t.equal(readlinkOf(link).toString(), root);
    closeNative(link);
  }
  t.equal(openDescriptors(), before, 'nothing stays open');
  t.end();
});

t.test('longer than the kernel takes at once', (t) => {
  const root = scratchDirectory(t);
  const fd = held(t, root);
  const names: string[] = [];
  let at = fs.openSync(root, O_RDONLY | O_DIRECTORY);
  for (let depth = 0; depth < 60; depth++) {
    names.push('d'.repeat(1 + ((depth * 97) % 255)));
    fs.mkdirSync(`/proc/self/fd/${at}/${names.at(-1)!}`);
    if (depth % 20 === 10) fs.symlinkSync(names.at(-1)!, `/proc/self/fd/${at}/link`);
    const next = fs.openSync(`/proc/self/fd/${at}/${names.at(-1)!}`, O_RDONLY | O_DIRECTORY);
    fs.closeSync(at);
    at = next;
  }
  const { ino } = fs.fstatSync(at);
  fs.closeSync(at);
  const before = openDescriptors();
  for (const [way, open] of Object.entries(ways)) {
    const through = (names: readonly string[]): number | string =>
      outcome(() => open(fd, Buffer.from(names.join('/')), O_RDONLY | O_DIRECTORY));
    t.equal(through(names), ino, way);
    for (const depth of [10, 30, 50]) t.match(through(names.with(depth, 'link')), /^(ELOOP|ENOTDIR)$/, way);
    t.equal(through(names.with(40, 'x')), 'ENOENT');
  }
  t.equal(openDescriptors(), before, 'nothing stays open');
  t.end();
});

t.test('what is followed is told, with who owns it and what it leads to', (t) => {
  const root = fs.realpathSync(scratchDirectory(t));
  fs.mkdirSync(path.join(root, 'real/below'), { recursive: true });
  fs.mkdirSync(path.join(root, 'side'));
  fs.symlinkSync('../real', path.join(root, 'side/one'));
  fs.symlinkSync(`${root}/side/./one/`, path.join(root, 'two'));
  fs.symlinkSync('circle', path.join(root, 'circle'));
  if (isRoot) {
    fs.lchownSync(path.join(root, 'side/one'), 4242, 4242);
    fs.chownSync(path.join(root, 'real'), 4243, 4243);
  }
  const before = openDescriptors();
  const follow = (name: string): string[] => {
    const { fd, links } = openFollowing(Buffer.from(`${root}/${name}`));
    t.equal(fs.fstatSync(fd).ino, fs.statSync(path.join(root, name)).ino, name);
    t.strictSame(fs.readdirSync(`/proc/self/fd/${fd}`), fs.readdirSync(path.join(root, name)));
    closeNative(fd);
    return links.map(({ path, target, owner, ownerOfTarget, isLast }) =>
      [
        path.toString().slice(root.length),
        target.toString().replace(root, ''),
        owner,
        ownerOfTarget,
        isLast,
      ].join(),
    );
  };
  const [own, one, real] = isRoot
    ? [0, 4242, 4243]
    : [process.getuid!(), process.getuid!(), process.getuid!()];
  t.strictSame(follow('real'), []);
  t.strictSame(follow('side/../real//below/'), []);
  t.strictSame(follow('side/one'), [`/side/one,../real,${one},${real},true`]);
  t.strictSame(follow('side/one/below'), [`/side/one,../real,${one},${real},false`]);
  const chain = (isLast: boolean): string[] => [
    `/side/one,../real,${one},${real},false`,
    `/two,/side/./one/,${own},${real},${isLast}`,
  ];
  t.strictSame(follow('two'), chain(true));
  t.strictSame(follow('two/below/..'), chain(false));
  for (const [name, code] of [
    ['circle', 'ELOOP'],
    ['nothing', 'ENOENT'],
    ['real/below/x/y', 'ENOENT'],
  ] as const)
    t.throws(() => openFollowing(Buffer.from(`${root}/${name}`)), { code });
  t.equal(openDescriptors(), before, 'nothing stays open');
  t.end();
});
