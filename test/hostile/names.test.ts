// Names as weapons: versions that somebody with the repository's keys has made by hand. Nothing is ever written outside the target,
// not even while somebody swaps directories for symlinks; what cannot be a tree is refused, and all that was there before it, and
// other machines' versions, can be had.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { deriveKeys, publicSecret } from '../../lib/crypto/index.js';
import { backup, restore } from '../../lib/index.js';
import type { Row } from '../../lib/manifest/types.js';
import { Machine } from '../repository/fixture.js';
import { MemoryRepository } from '../restore/memory-repository.js';
import { restore as restoreFrom } from '../../lib/restore/index.js';
import { describeTree, scratchDirectory } from '../trees.js';
import { commitByHand, harmful, impossible } from './evil.js';
import { surpriseOf } from './world.js';

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
  const { victim, repository, stream, warnings, outside } = await attacked(t, harmful);
  t.strictSame(warnings, []);
  const target = victim.at('target');
  for (const options of [{}, {}, { overwrite: true }, { inPlace: true }]) {
    const { failed, conflicts } = await restore(repository, { stream, sequence: 2, target, ...options });
    t.strictSame([failed, conflicts], [0, 0]);
    t.strictSame(fs.readdirSync(outside), []);
  }
  const names = describeTree(target).map((line) => line.replace(/ 1?[0-7]{5} .*/, ''));
  t.equal(names.length, harmful.length + 3, 'the root, and the version before');
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
