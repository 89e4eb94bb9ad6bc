// Whole trees through a backup with any number of workers, and changed, and changed back: what is restored is what was there.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { comparePaths } from '../../lib/bytes/path.js';
import { randomBytes } from '../../lib/crypto/index.js';
import { backup, recover, type Repository, restore } from '../../lib/index.js';
import type { SourceConfiguration } from '../../lib/repository/types.js';
import { makeNode } from '../../lib/posix/nodes.js';
import { Machine } from '../repository/fixture.js';
import { runs } from '../runs.js';
import { describeTree, isRoot } from '../trees.js';

const parallelism = os.availableParallelism;

/** A backup with so many workers. */
async function backupWith(workers: number, repository: Repository, source: SourceConfiguration) {
  os.availableParallelism = () => workers;
  try {
    return await backup(repository, source);
  } finally {
    os.availableParallelism = parallelism;
  }
}

/** All of a version, path by path, as the catalog has it. */
function entriesOf(repository: Repository, name: string, sequence: number, from = 0) {
  const changes = [...repository.catalog.changes(repository.streamId(name), from, sequence)];
  const paths = changes.map(({ path }) => path);
  const isOrdered = paths.every((at, index) => index === 0 || comparePaths(paths[index - 1]!, at) < 0);
  return { isOrdered, changes };
}

const contentOf = (index: number) => `${index} `.repeat(index % 300);

function fill(machine: Machine): void {
  fs.symlinkSync('nowhere', machine.at('source', 'link'));
  fs.symlinkSync('somewhere', machine.at('source', 'same link'));
  makeNode(Buffer.from(machine.at('source', 'fifo')), 'fifo');
  for (let index = 0; index < 800; index++) machine.write(`many/${index}`, contentOf(index));
  for (let index = 0; index < 300; index++) {
    fs.mkdirSync(machine.at('source', 'directories', `${index}`), { recursive: true });
    if (index % 3 === 0) machine.write(`directories/${index}/file`, 'x');
  }
  machine.write(`${'deep/'.repeat(60)}file`, 'at the bottom');
  machine.write('links/0', 'linked');
  for (let index = 1; index < 100; index++)
    fs.linkSync(machine.at('source', 'links', '0'), machine.at('source', 'links', `${index}`));
  machine.write('turns/inside/file', 'a directory first');
  machine.write('other', 'a file first');
}

function change(machine: Machine): void {
  const at = (...names: string[]) => machine.at('source', ...names);
  for (let index = 0; index < 800; index++) {
    if (index % 10 === 0) fs.rmSync(at('many', `${index}`));
    if (index % 10 === 1) machine.write(`many/${index}`, 'changed');
    machine.write(`many/${index}-new`, contentOf(index + 1));
  }
  fs.rmSync(at('directories'), { recursive: true });
  for (const [name, target] of [
    ['link', 'elsewhere'],
    ['same link', 'somewhere'],
  ] as const) {
    fs.rmSync(at(name));
    fs.symlinkSync(target, at(name));
  }
  fs.chmodSync(at('fifo'), 0o604);
  fs.rmSync(at('deep/deep/deep'), { recursive: true });
  fs.rmSync(at('links', '7'));
  fs.rmSync(at('turns'), { recursive: true });
  machine.write('turns', 'a file now');
  fs.rmSync(at('other'));
  machine.write('other/inside/file', 'a directory now');
  fs.rmSync(at('many', '5'));
  fs.symlinkSync('6', at('many', '5'));
}

function changeBack(machine: Machine): void {
  fs.rmSync(machine.at('source', 'turns'));
  fs.rmSync(machine.at('source', 'other'), { recursive: true });
  fs.rmSync(machine.at('source', 'many'), { recursive: true });
  machine.write('turns/inside/file', 'a directory again');
  machine.write('other', 'a file again');
  machine.write('many', 'no longer');
}

