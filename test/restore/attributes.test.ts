// Attributes that should not be there go: what somebody has added since, and what a default ACL of the target lends to all that is
// made in it.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { setXattr } from '../../lib/posix/xattr.js';
import { restore } from '../../lib/restore/index.js';
import { describeTree, posixAcl, scratchDirectory } from '../trees.js';
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
