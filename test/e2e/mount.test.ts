// What people expect of the directory that `rrbackup mount` shows, with the real command, the real mount(8) and real tools.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import t, { type Test } from 'tap';
import { noMount } from '../mount/live.js';
import { umount } from '../umount.js';
import { command, newHome, type Home } from './cli.js';

const skip = noMount;
const nobody = 65534;

/** Why no ordinary user can mount here; false if one can. */
function whyNotUser(): string | false {
  if (noMount !== false) return noMount;
  if ((fs.statSync('/dev/fuse').mode & 0o006) !== 0o006) return 'needs a /dev/fuse that everybody may open';
  const readable = spawnSync('test', ['-r', command], { uid: nobody, gid: nobody });
  return readable.status === 0 ? false : 'needs a project that another user may read';
}

/** Two versions of two sources, and a mount point. */
async function newUser(t: Test): Promise<Home> {
  const home = newHome(t, { LC_ALL: 'C' });
  for (const directory of ['docs/letters', 'photos', 'mnt', 'bin']) {
    fs.mkdirSync(home.at(directory), { recursive: true });
  }
  home.configure(
    `[main]\nbase_path: ${home.at('docs')}\nhost: here\nencryption: none\n[source photos]\npath: ${home.at('photos')}\n[directory]\npath: ${home.at('repository')}\n`,
  );
  fs.writeFileSync(home.at('docs', 'letters', 'a.txt'), 'one\n', { mode: 0o600 });
  fs.writeFileSync(home.at('docs', 'letters', 'b.tar.gz'), 'b\n');
  fs.writeFileSync(home.at('photos', 'p.jpg'), 'p');
  await home.ok('backup');
  fs.writeFileSync(home.at('docs', 'letters', 'a.txt'), 'two\n');
  fs.rmSync(home.at('docs', 'letters', 'b.tar.gz'));
  await home.ok('backup');
  return home;
}

let made: Promise<Home> | undefined;
/** The one of all tests that change nothing but their mount point. */
const sharedUser = (): Promise<Home> => (made ??= newUser(t));

const names = (home: Home, ...at: string[]): string[] => fs.readdirSync(home.at('mnt', ...at)).sort();

/**
 * A shell script as root, where `rrbackup` is a program of this machine. mount(8) forgets PATH, so it has to stand in one of the
 * usual places; it does in a mount namespace of the script's own, and the mounts that the script makes are gone with it.
 */
function asInstalled(home: Home, script: string, ...args: string[]): Promise<string> {
  const program = `#!/bin/sh\nexec '${process.execPath}' '${command}' "$@"\n`;
  fs.writeFileSync(home.at('bin', 'rrbackup'), program, { mode: 0o755 });
  const inside = `mount --bind "$0" /usr/local/bin && ${script}`;
  return home.run('unshare', '-m', 'sh', '-c', inside, home.at('bin'), ...args);
}

