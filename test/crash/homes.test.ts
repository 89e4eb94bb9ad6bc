// Machines that lack something: no home, a home where nothing can be made, full and read-only file systems, too few descriptors.
// A backup is made all the same, with a warning of what that costs, and so is the next one; or words say what it needs.

import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { command, type Home, newHome, outcome } from '../e2e/cli.js';
import { isRoot } from '../trees.js';
import { umount } from '../umount.js';

/** A home with one file to back up. */
function user(t: Test): Home {
  const home = newHome(t, {}, 'here');
  fs.mkdirSync(home.at('source'));
  home.configure(
    `[main]\nbase_path: ${home.at('source')}\nencryption: none\n[directory]\npath: ${home.at('repository')}\n`,
  );
  return home;
}

/** Backs up a new file; answers what was said of it. */
async function backedUp(
  t: Test,
  home: Home,
  version: number,
  where: 'process' | 'here' = 'here',
): Promise<string> {
  fs.writeFileSync(home.at('source', `${version}`), `${version}`);
  const { status, stdout, stderr } = await (where === 'here'
    ? home.rr('backup')
    : outcome(home.start('backup')));
  t.equal(status, 0, stderr);
  t.match(stdout, new RegExp(`version ${version}`), stderr);
  return stderr;
}

async function isWhole(t: Test, home: Home, versions: number): Promise<void> {
  await home.ok('download', 'latest', home.at('restored'), '-q');
  const names = Array.from({ length: versions }, (_, index) => `${index + 1}`);
  t.strictSame(fs.readdirSync(home.at('restored')).sort(), names);
}

const state = /state\S* cannot be written \(.*would not notice/;
const cache = /catalog \S* cannot be opened for writing: all of the history is read again/;

/** Where no name can be made, though none is there, and below a file. */
for (const place of ['/proc/nowhere', 'rrbackup.ini'])
  void t.test(`a home in ${place}`, async (t) => {
    const home = user(t);
    const { environment } = home;
    const { XDG_STATE_HOME, XDG_CACHE_HOME } = environment;
    const at = path.resolve(home.directory, place);
    Object.assign(environment, { HOME: at, XDG_STATE_HOME: `${at}/state`, XDG_CACHE_HOME: `${at}/cache` });
    for (const version of [1, 2]) {
      const said = await backedUp(t, home, version, version === 1 ? 'process' : 'here');
      t.match(said, state);
      t.match(said, cache);
      t.equal(said.match(/warning/g)?.length, 2, 'each is said once');
    }
    Object.assign(environment, { XDG_STATE_HOME, XDG_CACHE_HOME });
    t.notMatch(await backedUp(t, home, 3), /warning/, 'and nothing is said any more');
    await isWhole(t, home, 3);
  });

void t.test('without HOME the user database knows', async (t) => {
  const home = user(t);
  delete home.environment['HOME'];
  t.notMatch(await backedUp(t, home, 1, 'process'), /warning/);
});

void t.test('too few descriptors: a version, or words', async (t) => {
  const home = user(t);
  await home.ok('init');
  const isThere = (): boolean => fs.existsSync(home.at('repository', 'streams'));
  for (const limit of [24, 32]) {
    const child = spawn(
      'bash',
      ['-c', `ulimit -n ${limit}; exec "$@"`, '_', process.execPath, command, '-c', home.at('rrbackup.ini')],
      { env: home.environment, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    // What it lacks may come back, so it would wait for that for minutes; it has said so.
    child.stderr.once('data', () => child.kill('SIGTERM'));
    const { status, stderr } = await outcome(child);
    t.equal(status === 0, isThere(), `${limit}: ${status} ${stderr}`);
    // Node itself may have been ended by a signal; it has no words for that.
    if (status !== null && status !== 0) t.match(stderr, /^rrbackup: /, `${limit}: it says why`);
    t.notMatch(stderr, /^ +at /m, `${limit}: in words`);
    if (status === 0) break;
  }
});

const asRoot = { skip: isRoot ? false : 'mounting needs root' };

void t.test('a cache that is read-only', asRoot, async (t) => {
  const home = user(t);
  await backedUp(t, home, 1);
  execFileSync('mount', ['--bind', home.at('cache'), home.at('cache')]);
  execFileSync('mount', ['-o', 'remount,bind,ro', home.at('cache')]);
  for (const version of [2, 3]) t.match(await backedUp(t, home, version), cache);
  await isWhole(t, home, 3);
  await umount(home.at('cache'));
  t.equal((await home.rr('versions')).stderr, '', 'and nothing is said any more');
});

/** A file system with room for nothing but what is there. */
function fill(directory: string): void {
  const fd = fs.openSync(`${directory}/ballast`, 'a');
  for (const size_bytes of [4096, 1]) {
    try {
      for (;;) fs.writeSync(fd, Buffer.alloc(size_bytes));
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOSPC') throw error;
    }
  }
  fs.closeSync(fd);
}

void t.test('full: what this machine remembers, and the cache', asRoot, async (t) => {
  const home = user(t);
  const names = ['state', 'cache'];
  for (const name of names) {
    fs.mkdirSync(home.at(name));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', home.at(name)]);
    fill(home.at(name));
  }
  const said = await backedUp(t, home, 1);
  t.match(said, /cannot be written \(no space left on device\)/);
  t.match(said, /no space is left for the local catalog/);
  for (const name of names) fs.rmSync(home.at(name, 'ballast'));
  t.notMatch(await backedUp(t, home, 2), /warning/);
  for (const name of names) fill(home.at(name));
  // One to be compared with what is there, one with what could not be written.
  for (const version of [3, 4]) await backedUp(t, home, version);
  await isWhole(t, home, 4);
});