void t.test('one worker or four: the same versions to the last bit', async (t) => {
  const machine = new Machine(t);
  fill(machine);
  const repository = await machine.open();
  const sources = [4, 1].map((workers) => ({ ...machine.source, name: `${workers} workers` }));
  for (const [version, next] of [() => undefined, change, changeBack].entries()) {
    next(machine);
    const sequence = version + 1;
    for (const source of sources) {
      const result = await backupWith(Number.parseInt(source.name), repository, source);
      t.match(result, { version: sequence, unreadable: [] });
    }
    const [first, ...others] = sources.map(({ name }) => entriesOf(repository, name, sequence));
    t.ok(first!.isOrdered);
    for (const { changes } of others) t.ok(isDeepStrictEqual(changes, first!.changes));
    const steps = sources.map(({ name }) => entriesOf(repository, name, sequence, version).changes);
    for (const step of steps) t.ok(isDeepStrictEqual(step, steps[0]));
    const statistics = sources.map(
      ({ name }) => repository.catalog.version(repository.streamId(name), sequence)!.header.statistics,
    );
    for (const of of statistics)
      t.strictSame(
        { ...of, newBytes: 0, storedBytes: 0 },
        { ...statistics[0]!, newBytes: 0, storedBytes: 0 },
      );
    const target = fs.mkdtempSync(machine.at('target-'));
    await restore(repository, { stream: repository.streamId(sources[0]!.name), sequence, target });
    t.ok(isDeepStrictEqual(describeTree(target), machine.described()));
    execFileSync('rm', ['-rf', target]);
  }
});

void t.test('the packs of four workers alone tell all that they did', async (t) => {
  const machine = new Machine(t);
  for (let index = 0; index < 600; index++)
    machine.write(`${index % 40}/${index % 7}/${index}`, contentOf(index));
  for (let index = 0; index < 12; index++) machine.write(`${index}/large`, randomBytes(1_500_000));
  const repository = await machine.open();
  t.match(await backupWith(4, repository, machine.source), { version: 1 });
  for (let index = 0; index < 600; index += 3) machine.write(`${index % 40}/${index % 7}/${index}`, 'other');
  fs.rmSync(machine.at('source', '11'), { recursive: true });
  t.match(await backupWith(4, repository, machine.source), { version: 2 });
  const before = [1, 2].map((sequence) => entriesOf(repository, 'source', sequence).changes);
  for await (const { key, versionId } of machine.store.list('streams/'))
    await machine.store.remove(key, versionId);
  const fresh = await machine.open(
    {},
    { configuration: { stateDirectory: machine.at('state 2'), cacheDirectory: machine.at('cache 2') } },
  );
  t.match(await recover(fresh), { streams: [{ rebuilt: [1, 2], lost: [] }] });
  const after = [1, 2].map((sequence) => entriesOf(fresh, 'source', sequence).changes);
  t.ok(isDeepStrictEqual(after, before));
  t.strictSame(await machine.restored(fresh, 2), machine.described());
});

void t.test('four thousand empty files, and then none of them', async (t) => {
  const machine = new Machine(t);
  fs.mkdirSync(machine.at('source', 'many'));
  for (let index = 0; index < 4_000; index++)
    fs.closeSync(fs.openSync(machine.at('source', 'many', `${index}`), 'w'));
  const repository = await machine.open();
  t.match(await backupWith(3, repository, machine.source), {
    version: 1,
    added: 4_002,
    newBytes: 0,
    tree: { files: 4_000, directories: 2, bytes: 0 },
  });
  const before = entriesOf(repository, 'source', 1);
  t.ok(before.isOrdered);
  t.equal(before.changes.length, 4_002);
  fs.rmSync(machine.at('source', 'many'), { recursive: true });
  machine.write('left', '');
  t.match(await backupWith(3, repository, machine.source), {
    version: 2,
    removed: 4_001,
    added: 1,
    tree: { files: 1, directories: 1 },
  });
  t.strictSame(await machine.restored(repository, 2), machine.described());
});

const names = ['a', 'a.b', 'b', 'c', '\u00e4'];

type Action =
  | { readonly kind: 'write'; readonly at: string; readonly seed: number }
  | { readonly kind: 'remove' | 'directory' | 'link' | 'mode'; readonly at: string; readonly seed?: never };

