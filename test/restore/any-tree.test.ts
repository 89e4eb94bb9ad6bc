// Generated trees, restored without a backup, threads or stores: any names, kinds, holes, owners, times and attributes come back.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import fc from 'fast-check';
import { restore } from '../../lib/restore/index.js';
import { anyTree, makeTree } from '../any-tree.js';
import { runs } from '../runs.js';
import { describeTree, isRoot, scratchDirectory } from '../trees.js';
import { MemoryRepository } from './memory-repository.js';

const skip = isRoot ? false : 'owners, devices and trusted attributes are made by root only';

t.test('any tree comes back', { skip }, async (t) => {
  const scratch = scratchDirectory(t);
  let round = 0;
  const property = fc.asyncProperty(anyTree, async (tree) => {
    const root = path.join(scratch, `source ${++round}`);
    const target = path.join(scratch, `target ${round}`);
    fs.mkdirSync(root);
    makeTree(root, tree);
    const repository = new MemoryRepository();
    repository.add(root, 1);
    await restore({ repository, stream: 's', sequence: 1, target, setuid: true });
    return describeTree(root).join('\n') === describeTree(target).join('\n');
  });
  await fc.assert(property, runs(60));
});
