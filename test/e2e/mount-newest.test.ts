// A mount without a catalog, with the real command: over a history with a checkpoint, the newest version is served while
// older ones are still to be read; over one without, all of it is read first.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { noMount } from '../mount/live.js';
import { newHome, type Home } from './cli.js';

const skip = noMount;
const script = new URL('../catalog/big-catalog.js', import.meta.url).pathname;
/** Where an object says which version of the format it has (lib/crypto/object.ts). */
const formatByte = 8;
const versionCount = 12;

interface BigHome extends Home {
  readonly mnt: string;
  readonly catalog: string;
  readonly commits: string;
  versions(): Promise<string[]>;
  log(): string;
}

let made: Promise<BigHome> | undefined;
/** One with a checkpoint at version 9, as on a machine that has never seen it. */
async function withCheckpoint(): Promise<BigHome> {
  const home = await (made ??= longHistory(t, 9));
  for (const suffix of ['', '-lock', '-seal', '-past'])
    fs.rmSync(`${home.catalog}${suffix}`, { force: true });
  for (const name of ['state', 'cache']) fs.rmSync(home.at(name), { recursive: true, force: true });
  return home;
}

async function longHistory(t: Test, checkpoint: number): Promise<BigHome> {
  const home = newHome(t);
  const big = home.at('big');
  const size = ['--files', '300', '--versions', String(versionCount)];
  await home.run(process.execPath, script, big, ...size, '--checkpoint', String(checkpoint));
  const mnt = home.at('mnt');
  fs.mkdirSync(mnt);
  fs.copyFileSync(path.join(big, 'rrbackup.ini'), home.at('rrbackup.ini'));
  const [stream] = fs.readdirSync(path.join(big, 'repository/streams'));
  const versions = async (): Promise<string[]> =>
    (await home.run('ls', path.join(mnt, 'big'))).split('\n').filter((name) => /^\d/.test(name));
  const logs = home.at('state/rrbackup');
  const log = (): string =>
    fs
      .readdirSync(logs, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.log'))
      .map((name) => fs.readFileSync(path.join(logs, name), 'utf8'))
      .join('');
  const catalog = path.join(big, 'catalog.mdb');
  const commits = path.join(big, 'repository/streams', stream!, 'commits');
  for (const suffix of ['', '-lock', '-seal']) fs.rmSync(`${catalog}${suffix}`);
  return { ...home, mnt, catalog, commits, versions, log };
}

/** Nobody can read it until the function that is returned is called. */
function withhold(file: string): () => void {
  const whole = fs.readFileSync(file);
  const changed = Buffer.from(whole);
  changed[formatByte] = 0xff;
  fs.chmodSync(file, 0o600);
  fs.writeFileSync(file, changed);
  return () => {
    fs.writeFileSync(file, whole);
  };
}

void t.test('the newest version is served before older ones are read', { skip }, async (t) => {
  const home = await withCheckpoint();
  const { mnt } = home;
  const release = withhold(path.join(home.commits, '0000000004'));
  await home.ok('mount', mnt);
  const served = await home.versions();
  t.equal(served.length, versionCount - 8, 'those from the checkpoint on');
  const current = path.join(mnt, 'big/current');
  t.equal(await home.run('cat', path.join(current, 'readme.txt')), 'the one file that can be read\n');
  const list = (at: string): Promise<string> => home.run('ls', '-lRi', '--time-style=full-iso', at);
  const listed = await list(path.join(mnt, 'big', served.at(-1)!));
  t.match(await home.run('ls', path.join(mnt, 'big/history')), 'readme.txt');

  const failed = await home.rr('versions');
  t.not(failed.status, 0, 'who wants all of them is told why they cannot be had');
  t.equal((await home.versions()).length, versionCount - 8, 'the mount goes on');

  release();
  t.equal((await home.ok('versions')).match(/^ *\d+ /gm)?.length, versionCount);
  let all = await home.versions();
  while (all.length < versionCount) all = await home.versions();
  t.same(all.slice(8), served);
  t.equal(
    await home.run('cat', path.join(mnt, 'big', all[0]!, 'readme.txt')),
    'the one file that can be read\n',
  );
  t.equal(await list(path.join(mnt, 'big', served.at(-1)!)), listed, 'inode numbers are the same');
  const newFiles = await home.run('find', path.join(mnt, 'big', all[5]!), '-name', 'new-*');
  t.equal(newFiles.trim().split('\n').length, 5);
  await home.ok('umount', mnt);
  t.match(home.log(), /older versions are not there yet/);
  t.notOk(fs.existsSync(`${home.catalog}-past`), 'nothing is left behind');
});

void t.test('older versions come by themselves', { skip }, async (t) => {
  const home = await withCheckpoint();
  await home.ok('mount', home.mnt);
  let all = await home.versions();
  while (all.length < versionCount) all = await home.versions();
  t.equal(
    await home.run('cat', path.join(home.mnt, 'big', all[0]!, 'readme.txt')),
    'the one file that can be read\n',
  );
  while (!home.log().includes('all versions are there now')) await new Promise((go) => setImmediate(go));
  await home.ok('umount', home.mnt);
  t.notOk(fs.existsSync(`${home.catalog}-past`), 'nothing is left behind');
});

void t.test('a mount that ends before they came: the next command brings them', { skip }, async (t) => {
  const home = await withCheckpoint();
  const release = withhold(path.join(home.commits, '0000000004'));
  await home.ok('mount', home.mnt);
  await home.ok('umount', home.mnt);
  await home.ok('mount', home.mnt);
  t.equal((await home.versions()).length, versionCount - 8, 'as it was left');
  await home.ok('umount', home.mnt);
  release();
  t.match(await home.ok('ls', '1'), 'readme.txt');
  t.equal((await home.ok('versions')).match(/^ *\d+ /gm)?.length, versionCount);
});

void t.test('without a checkpoint all is read first', { skip }, async (t) => {
  const home = await longHistory(t, 0);
  await home.ok('mount', home.mnt);
  t.equal((await home.versions()).length, versionCount);
  await home.ok('umount', home.mnt);
  t.notMatch(home.log(), 'older versions');
});
