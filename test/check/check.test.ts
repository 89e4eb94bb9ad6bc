// Scenario 9 of TESTING.md: each object is deleted, cut short or changed in turn, and a check names exactly the files and versions
// that a machine which has never seen the repository cannot get back. What it says is held against really getting them back.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import t, { type Test } from 'tap';
import { walkTree } from '../../lib/catalog/changes.js';
import { printable } from '../../lib/bytes/path.js';
import { randomBytes } from '../../lib/crypto/index.js';
import { backup, check, type CheckResult, type Repository, restore } from '../../lib/index.js';
import { writeCheckpoint } from '../../lib/manifest/checkpoint.js';
import type { Row } from '../../lib/manifest/types.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import type { ObjectStore } from '../../lib/store/types.js';
import { Machine } from '../repository/fixture.js';

/** A machine that has never seen the repository. */
function stranger(machine: Machine, store: ObjectStore): Promise<Repository> {
  const name = randomBytes(4).toString('hex');
  const configuration = {
    stateDirectory: machine.at(`state ${name}`),
    cacheDirectory: machine.at(`cache ${name}`),
  };
  return machine.open({ sync: false, access: 'read' }, { store, configuration });
}

function* rowsOf({ catalog }: Repository, stream: string, sequence: number): Generator<Row> {
  for (const { path, found } of walkTree(catalog, catalog.root(stream, sequence)!, sequence))
    yield { op: 'added', path, entry: found.entry };
}

async function checkpoint(repository: Repository, stream: string, sequence: number): Promise<void> {
  const { header, hash: commitHash } = repository.catalog.version(stream, sequence)!;
  await writeCheckpoint(repository.context, {
    commitHash,
    header,
    packs: repository.catalog.packsOf(stream, sequence),
    rows: rowsOf(repository, stream, sequence),
  });
}

interface Sample {
  readonly machine: Machine;
  readonly repository: Repository;
  readonly sources: readonly string[];
}

/** Two sources with common contents; several packs to a version, log entries with parts, a checkpoint in the middle. */
async function sample(t: Test): Promise<Sample> {
  const machine = new Machine(t);
  const repository = await machine.open();
  const other = { ...machine.source, name: 'other', path: machine.at('other') };
  fs.mkdirSync(other.path);
  const common = randomBytes(300_000);
  machine.write('dir/common', common);
  machine.write('dir/empty', '');
  for (let index = 0; index < 19; index++) machine.write(`big/${index}`, randomBytes(150_000));
  for (let index = 0; index < 160; index++)
    fs.symlinkSync(`${index}`.repeat(1300), machine.at('source', `link ${index}`));
  await backup(repository, machine.source);
  fs.writeFileSync(machine.at('other', 'the same'), common);
  fs.writeFileSync(machine.at('other', 'its own'), 'its own');
  await backup(repository, other);
  for (let version = 2; version <= 5; version++) {
    machine.write('dir/changes', `${version}`.repeat(5000));
    machine.write('big/3', randomBytes(180_000));
    machine.write(`dir/only from ${version}`, randomBytes(200_000));
    if (version === 3) fs.rmSync(machine.at('source', 'big', '7'));
    if (version === 4) fs.linkSync(machine.at('source', 'big/3'), machine.at('source', 'dir/hard'));
    await backup(repository, machine.source);
    if (version === 3) await checkpoint(repository, repository.streamId('source'), 3);
  }
  fs.writeFileSync(machine.at('other', 'more'), common.subarray(0, 100_000));
  await backup(repository, other);
  return { machine, repository, sources: ['other', 'source'] };
}

/** What cannot be got back: '<source> <version>' of whole versions, '<source> <version> <path>' of files. */
type Lost = ReadonlySet<string>;

