// What mount(8) asks for, as a command line of ours.

import t from 'tap';
import { fromMountHelper } from '../../commands/mount-helper.js';

const words = ['backup', 'mount', 'files'];
const helper = (...argv: string[]): string[] => fromMountHelper(argv, words);
const file = '/etc/rrbackup/configuration.ini';

void t.test('as mount.fuse3 calls it, and as mount(8) itself', async (test) => {
  const options = 'rw,noexec,nosuid,nodev,allow_other,uid=5,time_format=%d. %H=%M,no_history';
  const ours = ['--noexec', '--allow-other', '--uid=5', '--time-format=%d. %H=%M', '--no-history'];
  const always = ['mount', '/mnt/a b', '--config', file];
  test.strictSame(helper(file, '/mnt/a b', '-o', options), [...always, '--quiet', '--fsname', file, ...ours]);
  test.strictSame(helper(file, '/mnt/a b', '-n', '-v', '-o', options, '-t', 'fuse.rrbackup'), [
    ...always,
    '--verbose',
    '--fsname',
    file,
    ...ours,
  ]);
});

void t.test('what is not for us is not passed on', async (test) => {
  const options =
    'defaults,ro,rw,suid,dev,noauto,user,users,owner,nofail,_netdev,x-systemd.automount,x-systemd.idle-timeout=5min,X-mount.mkdir,comment=x,user=me,relatime,,subtype=rrbackup';
  test.strictSame(helper(file, '/m', '-o', options), [
    'mount',
    '/m',
    '--config',
    file,
    '--quiet',
    '--fsname',
    file,
  ]);
});

void t.test('a line that names no configuration', async (test) => {
  for (const source of ['rrbackup', 'none'])
    test.strictSame(helper(source, '/m', '-o', 'rw'), ['mount', '/m', '--quiet', '--fsname', source]);
});

void t.test('what is wrong comes to the command, which refuses it', async (test) => {
  test.strictSame(helper(file, '/m', '-o', 'rw,hots=x', '-f').slice(-2), [file, '--hots=x']);
  test.ok(helper(file, '/m', '-o', 'rw', '-f').includes('-f'));
});

void t.test('our own command lines stay as they are', async (test) => {
  for (const argv of [
    [],
    ['--help'],
    ['mount', '/m'],
    ['mount', '/m', '-o', 'rw'],
    ['-c', file, 'mount', '/m'],
    ['files', 'latest'],
    ['no-command', '/m'],
  ])
    test.strictSame(helper(...argv), argv);
});
