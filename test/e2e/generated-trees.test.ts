// Scenario 23: generated trees, one put over the other, come back from each version as they were, by download and by mount; a
// directory of very many entries; and files whose inode numbers differ beyond what a double holds. As root on Linux.

import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { versionNames } from '../../lib/catalog/version-argument.js';
import { backup, mount, type Repository, restore } from '../../lib/index.js';
import { DirectoryStore } from '../../lib/store/directory/index.js';
import { type AnyTree, anyTree, makeTree } from '../any-tree.js';
import { noMount } from '../mount/live.js';
import { Machine } from '../repository/fixture.js';
import { runs } from '../runs.js';
import { runBackupsHere } from '../simulation/threads-here.js';
import { describeTree } from '../trees.js';
import { newHome } from './cli.js';

runBackupsHere();

const skip = noMount;
const run = promisify(execFile);
const script = fileURLToPath(new URL('./describe-child.js', import.meta.url));

async function described(directories: readonly string[]): Promise<string[][]> {
  const options = { maxBuffer: 2 ** 30, timeout: 600_000, killSignal: 'SIGKILL' } as const;
  const { stdout } = await run(process.execPath, [script, ...directories], options);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as string[]);
}

/** A repository of its own in a directory; all of it goes when the work is done. */
async function withRepository<T>(
  t: Test,
  work: (machine: Machine, repository: Repository) => Promise<T>,
): Promise<T> {
  const machine = new Machine(t);
  const store = new DirectoryStore(machine.at('repository'));
  const repository = await machine.open({}, { store });
  try {
    return await work(machine, repository);
  } finally {
    await repository.close();
    execFileSync('rm', ['-rf', ...fs.readdirSync(machine.directory).map((name) => machine.at(name))]);
  }
}

/** The versions as they are shown by a mount, and as they come out of downloads. */
async function seen(
  machine: Machine,
  repository: Repository,
): Promise<{ mounted: string[][]; downloaded: string[][] }> {
  const stream = repository.streamId(machine.source.name);
  const versions = repository.catalog.versions(stream);
  const downloaded: string[][] = [];
  for (const {
    header: { sequence },
  } of versions) {
    const target = machine.at(`target-${sequence}`);
    await restore(repository, { stream, sequence, target, setuid: true });
    downloaded.push(describeTree(target));
  }
  const mountpoint = machine.at('mnt');
  fs.mkdirSync(mountpoint);
  const mounted = await mount(repository, { mountpoint });
  try {
    const names = [...versionNames(versions).values()];
    return {
      downloaded,
      mounted: await described(names.map((name) => path.join(mountpoint, machine.source.name, name))),
    };
  } finally {
    await mounted.unmount();
  }
}

void t.test('any tree, one over the other', { skip }, async (t) => {
  const step = fc.record({ tree: anyTree, keeps: fc.boolean() });
  const steps = fc.array(step, { minLength: 10, maxLength: 10 });
  let versions = 0;
  const roundTrip = (steps: readonly { tree: AnyTree; keeps: boolean }[]) =>
    withRepository(t, async (machine, repository) => {
      const trees: string[][] = [];
      for (const { tree, keeps } of steps) {
        const { path: source } = machine.source;
        if (!keeps) {
          fs.renameSync(source, machine.at(`old-${trees.length}`));
          fs.mkdirSync(source);
        }
        // Nothing but an empty directory is a source that has gone away.
        fs.writeFileSync(path.join(source, 'never empty'), '');
        makeTree(source, tree);
        const { version, unreadable } = await backup(repository, machine.source);
        if (version === undefined || unreadable.length > 0) return `${unreadable.length} not read`;
        trees.push(machine.described());
        versions++;
      }
      const { downloaded, mounted } = await seen(machine, repository);
      for (const [index, tree] of trees.entries()) {
        const wrong = [downloaded, mounted].map((found) => difference(tree, found[index]));
        if (wrong.some((lines) => lines !== '')) return `version ${index + 1}\n${wrong.join('\n')}`;
      }
      return '';
    });
  const property = fc.asyncProperty(steps, async (steps) => {
    const wrong = await roundTrip(steps);
    if (wrong !== '') throw new Error(wrong);
  });
  await fc.assert(property, runs(5));
  t.comment(`${versions} trees`);
  t.ok(versions > 0);
});

/** Lines of the one that the other has not. */
function difference(tree: readonly string[], found: readonly string[] | undefined): string {
  const there = new Set(found);
  const wanted = new Set(tree);
  const lost = tree.filter((line) => !there.has(line)).map((line) => `- ${line}`);
  const more = (found ?? []).filter((line) => !wanted.has(line)).map((line) => `+ ${line}`);
  return [...lost, ...more].join('\n');
}

void t.test('very many entries in one directory', { skip }, async (t) => {
  const count = runs(1000).numRuns;
  await withRepository(t, async (machine, repository) => {
    fs.mkdirSync(machine.at('source', 'many'));
    for (let index = 0; index < count; index++)
      fs.writeFileSync(machine.at('source', 'many', `entry ${index}`), index % 50 === 0 ? `${index}` : '');
    await backup(repository, machine.source);
    const tree = machine.described();
    t.equal(tree.length, count + 2);
    const { downloaded, mounted } = await seen(machine, repository);
    t.equal(difference(tree, downloaded[0]), '', 'by download');
    t.equal(difference(tree, mounted[0]), '', 'by mount');
  });
});

void t.test('inode numbers that a double cannot tell apart', { skip }, async (t) => {
  const home = newHome(t);
  const pairs = 20;
  fs.mkdirSync(home.at('source'));
  for (let pair = 0; pair < pairs; pair++) {
    fs.writeFileSync(home.at('source', `${pair}`), `of pair ${pair}`);
    fs.linkSync(home.at('source', `${pair}`), home.at('source', `${pair} too`));
  }
  const configure = (of: typeof home, source: string): void =>
    of.configure(
      `[main]\nbase_path: ${source}\nencryption: none\n[directory]\npath: ${of.at('repository')}\n`,
    );
  configure(home, home.at('source'));
  await home.ok('backup');
  fs.mkdirSync(home.at('mnt'));
  await home.ok('mount', home.at('mnt'));
  const [version] = (await home.run('ls', home.at('mnt', 'source'))).split('\n');
  const shown = home.at('mnt', 'source', version!);
  const inodes = (
    await home.run(
      'stat',
      '-c',
      '%i',
      ...Array.from({ length: pairs }, (_, pair) => path.join(shown, `${pair}`)),
    )
  )
    .trim()
    .split('\n');
  t.equal(new Set(inodes).size, pairs);
  t.ok(new Set(inodes.map(Number)).size < pairs, 'to a double some are the same');
  // A mount's own inode numbers are such: what it shows is backed up once more.
  const second = newHome(t);
  configure(second, shown);
  await second.ok('backup');
  await second.ok('download', 'latest', second.at('restored'));
  t.strictSame(describeTree(second.at('restored')), describeTree(home.at('source')));
  await home.ok('umount', home.at('mnt'));
});
