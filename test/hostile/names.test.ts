// Names as weapons: versions that somebody with the repository's keys has made by hand. Nothing is ever written outside the target,
// not even while somebody swaps directories for symlinks; what cannot be a tree is refused, and all that was there before it, and
// other machines' versions, can be had.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { ByteWriter } from '../../lib/bytes/cursor.js';
import { deriveKeys, publicSecret } from '../../lib/crypto/index.js';
import { backup, restore } from '../../lib/index.js';
import { CommitWriter } from '../../lib/manifest/commit.js';
import type { ManifestContext } from '../../lib/manifest/object.js';
import { rowPieces, RowWriter } from '../../lib/manifest/rows.js';
import type { Entry, Row } from '../../lib/manifest/types.js';
import { directory, entryOf, headerOf } from '../manifest/fixture.js';
import { Machine } from '../repository/fixture.js';
import { MemoryRepository } from '../restore/memory-repository.js';
import { restore as restoreFrom } from '../../lib/restore/index.js';
import { describeTree, scratchDirectory } from '../trees.js';
import { surpriseOf } from './world.js';

const symlink = (target: string): Partial<Entry> => ({ type: 'symlink', target: Buffer.from(target) });
const row = (path: string | Buffer, fields: Partial<Entry> = {}): Row => ({
  op: 'added',
  path: Buffer.from(path as string),
  entry: entryOf(fields),
});

/** Rows as they are, whatever a writer would say to them. */
async function commitByHand(
  context: ManifestContext,
  parent: { stream: string; sequence: number; hash: string },
  rows: readonly Row[],
): Promise<void> {
  const writer = new CommitWriter({ ...context, stream: parent.stream });
  const bytes = new ByteWriter();
  const rowWriter = new RowWriter(bytes);
  for (const row of rows) for (const piece of rowPieces(row)) rowWriter.add(piece);
  const [first, last] = [Buffer.from('a'), Buffer.from('z')];
  await writer.addEncodedRows({ bytes: bytes.view(), count: rows.length, first, last });
  await writer.publish(headerOf(parent.sequence + 1, parent.hash, { stream: parent.stream }));
}

/** Two sources with a version each. */
async function twoSources() {
  const machine = new Machine(t);
  const repository = await machine.open();
  machine.write('d/file', 'content');
  await backup(repository, machine.source);
  await backup(repository, { ...machine.source, name: 'another' });
  const stream = repository.streamId(machine.source.name);
  const { headHash: hash } = repository.catalog.stream(stream)!;
  const { context } = repository;
  return {
    store: machine.store,
    context: { ...context, keys: deriveKeys(publicSecret(repository.id)) },
    stream,
    hash,
    right: machine.described(),
  };
}
const base = await twoSources();

/** Another machine, which finds what is given behind the version of the first source. */
async function attacked(t: Test, rows: readonly Row[]) {
  const { stream, hash, right } = base;
  const store = base.store.copy();
  await commitByHand({ ...base.context, store }, { stream, sequence: 1, hash }, rows);
  const victim = new Machine(t, store);
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  const outside = victim.at('outside');
  fs.mkdirSync(outside);
  const repository = await victim.open({ access: 'read', create: 'never', onWarning });
  return { victim, repository, stream, right, warnings, outside };
}

const long = 'n'.repeat(256);
const impossible: Readonly<Record<string, readonly Row[]>> = {
  'two dots': [row('..')],
  'two dots below': [row('d/..')],
  'a way up': [row('../outside/evil')],
  'a way up through a directory': [row('d/../../outside/evil')],
  'a dot': [row('.')],
  'a dot below': [row('d/./evil')],
  'an absolute path': [row('/outside/evil')],
  'an empty name': [row('d//evil')],
  'a slash at the end': [row('d/')],
  'NUL in a name': [row('d/evil\0.txt')],
  'a name of 256 bytes': [row(long)],
  'a path in a file': [row('d/file/evil')],
  'a path in a symlink to a directory outside': [row('e', symlink('../outside')), row('e/evil')],
  'a directory that becomes a symlink with something below': [
    { op: 'changed', path: Buffer.from('d'), entry: entryOf(symlink('/tmp')) },
    row('d/evil'),
  ],
  'a path in a directory that is not there': [row('e/evil')],
  'one name twice': [row('e', directory), row('e', symlink('../outside')), row('e/evil')],
  'a name behind its own order': [row('e/evil'), row('e', symlink('../outside'))],
  'a removed directory with something below': [{ op: 'removed', path: Buffer.from('d') }, row('d/evil')],
  'no root and everything else': [{ op: 'removed', path: Buffer.alloc(0) }, row('evil')],
};

for (const [what, rows] of Object.entries(impossible)) {
  void t.test(`${what}: refused, and what was there before is there`, async (t) => {
    const { victim, repository, stream, right, warnings } = await attacked(t, rows);
    t.strictSame(
      repository.catalog.versions(stream).map(({ header }) => header.sequence),
      [1],
    );
    t.match(warnings.join('\n'), /version 2/, 'it is said');
    t.strictSame(await victim.restored(repository, 1), right);
    const target = victim.at('another');
    await restore(repository, { stream: repository.streamId('another'), sequence: 1, target });
    t.strictSame(describeTree(target), right, 'and the other source');
  });
}