/** By getting all of it back. `versions`: how many there should be. */
async function reallyLost(
  { machine, sources }: Sample,
  repository: Repository,
  versions: ReadonlyMap<string, number>,
  trees: ReadonlyMap<string, readonly string[]>,
): Promise<Lost> {
  const lost = new Set<string>();
  await repository.sync();
  for (const source of sources) {
    const stream = repository.streamId(source);
    for (let sequence = 1; sequence <= versions.get(source)!; sequence++) {
      const name = `${source} ${sequence}`;
      if (repository.catalog.root(stream, sequence) === undefined) {
        lost.add(name);
        continue;
      }
      const target = fs.mkdtempSync(machine.at('restored-'));
      await restore(repository, { stream, sequence, target });
      for (const path of trees.get(name)!) {
        const isThere = fs.lstatSync(`${target}/${path}`, { throwIfNoEntry: false }) !== undefined;
        if (!isThere) lost.add(`${name} ${path}`);
      }
      execFileSync('rm', ['-rf', target]);
    }
  }
  return lost;
}

/** The same by what a check says. */
function told({ repository, sources }: Sample, { streams, files }: CheckResult): Lost {
  const lost = new Set<string>();
  const names = new Map(sources.map((source) => [repository.streamId(source), source]));
  for (const { id, lost: ranges } of streams)
    for (const { from, to } of ranges)
      for (let sequence = from; sequence <= to; sequence++) lost.add(`${names.get(id)} ${sequence}`);
  // What is newer than anything in the store nobody can know of who has not seen it.
  for (const source of sources) {
    const id = repository.streamId(source);
    const newest = streams.find((stream) => stream.id === id)?.newest ?? 0;
    const { head } = repository.catalog.stream(id)!;
    for (let sequence = newest + 1; sequence <= head; sequence++) lost.add(`${source} ${sequence}`);
  }
  for (const { stream, path, versions: ranges } of files)
    for (const { from, to } of ranges)
      for (let sequence = from; sequence <= to; sequence++)
        lost.add(`${names.get(stream)} ${sequence} ${printable(path)}`);
  return lost;
}

async function keysOf(store: MemoryStore): Promise<{ key: string; versionId: string }[]> {
  const keys: { key: string; versionId: string }[] = [];
  for await (const { key, versionId } of store.list('')) keys.push({ key, versionId });
  return keys;
}

const sorted = (lost: Lost): string[] => [...lost].sort();

/** Of every version, the paths in it. */
function treesOf({ repository, sources }: Sample): {
  versions: Map<string, number>;
  trees: Map<string, string[]>;
} {
  const versions = new Map<string, number>();
  const trees = new Map<string, string[]>();
  for (const source of sources) {
    const stream = repository.streamId(source);
    const head = repository.catalog.stream(stream)!.head;
    versions.set(source, head);
    for (let sequence = 1; sequence <= head; sequence++) {
      const root = repository.catalog.root(stream, sequence)!;
      trees.set(
        `${source} ${sequence}`,
        [...walkTree(repository.catalog, root, sequence)].map(({ path }) => printable(path)),
      );
    }
  }
  return { versions, trees };
}

void t.test('each object deleted in turn', async (t) => {
  const all = await sample(t);
  const { machine } = all;
  const { versions, trees } = treesOf(all);
  const fine = await check(await stranger(machine, machine.store));
  t.match(fine, { verdict: 'fine', fileCount: 0, unneeded: { packs: 0, manifest: 0, foreignCount: 0 } });
  let filesHurt = 0;
  let versionsLost = 0;
  for (const { key, versionId } of await keysOf(machine.store)) {
    if (key === 'rrbackup.json') continue;
    const store = machine.store.copy();
    await store.remove(key, versionId);
    const expected = await reallyLost(all, await stranger(machine, store), versions, trees);
    for (const fresh of [false, true]) {
      const result = await check(await stranger(machine, store), { fresh });
      t.strictSame(sorted(told(all, result)), sorted(expected), key);
      // Nobody can miss the newest entry of a log, or a checkpoint, who has not seen it.
      const isNewest = [...versions].some(([source, head]) =>
        key.endsWith(`${all.repository.streamId(source)}/commits/000000000${head}`),
      );
      const isUnseen = isNewest || key.endsWith('/root');
      t.equal(result.verdict, isUnseen ? 'fine' : 'damaged', key);
      if (!isUnseen)
        t.ok(
          result.findings.some(({ object }) => object === key),
          `${key} is named`,
        );
    }
    for (const name of expected)
      if (name.split(' ').length > 2) filesHurt++;
      else versionsLost++;
  }
  t.ok(filesHurt > 50, `${filesHurt}`);
  t.ok(versionsLost > 5, `${versionsLost}`);
});
