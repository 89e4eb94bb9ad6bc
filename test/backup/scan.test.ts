// The walk over a source: order, completeness, what is left out, what cannot be read.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { makeExcludes } from '../../lib/backup/exclude.js';
import { Skipped } from '../../lib/backup/skipped.js';
import type { CompareOptions } from '../../lib/backup/compare.js';
import { comparePaths } from '../../lib/bytes/path.js';
import { describeTree, everythingTree, isRoot, scratchDirectory } from '../trees.js';
import { differences, optionsFor } from './findings.js';

const pathsOf = (options: CompareOptions): string[] =>
  differences(options).map(({ kind, path }) => (kind === 'unreadable' ? '!' : '') + path!);

t.test('everything is found, once, in path order, with all its attributes', (t) => {
  const root = scratchDirectory(t);
  everythingTree(root, { beyondPathMax: true });
  const found = differences(optionsFor(root));
  const byPath = new Map(found.map(({ path, entry }) => [path!, entry!]));
  t.strictSame(byPath.get('links/raw target')?.target, Buffer.from([0xff, 0x0a, 0x2f, 0x80]));
  t.equal(found.length, describeTree(root).length);
  for (let index = 1; index < found.length; index++) {
    const [before, after] = [found[index - 1]!, found[index]!].map(({ path }) =>
      Buffer.from(path!, 'latin1'),
    );
    if (comparePaths(before!, after!) >= 0) t.fail('out of order');
  }
  t.match(byPath.get('empty file'), { type: 'file', size_bytes: 0, mtime_ns: -1_234_567_890_987_654_321n });
  t.match(byPath.get('special/socket'), { type: 'socket' });
  t.match(byPath.get('plain'), { links: 3, mode: 0o644 });
  t.equal(byPath.get('plain')?.inode, byPath.get('links/hard')?.inode);
  if (isRoot)
    t.match(byPath.get('special/disk'), { type: 'block-device', rdevMajor: 259, rdevMinor: 70_000 });
  t.ok(Math.max(...found.map(({ path }) => path!.length)) > 6000);
  for (const [path, { device, inode, mode }] of byPath) {
    if (path.length > 2000) continue;
    const stats = fs.lstatSync(Buffer.from(`${root}/${path}`, 'latin1'), { bigint: true });
    if (stats.dev !== device || stats.ino !== inode || (Number(stats.mode) & 0o7777) !== mode) t.fail(path);
  }
  t.end();
});

t.test('excluded things and caches', (t) => {
  const root = t.testdir({
    keep: 'x',
    'left.o': 'x',
    build: { deep: { er: 'x' } },
    cache: { 'CACHEDIR.TAG': 'Signature: 8a477f597d28d172789f06886806bc55\n# more', data: 'x' },
    noCache: { 'CACHEDIR.TAG': 'something else', data: 'x' },
  });
  const excludes = makeExcludes(['*.o', 'build/']);
  t.strictSame(pathsOf(optionsFor(root, { excludes, excludeCaches: true })), [
    '',
    'cache',
    'cache/CACHEDIR.TAG',
    'keep',
    'noCache',
    'noCache/CACHEDIR.TAG',
    'noCache/data',
  ]);
  t.ok(pathsOf(optionsFor(root, { excludes })).includes('cache/data'));
  t.end();
});

t.test('our own data is never part of a backup, whatever way leads to it', (t) => {
  const root = t.testdir({
    mine: { repository: { packs: {} }, catalog: 'x' },
    way: t.fixture('symlink', 'mine'),
    z: 'x',
  });
  const skip = [
    Buffer.from(`${root}/way/repository/`),
    Buffer.from(`${root}/mine/catalog`),
    Buffer.from('/nowhere'),
  ];
  t.strictSame(pathsOf(optionsFor(root, { skipped: new Skipped(skip) })), ['', 'mine', 'way', 'z']);
  t.throws(() => pathsOf(optionsFor(root, { skipped: new Skipped([Buffer.from(root)]) })), {
    code: 'backup.source_is_repository',
  });
  t.end();
});

t.test('mount points stay as empty directories', { skip: !isRoot }, (t) => {
  const root = scratchDirectory(t);
  fs.mkdirSync(path.join(root, 'mounted'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', 'none', path.join(root, 'mounted')], { stdio: 'ignore' });
  } catch {
    t.comment('mounting is not allowed here');
    return t.end();
  }
  try {
    fs.writeFileSync(path.join(root, 'mounted', 'other'), 'x');
    t.strictSame(pathsOf(optionsFor(root, { oneFileSystem: true })), ['', 'mounted']);
    t.strictSame(pathsOf(optionsFor(root)), ['', 'mounted', 'mounted/other']);
  } finally {
    execFileSync('umount', ['-l', path.join(root, 'mounted')]);
  }
  return t.end();
});

t.test('what may not be read is said to be so', (t) => {
  const root = scratchDirectory(t);
  fs.mkdirSync(path.join(root, 'closed'));
  fs.writeFileSync(path.join(root, 'closed', 'x'), 'x');
  fs.mkdirSync(path.join(root, 'names-only'));
  fs.writeFileSync(path.join(root, 'names-only', 'x'), 'x');
  fs.chmodSync(path.join(root, 'closed'), 0o000);
  fs.chmodSync(path.join(root, 'names-only'), 0o444);
  fs.chmodSync(root, 0o755);
  const options = optionsFor(root);
  const asUser = (): string[] => {
    if (!isRoot) return pathsOf(options);
    process.seteuid?.(65_534);
    try {
      return pathsOf(options);
    } finally {
      process.seteuid?.(0);
    }
  };
  t.strictSame(asUser(), ['', 'closed', '!closed', 'names-only', '!names-only/x']);
  if (isRoot) {
    fs.chmodSync(root, 0o700);
    t.throws(asUser, { code: 'backup.source_unreadable' });
  }
  t.end();
});
