// Commands on a machine that cannot see the newest versions: none takes an old one for the newest and ends with status 0.

import fs from 'node:fs';
import t, { type Test } from 'tap';
import { type Home, newHome } from '../e2e/cli.js';

async function withVersions(t: Test): Promise<Home & { commit(version: number): string }> {
  const home = newHome(t, {}, 'here');
  fs.mkdirSync(home.at('src'));
  home.configure('[main]\nbase_path: src\nhost: here\nencryption: none\n[directory]\npath: repo\n');
  for (const version of [1, 2, 3, 4]) {
    fs.writeFileSync(home.at('src', 'a'), `v${version}`);
    await home.ok('backup', '-q');
  }
  const streams = home.at('repo', 'streams');
  const commits = `${streams}/${fs.readdirSync(streams)[0]!}/commits`;
  // A machine that has never seen the repository.
  for (const directory of ['state', 'cache']) fs.rmSync(home.at(directory), { recursive: true });
  return { ...home, commit: (version) => `${commits}/${String(version).padStart(10, '0')}` };
}

async function refused(t: Test, home: Home, ...args: string[]): Promise<void> {
  const { status, stderr } = await home.rr(...args);
  t.equal(status, 13, args.join(' '));
  t.match(stderr, /version 1 can be read|versions 1-2 can be read/, args.join(' '));
}

void t.test('an entry in the middle is left out', async (t) => {
  const home = await withVersions(t);
  fs.rmSync(home.commit(3));
  for (const name of ['latest', 'latest~1', '3', '4']) {
    await refused(t, home, 'cat', name, 'a');
    await refused(t, home, 'files', name);
    await refused(t, home, 'changes', name);
    await refused(t, home, 'changes', '1', name);
    await refused(t, home, 'download', name, 'out');
  }
  t.notOk(fs.existsSync(home.at('out')), 'nothing is downloaded');
  const listed = await home.rr('versions', '--json');
  t.equal(listed.status, 13);
  const versions = JSON.parse(listed.stdout) as { version: number; time: string }[];
  t.strictSame(
    versions.map(({ version }) => version),
    [1, 2],
    'what can be read is listed',
  );
  t.match(JSON.parse(listed.stderr.trim().split('\n').at(-1)!), {
    error: { code: 'version.lost', exit_status: 13 },
  });
  const { time } = versions[1]!;
  await refused(t, home, 'cat', time.slice(0, 10), 'a');
  await refused(t, home, 'history', 'a');
  await refused(t, home, 'history', 'what nobody has seen');
  for (const args of [['backup'], ['backup', '--dry-run']])
    t.match(await home.rr(...args), { status: 13, stderr: /has a gap/ }, args.join(' '));

  t.equal(await home.ok('cat', '2', 'a'), 'v2', 'a number that can be read');
  t.equal(await home.ok('cat', time, 'a'), 'v2', 'the whole name of a version');
  await home.ok('changes', '2');
  await home.ok('changes', '1', '2');
  await home.ok('download', '2', 'out');
});

void t.test('the newest entry is damaged', async (t) => {
  const home = await withVersions(t);
  fs.chmodSync(home.commit(4), 0o600);
  fs.writeFileSync(home.commit(4), 'no entry');
  for (const args of [
    ['cat', 'latest', 'a'],
    ['cat', '4', 'a'],
    ['download', 'latest', 'out'],
  ])
    t.match(await home.rr(...args), { status: 13, stderr: /versions 1-3 can be read/ }, args.join(' '));
  t.equal(await home.ok('cat', '3', 'a'), 'v3');
});

void t.test('no entry can be read: that is not the same as no version', async (t) => {
  const home = await withVersions(t);
  fs.rmSync(home.commit(1));
  for (const args of [
    ['versions'],
    ['versions', '--source', 'src'],
    ['cat', 'latest', 'a'],
    ['history', 'a'],
  ])
    t.match(
      await home.rr(...args),
      { status: 13, stderr: /versions of src, and none of them can be read/ },
      args.join(' '),
    );
  t.match(await home.rr('versions', '--host', 'another'), { status: 13, stderr: /has a gap/ });
});

void t.test('one of two sources cannot be read: no other is taken for it', async (t) => {
  const home = await withVersions(t);
  const both = (first: string): void =>
    home.configure(`[main]\nbase_path: ${first}\nhost: here\nencryption: none\n[directory]\npath: repo\n`);
  both('other');
  fs.mkdirSync(home.at('other'));
  fs.writeFileSync(home.at('other', 'a'), 'of another source');
  await home.ok('backup', '-q');
  fs.rmSync(home.commit(1));
  for (const directory of ['state', 'cache']) fs.rmSync(home.at(directory), { recursive: true });
  t.equal(await home.ok('cat', 'latest', 'a'), 'of another source');
  both('src');
  t.match(await home.rr('cat', 'latest', 'a'), { status: 13, stdout: '' });
  t.match(await home.rr('versions'), { status: 13, stdout: /\n +1 / }, 'what can be read is listed');
});
