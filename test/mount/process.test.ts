// The server as a process: killed, exiting, failing, told to end, run by root and by an ordinary user. Nothing may hang and
// nothing may stay behind that the next mount does not clear.

import { execFileSync, type ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import t, { type Test } from 'tap';
import { mountAt } from '../../lib/posix/mount.js';
import { unmountAt } from '../../lib/mount/index.js';
import { noMount, run, start } from './live.js';

const nobody = 65534;
const server = path.join(import.meta.dirname, 'server.js');

interface Place {
  readonly scratch: string;
  readonly at: string;
  readonly user: number | undefined;
}

function place(test: Test, user?: number): Place {
  const base = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'rrbackup-test-'));
  const scratch = path.join(base, 'repository');
  const at = path.join(base, 'mount é with spaces');
  for (const directory of [scratch, at]) fs.mkdirSync(directory);
  for (const directory of [base, scratch, at]) if (user !== undefined) fs.chownSync(directory, user, user);
  test.teardown(() => {
    if (mountAt(at) !== undefined) execFileSync('umount', ['-fl', at]);
    fs.rmSync(base, { recursive: true, force: true });
  });
  return { scratch, at, user };
}

interface Server {
  readonly process: ChildProcess;
  readonly firstLine: Promise<string>;
  readonly ended: Promise<number | string | null>;
}

function serve({ scratch, at, user }: Place, how = 'wait', environment: Record<string, string> = {}): Server {
  const child = start(
    'env',
    [
      // Without the test runner's hooks, which write into the project where another user may not.
      '-u',
      'NODE_OPTIONS',
      ...Object.entries(environment).map((pair) => pair.join('=')),
      process.execPath,
      server,
      scratch,
      at,
      how,
    ],
    user === undefined ? {} : { user },
  );
  let output = '';
  const firstLine = new Promise<string>((resolve) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      output += text;
      if (output.includes('\n')) resolve(output.split('\n')[0]!);
    });
    child.on('close', () => {
      resolve(output);
    });
  });
  child.stderr?.resume();
  const ended = new Promise<number | string | null>((resolve) => {
    child.on('exit', (status, signal) => {
      resolve(signal ?? status);
    });
  });
  return { process: child, firstLine, ended };
}

const whyNotUser = noMount || whyNoUser();

function whyNoUser(): string | false {
  if ((fs.statSync('/dev/fuse').mode & 0o006) !== 0o006) return 'needs a /dev/fuse that everybody may open';
  if (!fs.existsSync('/usr/bin/fusermount3')) return 'needs fusermount3';
  const home = import.meta.dirname;
  try {
    execFileSync('test', ['-r', path.join(home, 'server.js')], { uid: nobody, gid: nobody, stdio: 'ignore' });
    return false;
  } catch {
    return 'needs a project that another user may read';
  }
}

