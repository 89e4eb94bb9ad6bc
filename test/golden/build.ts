// Makes the golden repository of a format version, once and never again: a repository as a user's store would hold it, and
// what every version of it must come out as. As root on Linux:
//   npm run build && node dist/test/golden/build.js v1-password password
//   npm run build && node dist/test/golden/build.js v1-none none

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { backup, openRepository } from '../../lib/index.js';
import { writeCheckpoint } from '../../lib/manifest/checkpoint.js';
import { walkTree } from '../../lib/catalog/changes.js';
import { everythingTree, describeTree } from '../trees.js';
import { type GoldenExpectation, goldenConfiguration, goldenDirectory } from './golden.js';

const [name, encryption] = process.argv.slice(2);
if (name === undefined || (encryption !== 'password' && encryption !== 'none')) {
  throw new Error('usage: build.js NAME password|none');
}
const directory = path.join(goldenDirectory, name);
if (fs.existsSync(directory))
  throw new Error(`${directory} is there already: golden repositories are never made anew`);

const work = fs.mkdtempSync(path.join(os.tmpdir(), 'rrbackup-golden-'));
const tree = path.join(work, 'tree');
fs.mkdirSync(tree);
const expectation: GoldenExpectation = { versions: [] };
try {
  const configuration = goldenConfiguration({
    repository: path.join(directory, 'repository'),
    work,
    encryption,
  });
  const source = {
    name: 'golden',
    path: tree,
    exclude: [],
    excludeFiles: [],
    oneFileSystem: false,
    excludeCaches: false,
  };
  const repository = await openRepository(configuration, {
    access: 'write',
    create: 'if-new',
    note: () => undefined,
  });
  const commit = async () => {
    const { version } = await backup(repository, source);
    expectation.versions.push({ sequence: version!, tree: describeTree(tree) });
  };

  // Version 1: everything that an entry can be. The big file is of little use here.
  const { missing } = everythingTree(tree);
  if (missing.length > 0) throw new Error(`this machine cannot make everything: ${missing.join(', ')}`);
  for (const file of fs.readdirSync(tree)) {
    const stat = fs.lstatSync(path.join(tree, file));
    if (stat.isFile() && stat.size > 1_000_000 && stat.blocks * 512 > 1_000_000)
      fs.rmSync(path.join(tree, file));
  }
  fs.rmSync(path.join(tree, 'many'), { recursive: true, force: true });
  await commit();
  // Version 2: changed, added, moved, removed, a file that becomes a directory and the reverse.
  fs.mkdirSync(path.join(tree, 'second'));
  fs.writeFileSync(path.join(tree, 'second', 'new'), 'new in version 2\n');
  fs.writeFileSync(path.join(tree, 'second', 'turns'), 'a file\n');
  fs.mkdirSync(path.join(tree, 'second', 'gone'));
  fs.writeFileSync(path.join(tree, 'second', 'gone', 'below'), 'below\n');
  await commit();
  fs.renameSync(path.join(tree, 'second', 'new'), path.join(tree, 'second', 'moved'));
  fs.rmSync(path.join(tree, 'second', 'turns'));
  fs.mkdirSync(path.join(tree, 'second', 'turns'));
  fs.writeFileSync(path.join(tree, 'second', 'turns', 'inside'), 'inside\n');
  fs.rmSync(path.join(tree, 'second', 'gone'), { recursive: true });
  fs.writeFileSync(path.join(tree, 'second', 'gone'), 'a file now\n');
  await commit();
  // Version 4: more than one pack part would need far more data; one chunked file stands for it.
  const pattern = Buffer.alloc(5 * 1024 * 1024);
  for (let at = 0; at < pattern.length; at += 4)
    pattern.writeUInt32LE((Math.imul(at, 2654435761) >>> 13) & 0x3f, at);
  fs.writeFileSync(path.join(tree, 'chunked'), pattern);
  await commit();

  const stream = repository.streamId('golden');
  const head = repository.catalog.stream(stream)!.head;
  const { hash, header } = repository.catalog.version(stream, head)!;
  const root = repository.catalog.root(stream, head)!;
  await writeCheckpoint(repository.context, {
    commitHash: hash,
    header,
    packs: repository.catalog.packsOf(stream, head),
    rows: [...walkTree(repository.catalog, root, head)].map(({ path, found }) => ({
      op: 'added' as const,
      path,
      entry: found.entry,
    })),
  });
  await repository.close();
  fs.writeFileSync(path.join(directory, 'expected.json'), `${JSON.stringify(expectation, undefined, 1)}\n`);
} finally {
  execFileSync('rm', ['-rf', work]);
}
