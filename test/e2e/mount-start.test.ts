// How a mount begins, with the real command: with and without a catalog, over a store that shows another history, and with
// a backup on the same machine while it stands.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { mountAt } from '../../lib/posix/mount.js';
import { noMount } from '../mount/live.js';
import { newHome, type Home } from './cli.js';

const skip = noMount;

/** A home with a source that has been backed up once, and a place to mount. */
async function backedUp(
  t: Test,
  lock = 'encryption: none',
): Promise<Home & { mnt: string; write(text: string): void }> {
  const home = newHome(t);
  for (const name of ['docs', 'mnt']) fs.mkdirSync(home.at(name));
  const write = (text: string): void => fs.writeFileSync(home.at('docs/a.txt'), text);
  write('one');
  home.configure(
    `[main]\nbase_path: ${home.at('docs')}\n${lock}\nlocal_manifest_file: ${home.at('catalog.mdb')}\n` +
      `[directory]\npath: ${home.at('repository')}\n`,
  );
  await home.ok('backup');
  return { ...home, mnt: home.at('mnt'), write };
}

const versionsOf = async (home: Home, mnt: string): Promise<string[]> =>
  (await home.run('ls', path.join(mnt, 'docs'))).split('\n').filter((name) => /^\d/.test(name));

void t.test('a backup on this machine shows in a mount that stands', { skip }, async (t) => {
  const home = await backedUp(t, 'crypt_password: secret');
  const { mnt } = home;
  await home.ok('mount', mnt);
  const [first] = await versionsOf(home, mnt);
  const current = path.join(mnt, 'docs/current/a.txt');
  t.equal(await home.run('cat', current), 'one');
  const reader = home.run(
    'sh',
    '-c',
    `exec <"$1" && touch "$2" && while [ -e "$2" ]; do sleep 0.05; done; cat`,
    'sh',
    current,
    home.at('open'),
  );
  while (!fs.existsSync(home.at('open'))) await new Promise((resolve) => setImmediate(resolve));

  home.write('two, which is longer');
  await home.ok('backup');
  // The kernel keeps what it has seen of a directory that grows for a second.
  let versions = await versionsOf(home, mnt);
  while (versions.length < 2) versions = await versionsOf(home, mnt);
  while ((await home.run('cat', current)) === 'one');
  t.equal(await home.run('cat', current), 'two, which is longer');
  t.equal(await home.run('cat', path.join(mnt, 'docs', first!, 'a.txt')), 'one');
  fs.rmSync(home.at('open'));
  t.equal(await reader, 'one', 'who had it open reads on in the version that it opened');
  await home.ok('umount', mnt);
});

void t.test('a store that has lost what this machine has seen', { skip }, async (t) => {
  const home = await backedUp(t);
  const { mnt } = home;
  home.write('two');
  await home.ok('backup');
  const [stream] = fs.readdirSync(home.at('repository/streams'));
  const newest = home.at('repository/streams', stream!, 'commits/0000000002');
  fs.renameSync(newest, home.at('taken'));
  for (const how of [[], ['--foreground']]) {
    const { status, stderr } = await home.rr('mount', mnt, ...how);
    t.equal(status, 17, stderr);
    t.match(stderr, /versions of docs on .* that this machine has seen are gone from the store/);
    t.equal(mountAt(mnt), undefined, 'nothing stays mounted');
  }
  fs.renameSync(home.at('taken'), newest);
  await home.ok('mount', mnt);
  t.equal((await versionsOf(home, mnt)).length, 2);
  await home.ok('umount', mnt);
});

void t.test('without a catalog, and with a command line that is wrong', { skip }, async (t) => {
  const home = await backedUp(t);
  const { mnt } = home;
  for (const suffix of ['', '-lock', '-seal']) fs.rmSync(home.at(`catalog.mdb${suffix}`), { force: true });
  await home.ok('mount', mnt);
  t.equal((await versionsOf(home, mnt)).length, 1);
  await home.ok('umount', mnt);
  t.equal((await home.rr('mount')).status, 2);
  t.equal((await home.rr('mount', mnt, '--nonsense')).status, 2);
  t.match((await home.rr('mount', '--help')).stdout, 'MOUNTPOINT');
  t.equal(mountAt(mnt), undefined);
});