void t.test('a tree with everything that is allowed and means harm stays in its target', async (t) => {
  const owner = { uid: process.geteuid!(), gid: process.getegid!() };
  const rows = [
    row('0 255 bytes', directory),
    row(`0 255 bytes/${'n'.repeat(255)}`),
    row('1 links', directory),
    row('1 links/absolute', symlink('/etc')),
    row('1 links/itself', symlink('itself')),
    row('1 links/outside', symlink('../../outside')),
    row('2 case', directory),
    row('2 case/README'),
    row('2 case/Readme', directory),
    row('2 case/Readme/inside'),
    row('2 case/readme', symlink('../../outside')),
    row('3 escapes', directory),
    row('3 escapes/\x1b[2J\x1b]0;title\x07'),
    row(Buffer.from('3 escapes/\xff\xfe', 'latin1')),
    row('4 temporary', directory),
    row('4 temporary/.rrbackup-partial-0', symlink('../../outside/a')),
    row('4 temporary/.rrbackup-partial-1', symlink('../../outside/b')),
    row('4 temporary/file'),
    row('5 hard', directory),
    row('5 hard/link', { links: 3, inode: 7n, device: 7n, ...symlink('../../outside') }),
    row('5 hard/twin', { links: 3, inode: 7n, device: 7n }),
    row('5 hard/zz', { links: 3, inode: 7n, device: 7n, ...directory }),
    row('5 hard/zz/inside'),
  ].map((row): Row => (row.op === 'removed' ? row : { ...row, entry: { ...row.entry, ...owner } }));
  const { victim, repository, stream, warnings, outside } = await attacked(t, rows);
  t.strictSame(warnings, []);
  const target = victim.at('target');
  for (const options of [{}, {}, { overwrite: true }, { inPlace: true }]) {
    const { failed, conflicts } = await restore(repository, { stream, sequence: 2, target, ...options });
    t.strictSame([failed, conflicts], [0, 0]);
    t.strictSame(fs.readdirSync(outside), []);
  }
  const names = describeTree(target).map((line) => line.replace(/ 1?[0-7]{5} .*/, ''));
  t.equal(names.length, rows.length + 3, 'the root, and the version before');
  t.equal(fs.readlinkSync(path.join(target, '2 case', 'readme')), '../../outside');
  // Once more over symlinks that somebody has put in the place of its directories.
  for (const name of fs.readdirSync(target)) {
    if (!fs.lstatSync(path.join(target, name)).isDirectory()) continue;
    fs.rmSync(path.join(target, name), { recursive: true });
    fs.symlinkSync(outside, path.join(target, name));
  }
  for (const options of [{}, { inPlace: true }, { overwrite: true }]) {
    await restore(repository, { stream, sequence: 2, target, ...options });
    t.strictSame(fs.readdirSync(outside), []);
  }
});

void t.test('somebody swaps directories for symlinks while files are put back into them', async (t) => {
  const scratch = scratchDirectory(t);
  const [root, outside] = [path.join(scratch, 'root'), path.join(scratch, 'outside')];
  for (let index = 0; index < 140; index++) {
    const below = path.join(root, `d${index}`, 'below');
    fs.mkdirSync(below, { recursive: true });
    fs.writeFileSync(path.join(below, 'file'), Buffer.alloc(20_000, `${index}`));
    fs.symlinkSync('file', path.join(below, 'link'));
  }
  fs.mkdirSync(path.join(outside, 'below'), { recursive: true });
  fs.writeFileSync(path.join(outside, 'below', 'file'), 'mine');
  const before = describeTree(outside);
  const repository = new MemoryRepository();
  repository.add(root, 1);
  for (const options of [{}, { overwrite: true }, { inPlace: true }]) {
    const target = path.join(scratch, `target-${Object.keys(options).join('')}`);
    let swapped = 0;
    /** Each directory that is there, once, moved aside. */
    const swap = (): void => {
      for (const name of fs.existsSync(target) ? fs.readdirSync(target) : []) {
        const at = path.join(target, name);
        if (!/^d\d+$/.test(name) || fs.lstatSync(at).isSymbolicLink()) continue;
        fs.renameSync(at, `${at} aside`);
        fs.symlinkSync(outside, at);
        swapped++;
      }
    };
    let reads = 0;
    repository.beforeRead = () => Promise.resolve(reads++ % 4 === 0 ? swap() : undefined);
    const warnings: string[] = [];
    const onWarning = (message: string): void => void warnings.push(message);
    try {
      await restoreFrom({ repository, stream: '', sequence: 1, target, onWarning, ...options });
    } catch (error) {
      t.equal(surpriseOf(error), undefined);
    }
    t.strictSame(describeTree(outside), before, 'nothing changed there');
    t.ok(swapped > 0, `${swapped} swapped`);
  }
});
