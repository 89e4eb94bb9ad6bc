// The way to the target: whose directories and symlinks are written into and followed.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { restore } from '../../lib/restore/index.js';
import { describeTree, isRoot, scratchDirectory } from '../trees.js';
import { mallory } from './attacker.js';
import { MemoryRepository } from './memory-repository.js';

const skip = isRoot ? false : 'only root has files of several users';

void t.test('as root', { skip }, async (t) => {
  const scratch = scratchDirectory(t);
  const at = (...names: string[]): string => path.join(scratch, ...names);
  fs.mkdirSync(at('source'));
  fs.writeFileSync(at('source', 'file'), 'content');
  const repository = new MemoryRepository();
  repository.add(at('source'), 1);
  const wanted = describeTree(at('source'));
  const into = (target: string, options = {}) =>
    restore({ repository, stream: 's', sequence: 1, target, ...options });
  for (const name of ['home', 'etc']) fs.mkdirSync(at(name));
  for (const name of ['home', 'theirs']) {
    fs.mkdirSync(at(name), { recursive: true });
    fs.chownSync(at(name), mallory, mallory);
  }
  const symlink = (to: string, name: string, owner: number): void => {
    fs.symlinkSync(to, at(name));
    fs.lchownSync(at(name), owner, owner);
  };

  symlink(at('etc'), 'home/back', mallory);
  symlink('nowhere', 'home/dangling', mallory);
  symlink('.', 'home/here', mallory);
  symlink('../etc', 'home/own', 0);
  symlink('loop', 'loop', 0);
  for (const target of ['home/back', 'home/dangling', 'home/back/deeper', 'home/here/new']) {
    await t.rejects(
      into(at(target)),
      { code: 'restore.foreign_symlink', kind: 'usage', message: /4242/ },
      target,
    );
    t.strictSame(fs.readdirSync(at('etc')), []);
  }
  await t.rejects(into(at('theirs')), {
    code: 'restore.foreign_target',
    kind: 'usage',
    guidance: /--into-foreign/,
  });
  t.strictSame(fs.readdirSync(at('theirs')), []);
  await t.rejects(into(at('loop/x')), { code: 'restore.bad_target', message: /symbolic links/ });
  await t.rejects(into(at('source/file/x')), { code: 'restore.bad_target', kind: 'usage' });

  for (const target of ['home/new', 'home/made/on/the/way', 'home/own/below', 'home/own/../beside'])
    t.match(await into(at(target)), { files: 1, failed: 0 }, target);
  t.strictSame(describeTree(at('home/new')), wanted);
  t.strictSame(describeTree(at('etc/below')), wanted);
  for (const target of ['theirs', 'home/back/deeper', 'home/here/again'])
    t.match(await into(at(target), { intoForeign: true }), { files: 1, failed: 0 }, target);
  t.strictSame(describeTree(at('etc/deeper')), wanted);
});

void t.test('as an ordinary user', { skip }, async (t) => {
  const scratch = scratchDirectory(t);
  fs.chmodSync(scratch, 0o1777);
  const at = (name: string): string => path.join(scratch, name);
  fs.mkdirSync(at('source'));
  fs.writeFileSync(at('source/file'), 'content');
  const repository = new MemoryRepository();
  repository.add(at('source'), 1);
  fs.symlinkSync('/', at('root of root'));
  fs.symlinkSync('.', at('of another'));
  fs.lchownSync(at('of another'), mallory, mallory);
  const into = (target: string) => restore({ repository, stream: 's', sequence: 1, target });
  process.setegid?.(65_534);
  process.seteuid?.(65_534);
  try {
    t.match(await into(at('new')), { files: 1 }, "in root's sticky directory");
    t.match(await into(scratch), { files: 1 }, "root's is nobody's trap");
    t.match(await into(at(`root of root${scratch}/followed`)), { files: 1 });
    await t.rejects(into(at('of another/x')), { code: 'restore.foreign_symlink' });
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
});
