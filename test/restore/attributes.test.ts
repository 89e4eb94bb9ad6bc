// Times of every century, and attributes: those that should not be there go, those that a target cannot keep are told and counted.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { setXattr } from '../../lib/posix/xattr.js';
import { restore } from '../../lib/restore/index.js';
import { describeTree, isRoot, posixAcl, scratchDirectory, setTime } from '../trees.js';
import { MemoryRepository } from './memory-repository.js';

const acl = posixAcl([
  [0x01, 7],
  [0x02, 7, 1234],
  [0x04, 5],
  [0x10, 7],
  [0x20, 5],
]);

const skip = process.platform !== 'linux' ? 'ACLs of Linux' : false;

void t.test('none but those of the version', { skip }, async (t) => {
  const scratch = scratchDirectory(t);
  const [root, target] = [path.join(scratch, 'root'), path.join(scratch, 'target')];
  fs.mkdirSync(path.join(root, 'directory'), { recursive: true });
  for (const name of ['bare', 'tagged', 'directory/inside']) fs.writeFileSync(path.join(root, name), name);
  setXattr(Buffer.from(path.join(root, 'tagged')), Buffer.from('user.own'), Buffer.from('own'));
  fs.symlinkSync('bare', path.join(root, 'link'));
  const repository = new MemoryRepository();
  repository.add(root, 1);
  const wanted = describeTree(root);

  fs.mkdirSync(target);
  setXattr(Buffer.from(target), Buffer.from('system.posix_acl_default'), acl);
  await restore({ repository, stream: 's', sequence: 1, target });
  t.strictSame(describeTree(target), wanted, 'nothing is inherited');

  for (const name of ['bare', 'tagged', 'directory']) {
    const at = Buffer.from(path.join(target, name));
    setXattr(at, Buffer.from('user.more'), Buffer.from('more'));
    setXattr(at, Buffer.from('system.posix_acl_access'), acl);
  }
  await restore({ repository, stream: 's', sequence: 1, target });
  t.strictSame(describeTree(target), wanted, 'nothing stays that was added');
});

void t.test('times before 1970 and after 2038, to the nanosecond', { skip }, async (t) => {
  const scratch = scratchDirectory(t);
  const root = path.join(scratch, 'root');
  fs.mkdirSync(root);
  const times_ns = [
    -2_147_483_646_999_999_999n,
    -1_000_000_001n,
    -1_000_000_000n,
    -1n,
    0n,
    1n,
    2_147_483_648_000_000_001n,
    14_999_999_999_999_999_999n,
  ];
  const named = times_ns.flatMap((time_ns, index) =>
    ['file', 'link', 'directory', 'tagged', 'fifo'].map((kind) => ({
      name: `${kind} ${index}`,
      kind,
      time_ns,
    })),
  );
  for (const { name, kind, time_ns } of named) {
    const at = path.join(root, name);
    if (kind === 'link') fs.symlinkSync('anywhere', at);
    else if (kind === 'directory') fs.mkdirSync(at);
    else if (kind === 'fifo') execFileSync('mkfifo', [at]);
    else fs.writeFileSync(at, name);
    if (kind === 'tagged') setXattr(Buffer.from(at), Buffer.from('user.own'), Buffer.from('own'));
    setTime(Buffer.from(at), time_ns);
  }
  const repository = new MemoryRepository();
  repository.add(root, 1);
  const check = async (what: string, target: string, options = {}): Promise<void> => {
    t.match(await restore({ repository, stream: 's', sequence: 1, target, ...options }), { inexact: 0 });
    const found = named.map(({ name }) => fs.lstatSync(path.join(target, name), { bigint: true }).mtimeNs);
    t.strictSame(
      found,
      named.map(({ time_ns }) => time_ns),
      what,
    );
  };
  const target = path.join(scratch, 'target');
  await check('made', target);
  for (const { name } of named) setTime(Buffer.from(path.join(target, name)), 1_234_567_890n);
  await check('replaced', target, { overwrite: true });
  for (const { name } of named) setTime(Buffer.from(path.join(target, name)), -1_234_567_890n);
  await check('changed', target, { inPlace: true });
  fs.mkdirSync(path.join(scratch, 'default'));
  setXattr(Buffer.from(path.join(scratch, 'default')), Buffer.from('system.posix_acl_default'), acl);
  await check('where entries are made with attributes', path.join(scratch, 'default'));
});

const skipMount = isRoot ? skip : 'only root mounts';

void t.test('what a target cannot keep is one line a kind, and counted', { skip: skipMount }, async (t) => {
  const scratch = scratchDirectory(t);
  const [root, mounted] = [path.join(scratch, 'root'), path.join(scratch, 'mounted')];
  for (const directory of [root, mounted]) fs.mkdirSync(directory);
  for (let index = 0; index < 40; index++) {
    const at = path.join(root, `file ${index}`);
    fs.writeFileSync(at, `${index}`);
    for (const name of ['user.one', 'user.two', 'trusted.three'])
      if (index < 30) setXattr(Buffer.from(at), Buffer.from(name), Buffer.from('value'));
    if (index >= 20) setXattr(Buffer.from(at), Buffer.from('system.posix_acl_access'), acl);
  }
  const repository = new MemoryRepository();
  repository.add(root, 1);
  // A file system without any extended attributes.
  execFileSync('mount', ['-t', 'ramfs', 'none', mounted]);
  t.teardown(() => execFileSync('umount', [mounted]));
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  const target = path.join(mounted, 'target');
  const put = () => restore({ repository, stream: 's', sequence: 1, target, onWarning });
  t.match(await put(), { files: 40, failed: 0, inexact: 40 });
  t.match(warnings, [/extended attributes of .*has none \(and 29 more/, /ACLs of .*has none \(and 19 more/]);
  t.match(await put(), { files: 40, alreadyRight: 40, failed: 0, inexact: 40 });
});