void t.test('through mount(8), as by hand, in fstab and in a unit of systemd', { skip }, async (t) => {
  const home = await sharedUser();
  const at = home.at('mnt');
  const configuration = home.at('rrbackup.ini');
  await t.test('by hand', async (t) => {
    const options =
      'ro,noauto,user,_netdev,nofail,x-systemd.automount,allow_other,uid=1234,gid=4321,no_history';
    const script = `
      mount -t fuse.rrbackup "$1" "$2" -o "$3" && ls -A "$2" "$2/docs" &&
      stat -c '%u %g %a' "$2/docs/current/letters/a.txt" && findmnt -n -o SOURCE,FSTYPE,OPTIONS "$2" &&
      umount "$2" && ls -A "$2"`;
    const said = await asInstalled(
      home,
      script,
      configuration,
      at,
      `${options},source=docs,time_format=at %s`,
    );
    const [listed = '', rest = ''] = said.split('1234 4321 600\n');
    const shown = `${at}:\n.trackerignore\ndocs\nhosts\n\n${at}/docs:\nat 1\nat 2\ncurrent\n`;
    t.equal(
      listed.replaceAll(/^at 1\d+(-2)?$/gm, (name) =>
        name === listed.match(/^at .*$/m)?.[0] ? 'at 1' : 'at 2',
      ),
      shown,
    );
    const [source, type, flags = '', ...after] = rest.trim().split(/ +/);
    t.strictSame([source, type, after], [configuration, 'fuse.rrbackup', []]);
    for (const flag of ['ro', 'nosuid', 'nodev', 'noexec', 'allow_other'])
      t.ok(flags.split(',').includes(flag), flag);
  });
  await t.test('from a table', async (t) => {
    const table = home.at('fstab');
    fs.writeFileSync(
      table,
      `${configuration} ${at} fuse.rrbackup time_format=samba,x-systemd.after=a.service 0 0\n`,
    );
    const script = `
      mount -T "$1" -a && ls "$2/photos" && mount -T "$1" -a &&
      findmnt -n -o TARGET "$2" && umount "$2"`;
    const [name, ...others] = (await asInstalled(home, script, table, at)).trim().split('\n');
    t.match(name, /^@GMT-\d{4}(\.\d\d){2}-\d\d\.\d\d\.\d\d$/);
    t.strictSame(others, ['current', 'history', at], 'what is mounted is not mounted again');
  });
  await t.test('what is wrong is said, and is a failure', async (t) => {
    const mount = (file: string, options: string): Promise<string> =>
      asInstalled(home, 'mount -t fuse.rrbackup "$1" "$2" -o "$3"', file, at, options);
    await t.rejects(mount(configuration, 'hots=x'), /ended with 2\n.*there is no option '--hots=x'/s);
    await t.rejects(
      mount(configuration, 'host=elsewhere'),
      /ended with 14\n.*no version of the machine elsewhere/s,
    );
    await t.rejects(mount(home.at('none.ini'), 'ro'), /ended with 2\n.*none\.ini/s);
    const locked = home.at('locked.ini');
    const text = fs.readFileSync(configuration, 'utf8').replace('encryption: none\n', '');
    fs.writeFileSync(locked, text.replace(/path: .*repository/, `path: ${home.at('other')}`), {
      mode: 0o600,
    });
    await t.rejects(mount(locked, 'ro'), /ended with 2\n.*password/s);
  });
});

void t.test('by an ordinary user, whom a line of /etc/fstab allows it', { skip: whyNotUser() }, async (t) => {
  const home = await newUser(t);
  const table = home.at('fstab');
  fs.writeFileSync(
    table,
    `${home.at('rrbackup.ini')} ${home.at('mnt')} fuse.rrbackup noauto,user,time_format=%s 0 0\n`,
  );
  await home.run('chown', '-R', `${nobody}:${nobody}`, home.directory);
  const user = `setpriv --reuid=${nobody} --regid=${nobody} --clear-groups`;
  const script = `
    mount --bind "$1" /etc/fstab && ${user} mount "$2" && ${user} ls "$2/photos" &&
    ${user} umount "$2" && ${user} ls "$2"`;
  const [version, ...others] = (await asInstalled(home, script, table, home.at('mnt'))).split('\n');
  t.match(version, /^\d{10}$/);
  t.strictSame(others, ['current', 'history', '']);
});

void t.test('what is to be seen', { skip }, async (t) => {
  const home = await sharedUser();
  const at = home.at('mnt');
  const seen = async (...options: string[]): Promise<string[]> => {
    await home.ok('mount', at, ...options);
    const found = await home.run(
      'sh',
      '-c',
      'cd "$1" && find . -name "*[a-z]*" ! -path "./hosts/*" ! -path "*Z*/*" | sort',
      'sh',
      at,
    );
    await umount(at);
    return found.trim().split('\n');
  };
  const source = (name: string): string[] => [`./${name}`, `./${name}/current`];
  t.strictSame(await seen('--no-history'), [
    './.trackerignore',
    ...source('docs'),
    './hosts',
    ...source('photos'),
  ]);
  t.strictSame(await seen('--no-history', '--source', 'photos', '--host', 'here'), [
    './.trackerignore',
    './hosts',
    ...source('photos'),
  ]);
  for (const [directory, also] of [
    ['letters', []],
    [home.at('docs', 'letters'), []],
    [home.at('docs'), ['./docs/history/letters']],
  ] as const) {
    const history = ['./docs/history', ...also];
    const found = (await seen('--path', directory)).filter((name) => !/\d{4}|\.txt$|\.gz$/.test(name));
    t.strictSame(
      found.filter((name) => !name.includes('photos')),
      ['./.trackerignore', ...source('docs'), ...history, './hosts'],
      directory,
    );
    t.equal(
      found.some((name) => name.includes('photos')),
      also.length > 0,
      'a source without it is not shown',
    );
  }
});

