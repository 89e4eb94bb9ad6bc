// Opening a source: what is no directory, or empty, or reached through a symlink that somebody else may turn, is refused.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { backup, previewBackup } from '../../lib/index.js';
import { Comparison } from '../../lib/backup/compare.js';
import { estimate } from '../../lib/backup/estimate.js';
import { OpenSource, type SourceOptions } from '../../lib/backup/source.js';
import type { SourceConfiguration } from '../../lib/repository/types.js';
import { Machine } from '../repository/fixture.js';
import { isRoot, scratchDirectory } from '../trees.js';
import { differences, optionsFor } from './findings.js';

const [mallory, alice] = [4242, 4243];

const sourceAt = (path: string): SourceConfiguration => ({
  name: 'source',
  path,
  exclude: [],
  excludeFiles: [],
  oneFileSystem: false,
  excludeCaches: false,
});

/** The code of the error that opening it ends with; undefined if it is opened. */
function refusal(path: string, options: SourceOptions = {}): string | undefined {
  try {
    new OpenSource(sourceAt(path), options).close();
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

t.test('what is not there, is a file or is empty', (t) => {
  const root = t.testdir({ file: 'x', real: { a: 'x' }, empty: {}, link: t.fixture('symlink', 'real') });
  fs.symlinkSync('circle', path.join(root, 'circle'));
  for (const name of ['nothing', 'file', 'file/below', 'circle'])
    t.equal(refusal(`${root}/${name}`), 'backup.source_missing', name);
  t.equal(refusal(`${root}/empty`), 'backup.source_empty');
  t.equal(refusal(`${root}/empty`, { allowEmpty: true }), undefined);
  for (const name of ['real', 'real/', 'link', 'empty/../link', './/link/.'])
    t.equal(refusal(`${root}/${name}`), undefined, name);
  t.strictSame(
    differences(optionsFor(`${root}/link`)).map(({ path }) => path),
    ['', 'a'],
    'a link to a directory is fine',
  );
  t.end();
});

void t.test(
  'what is counted for the progress ends with the run, whose descriptors are others by then',
  async (t) => {
    const root = scratchDirectory(t);
    for (let index = 0; index < 600; index++) fs.writeFileSync(path.join(root, `${index}`), 'x');
    const comparison = (): Comparison => new Comparison(optionsFor(root));
    t.match(await estimate(comparison, () => false), { files_total: 601, bytes_total: 600 });
    t.equal(await estimate(comparison, () => true), undefined);
  },
);

/** Homes of two users, with symlinks of each owner. */
function homes(t: Test): string {
  const root = scratchDirectory(t);
  const make = (name: string, uid: number, target?: string): void => {
    const at = path.join(root, name);
    if (target === undefined) {
      fs.mkdirSync(at, { recursive: true });
      fs.writeFileSync(path.join(at, 'x'), name);
      fs.chownSync(path.join(at, 'x'), uid, uid);
    } else fs.symlinkSync(target, at);
    fs.lchownSync(at, uid, uid);
  };
  fs.chmodSync(root, 0o755);
  make('mallory', mallory);
  make('mallory/own', mallory);
  make('alice', alice);
  make('alice/Documents', alice);
  make('mallory/data', mallory, '../alice');
  make('mallory/absolute', mallory, path.join(root, 'alice'));
  make('mallory/twice', mallory, 'data/Documents');
  make('mallory/mine', mallory, 'own');
  make('mallory/by-root', 0, '../alice');
  make('mallory/through', 0, 'data');
  return root;
}

t.test("another user's symlink decides nothing, wherever it stands on the way", { skip: !isRoot }, (t) => {
  const root = homes(t);
  const foreign = 'backup.source_foreign_symlink';
  for (const name of [
    'data',
    'data/',
    'absolute',
    'twice',
    'data/Documents',
    'absolute/Documents',
    'through',
  ]) {
    t.equal(refusal(`${root}/mallory/${name}`), foreign, name);
    t.equal(refusal(`${root}/mallory/${name}`, { allowSymlink: true }), undefined, `${name}, accepted`);
  }
  t.equal(refusal(`${root}/mallory/mine`), undefined, 'to what is theirs as well');
  t.equal(refusal(`${root}/mallory/by-root`), undefined, "root's");
  process.seteuid?.(mallory);
  try {
    t.equal(refusal(`${root}/mallory/data`), undefined, "the caller's own");
    fs.chmodSync(`${root}/mallory/own`, 0o300);
    t.equal(refusal(`${root}/mallory/own`), 'backup.source_unreadable', 'not to be listed');
  } finally {
    process.seteuid?.(0);
  }
  t.throws(() => new OpenSource(sourceAt(`${root}/mallory/twice`), {}), {
    message: /the symlink .*\/mallory\/data, which belongs to .*4242.* and leads to \.\.\/alice,/,
    exitStatus: 1,
  });
  t.end();
});

void t.test('a directory that has become a symlink is refused, and told how to accept', async (t) => {
  const machine = new Machine(t);
  machine.write('mine', 'mine');
  const repository = await machine.open();
  await backup(repository, machine.source);
  fs.renameSync(machine.source.path, machine.at('moved'));
  fs.symlinkSync('moved', machine.source.path);
  t.match(await backup(repository, machine.source), { version: 2, metadata: 1 }, 'the same directory, moved');

  fs.mkdirSync(machine.at('other'));
  fs.writeFileSync(machine.at('other', 'theirs'), 'theirs');
  fs.rmSync(machine.source.path);
  fs.symlinkSync('other', machine.source.path);
  const refused = { code: 'backup.source_is_symlink', exitStatus: 1, guidance: /--allow-symlink/ };
  await t.rejects(backup(repository, machine.source), refused);
  await t.rejects(previewBackup(repository, machine.source), refused);
  t.match(await previewBackup(repository, machine.source, { allowSymlink: true }), { counts: { added: 1 } });
  t.match(await backup(repository, machine.source, { allowSymlink: true }), { version: 3, added: 1 });
  t.match(await backup(repository, machine.source), { version: undefined }, 'once is enough');
});
