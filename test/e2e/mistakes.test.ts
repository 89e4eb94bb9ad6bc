// What people get wrong: each mistake has its sentence, a hint, an exit status of its own, and leaves nothing half done.

import fs from 'node:fs';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import t, { type Test } from 'tap';
import { isRoot } from '../trees.js';
import { umount } from '../umount.js';
import { type Home, command, newHome, outcome } from './cli.js';

const onlyRoot = isRoot ? false : 'mounting a small file system needs root';
/** A system call's own words, an object's dump or a stack: not for people. */
const notForPeople = /\bE[A-Z]{4,}:|\[object |^ +at .*:\d+/m;

/** A home with something to back up and an unencrypted repository's configuration. */
function newUser(t: Test, more = ''): Home {
  const home = newHome(t, {}, 'here');
  fs.mkdirSync(home.at('source', 'sub'), { recursive: true });
  fs.writeFileSync(home.at('source', 'a.txt'), 'hello');
  fs.writeFileSync(home.at('source', 'sub', 'b'), 'b'.repeat(5000));
  configure(home, `encryption: none\n${more}`);
  return home;
}

function configure(home: Home, main: string, store = '[directory]\npath: repository\n'): void {
  home.configure(`[main]\nbase_path: source\nhost: here\n${main}\n${store}`);
}

/** Runs a command that must end with `status`, nothing on stdout, one sentence that fits and one hint. */
async function refused(
  t: Test,
  home: Home,
  { args, status, says, hint = /./ }: { args: string[]; status: number; says: RegExp; hint?: RegExp },
): Promise<void> {
  const result = await home.rr(...args);
  const what = `rrbackup ${args.join(' ')}`;
  t.equal(result.status, status, `${what}: ${result.stderr}`);
  t.equal(result.stdout, '', `${what}: nothing on stdout`);
  t.match(result.stderr, says, what);
  t.match(/^ {2}hint: (.*)$/m.exec(result.stderr)?.[1], hint, `${what}: what to do now`);
  t.notMatch(result.stderr, notForPeople, what);
}

function files(directory: string): string[] {
  return fs.existsSync(directory) ? fs.readdirSync(directory, { recursive: true, encoding: 'utf8' }) : [];
}

void t.test('the password', async (t) => {
  const home = newUser(t);
  configure(home, 'password_file: password');
  fs.writeFileSync(home.at('password'), 'right\n', { mode: 0o600 });
  await home.ok();
  fs.writeFileSync(home.at('password'), 'wrong\n');
  const says = /wrong password/;
  await refused(t, home, { args: ['versions'], status: 12, says });
  await refused(t, home, { args: ['init', '--adopt'], status: 12, says });
  t.ok(
    files(home.at('state')).some((name) => name.endsWith('repository.json')),
    'what is remembered stays after a refused --adopt',
  );
  configure(home, '');
  await refused(t, home, { args: ['versions'], status: 2, says: /password .* no terminal/ });
  configure(home, 'encryption: none');
  await refused(t, home, { args: ['versions'], status: 2, says: /is encrypted, but/ });
  fs.chmodSync(home.at('password'), 0o644);
  configure(home, 'password_command: cat password; exit 3');
  await refused(t, home, {
    args: ['versions'],
    status: 2,
    says: /password command \(cat …\) ended with status 3/,
  });
});

void t.test('the configuration', async (t) => {
  const home = newUser(t);
  const wrong: [text: string, says: RegExp, hint: RegExp][] = [
    ['[mian]\n', /line 1: unknown section \[mian\]/, /\[main\]/],
    ['[main]\ncrypt_pasword: x\n', /line 2: unknown key 'crypt_pasword'/, /'crypt_password'/],
    ['[main]\nbucket: x\n', /unknown key 'bucket'/, /belongs in \[s3\]/],
    ['[main]\nbase_path: /x\n', /does not say where the repository is/, /\[directory\]/],
    ['[main]\ncommit_locked: perhaps\n[directory]\npath: r\n', /neither yes nor no/, /yes/],
    ['hello\n', /line 1/, /key = value/],
  ];
  for (const [text, says, hint] of wrong) {
    home.configure(text);
    await refused(t, home, { args: ['backup'], status: 2, says, hint });
  }
  configure(home, 'crypt_password: secret');
  fs.chmodSync(home.at('rrbackup.ini'), 0o644);
  const { status, stderr } = await home.rr('backup', '--dry-run');
  t.equal(status, 0);
  t.match(stderr, /warning: others can read .*: chmod 600/);
  t.strictSame(files(home.at('repository')), [], 'and nothing was made');
});

void t.test('commit_locked: all that writes refuses, what reads does not', async (t) => {
  const home = newUser(t);
  await home.ok();
  configure(home, 'encryption: none\ncommit_locked: True');
  const before = files(home.directory);
  for (const args of [
    ['backup'],
    ['init'],
    ['init', '--adopt'],
    ['key', 'add'],
    ['key', 'remove', 'x'],
    ['recover'],
  ])
    await refused(t, home, { args, status: 4, says: /commit_locked/ });
  t.strictSame(files(home.directory), before, 'nothing made, nothing forgotten');
  await home.ok('versions');
  await home.ok('backup', '--dry-run');
});

void t.test('a source that is missing, empty or no directory makes no version', async (t) => {
  const home = newUser(t);
  await home.ok();
  fs.renameSync(home.at('source'), home.at('away'));
  for (const args of [['backup'], ['backup', '--dry-run']])
    await refused(t, home, { args, status: 1, says: /source cannot be backed up/, hint: /disk mounted/ });
  fs.mkdirSync(home.at('source'));
  await refused(t, home, { args: [], status: 1, says: /is empty/, hint: /--allow-empty/ });
  fs.rmdirSync(home.at('source'));
  fs.writeFileSync(home.at('source'), '');
  await refused(t, home, { args: [], status: 1, says: /not a directory/ });
  t.equal(JSON.parse(await home.ok('versions', '--json')).length, 1);
});

void t.test('a repository that is gone is not begun anew unnoticed', async (t) => {
  const home = newUser(t);
  await refused(t, home, { args: ['versions'], status: 10, says: /there is no repository/, hint: /init/ });
  await home.ok();
  fs.renameSync(home.at('repository'), home.at('away'));
  const says = /remembers repository [0-9a-f]{32} .*not there any more/;
  for (const args of [['backup'], ['versions'], ['backup', '--dry-run'], ['init']])
    await refused(t, home, { args, status: 17, says, hint: /init --adopt/ });
  t.notOk(fs.existsSync(home.at('repository')));
  await home.ok('init', '--adopt');
  await home.ok();
});

void t.test('what is asked for is not there', async (t) => {
  const home = newUser(t);
  await home.ok();
  const cases: [args: string[], status: number, says: RegExp, hint?: RegExp][] = [
    [['files', '7'], 14, /there is no version 7/, /the only version is 1/],
    [['files', 'yesterday'], 2, /names no version/, /latest~1/],
    [['files', '1', 'nope'], 14, /there is no nope in version 1/, /history PATH/],
    [['files', '1', 'caf\ufffd'], 14, /there is no caf/, /\\xNN/],
    [['cat', '1', 'sub'], 2, /sub is a directory/, /download/],
    [['history', 'nope'], 14, /no version of source ever had nope/],
    [['changes', '1', '9'], 14, /there is no version 9/],
    [['download', '1', 'target', 'nope'], 14, /has nothing at nope/],
    [['download', '1', 'target', '*.nope'], 14, /has nothing at \*\.nope/],
    [['download', '1', 'source/a.txt'], 2, /cannot be written into/],
    [['download', '1', 'repository/x'], 2, /lies in the repository/],
    [['versions', '--host', 'other'], 14, /no version of the machine other/, /here/],
    [['versions', '--source', 'surce'], 14, /no version of the source 'surce'/, /'source'/],
    [['backup', '--source', 'surce'], 2, /there is no source 'surce'/, /'source'/],
    [['key', 'remove', 'nope'], 14, /no password slot nope/, /key list/],
  ];
  await Promise.all(
    cases.map(([args, status, says, hint]) =>
      refused(t, home, { args, status, says, ...(hint === undefined ? {} : { hint }) }),
    ),
  );
  t.notOk(fs.existsSync(home.at('target')), 'no empty target was made');
});

void t.test('a target that is not empty keeps what it has', async (t) => {
  const home = newUser(t);
  await home.ok();
  fs.mkdirSync(home.at('target'));
  fs.writeFileSync(home.at('target', 'a.txt'), 'mine');
  fs.writeFileSync(home.at('target', 'other'), 'mine too');
  const { status, stdout, stderr } = await home.rr('download', '1', 'target');
  t.equal(status, 3);
  t.match(stdout, /1 other file in the way KEPT \(see --overwrite\)/);
  t.match(stderr, /warning: a\.txt is kept as it is/);
  t.equal(fs.readFileSync(home.at('target', 'a.txt'), 'utf8'), 'mine');
  await home.ok('download', '1', 'target', '--overwrite');
  t.equal(fs.readFileSync(home.at('target', 'a.txt'), 'utf8'), 'hello');
  t.equal(fs.readFileSync(home.at('target', 'other'), 'utf8'), 'mine too');
});

void t.test('a mount point that cannot be one', async (t) => {
  const home = newUser(t);
  await home.ok();
  await refused(t, home, { args: ['mount', 'm'], status: 2, says: /does not exist/, hint: /mkdir/ });
  await refused(t, home, { args: ['mount', 'source'], status: 2, says: /is not empty/ });
  await refused(t, home, { args: ['mount', 'source/a.txt'], status: 2, says: /not a directory/ });
  fs.mkdirSync(home.at('m'));
  await refused(t, home, { args: ['mount', 'm', '--driver', 'x'], status: 2, says: /no mount driver 'x'/ });
  const { status, stderr } = await home.rr('umount', 'm');
  t.equal(status, 2);
  t.match(stderr, /no rrbackup mount is there/);
  const missing = await home.rr('umount', 'nowhere');
  t.equal(missing.status, 2);
  t.match(missing.stderr, /there is no such directory: .*nowhere/);
  t.notMatch(missing.stderr, /mkdir/);
});

void t.test('a bucket that cannot be had', async (t) => {
  const home = newUser(t);
  const server = http.createServer((_, response) => response.end('<html>hello</html>'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  const s3 = (endpoint: string): void =>
    configure(
      home,
      'encryption: none',
      `[s3]\nbucket: b\naccess_key: a\nsecret_key: s\nregion: us-east-1\nendpoint: ${endpoint}\n`,
    );
  s3(`http://127.0.0.1:${port}`);
  await refused(t, home, { args: [], status: 15, says: /is not an S3 server/, hint: /endpoint/ });
  s3('http://127.0.0.1:1');
  await refused(t, home, { args: [], status: 15, says: /nothing listens at/, hint: /network/ });
  s3('http://no.such.host.invalid');
  await refused(t, home, { args: [], status: 15, says: /cannot be resolved/, hint: /network/ });
  s3('127.0.0.1:1');
  await refused(t, home, { args: [], status: 2, says: /is no address/, hint: /https:/ });
});

void t.test('full disks', { skip: onlyRoot }, async (t) => {
  const home = newUser(t);
  const small = home.at('small');
  fs.mkdirSync(small);
  await home.run('mount', '-t', 'tmpfs', '-o', 'size=64k,mode=755', 'tmpfs', small);
  await home.ok();
  fs.mkdirSync(home.at('source', 'big'));
  for (let file = 0; file < 8; file++)
    fs.writeFileSync(home.at('source', 'big', `${file}`), Buffer.alloc(40_000, file + 1));
  await home.ok();

  const target = path.join(small, 'target');
  await refused(t, home, {
    args: ['download', '2', target],
    status: 1,
    says: /no space left/,
    hint: /goes on/,
  });
  fs.rmSync(target, { recursive: true });
  configure(home, `encryption: none\nlocal_manifest_file: ${small}/catalog.mdb`);
  await refused(t, home, {
    args: ['versions'],
    status: 1,
    says: /no space is left .* catalog/,
    hint: /local_manifest_file/,
  });
  configure(home, 'encryption: none');
  t.equal(JSON.parse(await home.ok('versions', '--json')).length, 2, 'elsewhere it works');

  await umount(small);
  await home.run('mount', '-t', 'tmpfs', '-o', 'size=64k,mode=755', 'tmpfs', small);
  for (let file = 0; file < 8; file++)
    fs.writeFileSync(home.at('source', 'big', `${file}`), await random(40_000));
  configure(home, 'encryption: none', `[directory]\npath: ${small}/repository\n`);
  const { status, stderr } = await home.rr();
  t.equal(status, 15);
  t.match(stderr, /is full .*\n {2}hint: make room/);
  await home.run('mount', '-o', 'remount,size=8m', small);
  await home.ok();
  t.equal(JSON.parse(await home.ok('versions', '--json')).length, 1);
  await umount(small);
});

async function random(bytes: number): Promise<Buffer> {
  const handle = await fs.promises.open('/dev/urandom');
  const { buffer } = await handle.read(Buffer.alloc(bytes), 0, bytes, null);
  await handle.close();
  return buffer;
}

void t.test('a timer that says -q hears nothing of success', async (t) => {
  const home = newUser(t);
  await home.ok('init');
  for (const args of [
    ['-q'],
    ['-q', 'backup'],
    ['-q', 'backup', '--dry-run'],
    ['-q', 'download', '1', 'target'],
  ])
    t.strictSame(await outcome(home.start(...args)), { status: 0, stdout: '', stderr: '' }, args.join(' '));
});

void t.test('Ctrl-C: interrupted, said once, nothing half done', async (t) => {
  const home = newUser(t);
  configure(home, 'password_command: echo asked >&2; exec sleep 60');
  const child = home.start();
  child.stderr!.once('data', () => child.kill('SIGINT'));
  const { status, stdout } = await outcome(child);
  t.equal(status, 130);
  t.equal(stdout, '');
  t.strictSame(files(home.at('repository')), []);
});

void t.test('whoever has seen enough closes the pipe', async (t) => {
  const home = newUser(t);
  for (let file = 0; file < 3000; file++)
    fs.writeFileSync(home.at('source', `a long name of a file ${file}`), '');
  await home.ok();
  const pipe = 'set -o pipefail; "$@" 2>errors | head -n 1 >/dev/null';
  await home.run(
    'bash',
    '-c',
    pipe,
    '_',
    process.execPath,
    command,
    '-c',
    home.at('rrbackup.ini'),
    'files',
    '1',
  );
  t.equal(fs.readFileSync(home.at('errors'), 'utf8'), '');
});