for (const [user, driver] of [
  [undefined, 'kernel'],
  [nobody, 'kernel'],
  [undefined, 'fuse-native'],
  [nobody, 'fuse-native'],
] as const) {
  const who = `${driver} by ${user === undefined ? 'root' : 'an ordinary user'}`;
  const environment = { TEST_DRIVER: driver };
  const skip = user === undefined ? noMount : whyNotUser;
  const as = user === undefined ? {} : { user };

  void t.test(`${who}: SIGTERM ends it`, { skip }, async (test) => {
    const where = place(test, user);
    const { process: child, firstLine, ended } = serve(where, 'wait', environment);
    test.equal(await firstLine, 'mounted');
    test.equal((await run('cat', [path.join(where.at, 'docs/current/a')], as)).output, 'one');
    child.kill('SIGTERM');
    test.equal(await ended, 0);
    test.equal(mountAt(where.at), undefined);
  });

  void t.test(`${who}: SIGTERM ends it while it is in use`, { skip }, async (test) => {
    const where = place(test, user);
    const { process: child, firstLine, ended } = serve(where, 'wait', environment);
    test.equal(await firstLine, 'mounted');
    const sitting = start(
      'sh',
      ['-c', 'cd "$1" && echo in && exec sleep 30', 'sh', path.join(where.at, 'docs')],
      as,
    );
    await new Promise((resolve) => sitting.stdout?.once('data', resolve));
    child.kill('SIGTERM');
    test.equal(await ended, 0);
    test.equal(mountAt(where.at), undefined);
    sitting.kill('SIGKILL');
  });

  if (driver === 'kernel') {
    void t.test(
      `${who}: SIGTERM ends one that was detached from outside and is still in use`,
      { skip },
      async (test) => {
        const where = place(test, user);
        const { process: child, firstLine, ended } = serve(where, 'wait', environment);
        test.equal(await firstLine, 'mounted');
        const sitting = start(
          'sh',
          ['-c', 'cd "$1" && echo in && exec sleep 30', 'sh', path.join(where.at, 'docs')],
          as,
        );
        await new Promise((resolve) => sitting.stdout?.once('data', resolve));
        test.equal((await run('umount', ['-l', where.at])).status, 0);
        child.kill('SIGTERM');
        test.equal(await ended, 0);
        sitting.kill('SIGKILL');
      },
    );
  }

  void t.test(`${who}: a killed one is cleared by the next mount, and by umount`, { skip }, async (test) => {
    const where = place(test, user);
    for (let count = 0; count < 2; count++) {
      const { process: child, firstLine, ended } = serve(where, 'wait', environment);
      test.equal(await firstLine, 'mounted');
      child.kill('SIGKILL');
      await ended;
      // The descriptor is closed when the last of its threads is gone.
      const dead = await run(
        'sh',
        ['-c', 'until stat "$1" 2>&1 | grep -q "not connected"; do sleep 0.05; done', 'sh', where.at],
        as,
      );
      test.equal(dead.status, 0);
      test.not(mountAt(where.at), undefined, 'it is there, and dead');
    }
    await unmountAt(where.at);
    test.equal(mountAt(where.at), undefined);
  });

  // A process that ends takes the thread of fuse-native with it, and leaves a dead mount, as one that was killed.
  if (driver === 'fuse-native') continue;
  for (const [how, status] of [
    ['exit', 7],
    ['throw', 1],
  ] as const) {
    void t.test(`${who}: a process that ends by ${how} takes its mount with it`, { skip }, async (test) => {
      const where = place(test, user);
      const { firstLine, ended } = serve(where, how);
      test.equal(await firstLine, 'mounted');
      const sitting = start('sh', ['-c', 'cd "$1" && exec sleep 30', 'sh', path.join(where.at, 'docs')], as);
      test.equal(await ended, status);
      // An ordinary user's helper may still be at it when the process has ended.
      while (mountAt(where.at) !== undefined) await new Promise((resolve) => setTimeout(resolve, 20));
      test.equal(mountAt(where.at), undefined);
      sitting.kill('SIGKILL');
    });
  }
}

void t.test('a second mount at the same place is refused', { skip: noMount }, async (test) => {
  const where = place(test);
  const first = serve(where);
  test.equal(await first.firstLine, 'mounted');
  const second = serve({ ...where, scratch: fs.mkdtempSync(path.join(path.dirname(where.at), 'second-')) });
  test.equal(await second.firstLine, 'mount.already_mounted');
  first.process.kill('SIGTERM');
  test.equal(await first.ended, 0);
});

void t.test('others look in only when they may', { skip: whyNotUser }, async (test) => {
  const closed = place(test);
  const one = serve(closed);
  test.equal(await one.firstLine, 'mounted');
  fs.chmodSync(path.dirname(closed.at), 0o755);
  const look = await run('ls', [closed.at], { user: nobody });
  test.match(look.errors, /Permission denied/);
  one.process.kill('SIGTERM');
  await one.ended;
  const open = place(test);
  fs.chmodSync(path.dirname(open.at), 0o755);
  const two = serve(open, 'wait', { TEST_ALLOW_OTHER: '1' });
  test.equal(await two.firstLine, 'mounted');
  test.equal((await run('cat', [path.join(open.at, 'docs/current/a')], { user: nobody })).output, 'one');
  const secret = await run('cat', [path.join(open.at, 'docs/current/own')], { user: nobody });
  test.match(secret.errors, /Permission denied/, 'modes count');
  two.process.kill('SIGTERM');
  await two.ended;
});
