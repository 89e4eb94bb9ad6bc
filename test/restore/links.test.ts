// Hard links as a restore sees them: what is one file, and what only looks like one.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import type { Entry } from '../../lib/manifest/types.js';
import { restore } from '../../lib/restore/index.js';
import { describeTree, scratchDirectory } from '../trees.js';
import { MemoryRepository } from './memory-repository.js';

void t.test('one inode number for two different files makes no link of them', async (t) => {
  // Device numbers are dealt out anew at every boot: of two file systems in one source, what did not change is recorded with
  // the old number, and what did with one that was the other's.
  const directory = scratchDirectory(t);
  const [root, target] = [path.join(directory, 'root'), path.join(directory, 'target')];
  fs.mkdirSync(root);
  for (const name of ['a', 'b']) {
    fs.writeFileSync(path.join(root, name), `content of ${name}`);
    fs.linkSync(path.join(root, name), path.join(root, `twin of ${name}`));
  }
  const repository = new MemoryRepository();
  repository.add(root, 1);
  const source = repository.catalog.root('', 1)!;
  const entries: (readonly [Buffer, Entry])[] = [[Buffer.alloc(0), source.entry]];
  for (const { name, entry } of repository.catalog.list(source.directory!, 1))
    entries.push([name, { ...entry, device: 45n, inode: 257n }]);
  repository.catalog.setVersion(1, entries);
  await restore({ repository, stream: '', sequence: 1, target });
  t.strictSame(describeTree(target), describeTree(root));
});
