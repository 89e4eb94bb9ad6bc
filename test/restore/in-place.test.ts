// --in-place: a file that differs is changed where it stands and only there; nobody else's file is changed with it.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { restore } from '../../lib/restore/index.js';
import { describeTree, scratchDirectory } from '../trees.js';
import { MemoryRepository } from './memory-repository.js';

const MiB = 1 << 20;

const sourceOf = (root: string): void => {
  fs.mkdirSync(root);
  const small = Buffer.alloc(5 * MiB);
  const large = Buffer.alloc(20 * MiB);
  for (let at = 0; at < large.length; at += 4096) large.writeUInt32LE(at, at);
  large.copy(small, 0, MiB);
  fs.writeFileSync(path.join(root, 'small'), small);
  fs.writeFileSync(path.join(root, 'large'), large);
  fs.writeFileSync(path.join(root, 'holes'), 'begin');
  fs.truncateSync(path.join(root, 'holes'), 12 * MiB);
};

void t.test('only chunks that differ are written', async (t) => {
  const directory = scratchDirectory(t);
  const [root, target] = [path.join(directory, 'root'), path.join(directory, 'target')];
  sourceOf(root);
  const repository = new MemoryRepository();
  repository.add(root, 1);
  const again = () => restore({ repository, stream: '', sequence: 1, target, inPlace: true });
  await again();
  const inodes = () => ['small', 'large', 'holes'].map((name) => fs.statSync(path.join(target, name)).ino);
  const before = inodes();

  for (const name of ['small', 'large']) {
    const fd = fs.openSync(path.join(target, name), 'r+');
    fs.writeSync(fd, 'changed', 3 * MiB + 5);
    fs.closeSync(fd);
  }
  t.match(await again(), { bytes: 2 * MiB, conflicts: 0, failed: 0, files: 3, alreadyRight: 1 });
  t.strictSame(describeTree(target), describeTree(root));
  t.strictSame(inodes(), before, 'they are the same files');

  fs.truncateSync(path.join(target, 'large'), 19 * MiB + 7);
  fs.appendFileSync(path.join(target, 'small'), 'longer than it was');
  t.match(await again(), { bytes: MiB, alreadyRight: 1 });
  t.strictSame(describeTree(target), describeTree(root));

  const hole = fs.openSync(path.join(target, 'holes'), 'r+');
  fs.writeSync(hole, Buffer.alloc(MiB, 'x'), 0, MiB, 4 * MiB);
  fs.closeSync(hole);
  await again();
  t.strictSame(describeTree(target), describeTree(root), 'a hole is a hole again');
  t.strictSame(inodes(), before);
});

void t.test('a file with another name and a symlink are replaced, not changed', async (t) => {
  const directory = scratchDirectory(t);
  const [root, target] = [path.join(directory, 'root'), path.join(directory, 'target')];
  const outside = path.join(directory, 'outside');
  sourceOf(root);
  const repository = new MemoryRepository();
  repository.add(root, 1);
  fs.mkdirSync(target);
  for (const name of ['one', 'two']) fs.writeFileSync(`${outside} ${name}`, name);
  fs.linkSync(`${outside} one`, path.join(target, 'small'));
  fs.symlinkSync(`${outside} two`, path.join(target, 'large'));
  fs.mkdirSync(path.join(target, 'holes'));
  t.match(await restore({ repository, stream: '', sequence: 1, target, inPlace: true }), { conflicts: 1 });
  for (const name of ['one', 'two']) t.equal(fs.readFileSync(`${outside} ${name}`, 'utf8'), name);
  fs.rmdirSync(path.join(target, 'holes'));
  await restore({ repository, stream: '', sequence: 1, target, inPlace: true });
  t.strictSame(describeTree(target), describeTree(root));
});

void t.test('a damaged block is told, and the file is completed once it is whole', async (t) => {
  const directory = scratchDirectory(t);
  const [root, target] = [path.join(directory, 'root'), path.join(directory, 'target')];
  sourceOf(root);
  const repository = new MemoryRepository();
  repository.add(root, 1);
  fs.mkdirSync(target);
  for (const name of ['small', 'large', 'holes']) fs.writeFileSync(path.join(target, name), 'old');
  repository.turnBit();
  const again = () => restore({ repository, stream: '', sequence: 1, target, inPlace: true });
  const { failed } = await again();
  t.ok(failed > 0);
  repository.turnBit();
  t.match(await again(), { failed: 0 });
  t.strictSame(describeTree(target), describeTree(root));
});