void t.test('history, with ls, cp and diff', { skip }, async (t) => {
  const home = await sharedUser();
  await home.ok('mount', home.at('mnt'));
  const history = home.at('mnt', 'docs', 'history', 'letters');
  // Two versions of the same second are …Z and …Z-2.
  const versions = names(home, 'docs').filter((name) => /Z(-2)?$/.test(name));
  t.equal(versions.length, 2);
  const [first, second] = versions as [string, string];
  const listed = (...entries: string[]) => entries.sort().join('\n') + '\n';
  t.equal(await home.run('ls', history), 'a.txt\nb.tar.gz\n', 'what was deleted has its history, too');
  t.equal(await home.run('ls', `${history}/a.txt`), listed(`${first}.txt`, `${second}.txt`));
  t.equal(await home.run('ls', `${history}/b.tar.gz`), listed(`${first}.gz`, `${second}.deleted`));
  t.match(await home.run('ls', '-l', `${history}/b.tar.gz/${second}.deleted`), /^-r--r--r-- .* 0 /);
  const script =
    'diff "$1/$5.txt" "$1/$2.txt"; test $? -eq 1 && cmp "$1/$2.txt" "$3/letters/a.txt" && cp -a "$1/$2.txt" "$4"';
  const current = home.at('mnt', 'docs', 'current');
  const out = await home.run(
    'sh',
    '-c',
    script,
    'sh',
    `${history}/a.txt`,
    second,
    current,
    home.at('copy.txt'),
    first,
  );
  t.equal(out, '1c1\n< one\n---\n> two\n');
  t.equal(fs.readFileSync(home.at('copy.txt'), 'utf8'), 'two\n');
  t.equal(fs.statSync(home.at('copy.txt')).mode & 0o777, 0o600, 'as it was');
  t.equal(await home.run('cat', `${history}/b.tar.gz/${first}.gz`), 'b\n');
  await home.ok('umount', home.at('mnt'));
});

void t.test('df and du', { skip }, async (t) => {
  const home = newHome(t);
  fs.mkdirSync(home.at('docs'));
  fs.mkdirSync(home.at('mnt'));
  home.configure(
    `[main]\nbase_path: ${home.at('docs')}\nencryption: none\n[directory]\npath: ${home.at('repository')}\n`,
  );
  fs.writeFileSync(home.at('docs', 'full'), Buffer.alloc(1 << 20, 'x'));
  fs.linkSync(home.at('docs', 'full'), home.at('docs', 'linked'));
  fs.writeFileSync(home.at('docs', 'holes'), 'x');
  fs.truncateSync(home.at('docs', 'holes'), 1 << 30);
  await home.ok('backup');
  await home.ok('mount', home.at('mnt'));
  const du = async (root: string, ...options: string[]): Promise<number> =>
    Number((await home.run('du', '-s', '-k', ...options, root)).split('\t')[0]);
  const shown = home.at('mnt', 'docs', 'current/');
  t.equal(await du(shown, '--apparent-size'), 4 + 1024 + (1 << 20), 'hard links once');
  const used = await du(shown);
  t.ok(used >= 1024 && used < 1100, `holes take no room: ${used} KiB`);
  const [, line = ''] = (await home.run('df', '-k', home.at('mnt'))).split('\n');
  t.match(line, /^rrbackup +\d+ +\d+ +0 +100% /, 'nothing is free');
  await home.ok('umount', home.at('mnt'));
});