function act(root: string, action: Action): void {
  const full = path.join(root, action.at);
  const parent = path.dirname(full);
  // Whatever stands in the way of the directories above makes room.
  const names = action.at.split('/');
  for (let depth = 1; depth < names.length; depth++) {
    const up = path.join(root, ...names.slice(0, depth));
    const found = fs.lstatSync(up, { throwIfNoEntry: false });
    if (found === undefined) break;
    if (!found.isDirectory()) fs.rmSync(up);
  }
  const stands = fs.lstatSync(full, { throwIfNoEntry: false });
  if (action.kind === 'mode') {
    if (stats(full)) fs.chmodSync(full, stands!.mode ^ 0o011);
    return;
  }
  const isKept = action.kind === 'write' && stands?.isFile() === true;
  if (stands !== undefined && !isKept) fs.rmSync(full, { recursive: true });
  if (action.kind === 'remove') return;
  fs.mkdirSync(parent, { recursive: true });
  if (action.kind === 'directory') fs.mkdirSync(full);
  else if (action.kind === 'link') fs.symlinkSync('somewhere', full);
  else if (action.kind === 'write')
    fs.writeFileSync(full, Buffer.alloc(action.seed * 997, `content ${action.seed}`));
}

const stats = (full: string): boolean => {
  const found = fs.lstatSync(full, { throwIfNoEntry: false });
  return found !== undefined && !found.isSymbolicLink();
};

void t.test('any tree, changed any way, again and again', async (t) => {
  const at = fc
    .array(fc.constantFrom(...names), { minLength: 1, maxLength: 4 })
    .map((parts) => parts.join('/'));
  const action: fc.Arbitrary<Action> = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant('write' as const), at, seed: fc.nat({ max: 400 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constantFrom('remove' as const, 'directory', 'link', 'mode'), at }),
    },
  );
  const step = fc.record({
    actions: fc.array(action, { maxLength: 25 }),
    workers: fc.integer({ min: 1, max: 2 }),
  });
  const machine = new Machine(t);
  const repository = await machine.open();
  let newest = 0;
  const property = fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 3 }), async (steps) => {
    for (const { actions, workers } of steps) {
      for (const action of actions) act(machine.source.path, action);
      machine.write('never empty', 'x');
      const result = await backupWith(workers, repository, machine.source);
      newest = result.newest;
      const wanted = machine.described().join('\n');
      if ((await machine.restored(repository, newest)).join('\n') !== wanted) return false;
      const { files, directories } = result.tree;
      const found = fs.readdirSync(machine.source.path, { recursive: true, withFileTypes: true });
      if (files !== found.filter((entry) => entry.isFile()).length) return false;
      if (directories !== found.filter((entry) => entry.isDirectory()).length + 1) return false;
    }
    return true;
  });
  await fc.assert(property, runs(3));
  t.ok(newest > 1);
});

void t.test('directories that may not be read stay as they were', { skip: !isRoot }, async (t) => {
  const machine = new Machine(t);
  for (let index = 0; index < 50; index++) machine.write(`closed/${index % 5}/${index}`, `${index}`);
  machine.write('open/file', 'x');
  const repository = await machine.open();
  await backup(repository, machine.source);
  const before = entriesOf(repository, 'source', 1).changes.filter(({ path }) =>
    String(path).startsWith('closed/'),
  );
  for (const directory of [machine.directory, machine.source.path]) fs.chmodSync(directory, 0o755);
  for (const name of ['state', 'cache']) chownAll(machine.at(name), nobody);
  fs.chmodSync(machine.at('source', 'closed'), 0o700);
  machine.write('open/new', 'x');
  // All threads of the process change their user with this one.
  process.setegid?.(nobody);
  process.seteuid?.(nobody);
  let result;
  try {
    result = await backup(repository, machine.source);
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
  }
  t.match(result, { version: 2, unreadable: [{ reason: 'permission denied' }], tree: { files: 52 } });
  t.equal(Buffer.from(result.unreadable[0]!.path).toString(), 'closed');
  const after = entriesOf(repository, 'source', 2).changes.filter(({ path }) =>
    String(path).startsWith('closed/'),
  );
  t.strictSame(after, before);
});

const nobody = 65_534;

function chownAll(root: string, owner: number): void {
  fs.chownSync(root, owner, owner);
  for (const entry of fs.readdirSync(root, { recursive: true, withFileTypes: true }))
    fs.chownSync(path.join(entry.parentPath, entry.name), owner, owner);
}
