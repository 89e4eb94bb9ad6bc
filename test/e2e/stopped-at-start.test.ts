// The first SIGINT or SIGTERM ends the real command while it waits for what it begins with: a configuration, a password, a list,
// credentials. Each test sends it once the command has been seen to wait.

import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { makeNode } from '../../lib/posix/nodes.js';
import { command, type Home, newHome, outcome } from './cli.js';

const interrupted = 130;

/** Nothing of whoever runs the tests. */
const noAws = Object.fromEntries(
  Object.keys(process.env).flatMap((name) => (name.startsWith('AWS_') ? [[name, undefined]] : [])),
) as NodeJS.ProcessEnv;

function world(t: Test, overrides: NodeJS.ProcessEnv = {}): Home {
  const home = newHome(t, overrides);
  fs.mkdirSync(home.at('source'));
  fs.writeFileSync(home.at('source/file'), 'text');
  makeNode(Buffer.from(home.at('fifo')), 'fifo');
  return home;
}

const configuration = (home: Home, ...lines: string[]): string =>
  [
    '[main]',
    `base_path: ${home.at('source')}`,
    ...lines,
    '[directory]',
    `path: ${home.at('repository')}`,
    '',
  ].join('\n');

const start = (home: Home, ...args: string[]): ChildProcess =>
  spawn(process.execPath, [command, ...args], {
    cwd: home.directory,
    env: home.environment,
    stdio: ['pipe', 'pipe', 'pipe'],
  });

/** Until the process has the fifo open: nobody writes to it. */
async function untilItReads({ pid }: ChildProcess, fifo: string): Promise<void> {
  const isOpen = (): boolean =>
    fs.readdirSync(`/proc/${pid}/fd`).some((descriptor) => {
      try {
        return fs.readlinkSync(`/proc/${pid}/fd/${descriptor}`) === fifo;
      } catch {
        return false;
      }
    });
  while (!isOpen()) await pause(5);
}

async function endsBy(t: Test, signal: NodeJS.Signals, child: ChildProcess): Promise<void> {
  const ended = outcome(child);
  child.kill(signal);
  const { status, stderr } = await ended;
  t.equal(status, interrupted, stderr);
  t.match(stderr, /^(rrbackup: warning: .*\n)*rrbackup: interrupted\n$/);
}

const skip = process.platform !== 'linux' && 'looks into /proc';

for (const [what, args, lines] of [
  ['a configuration', ['-c', 'fifo', 'backup'], []],
  ['a password file', ['-c', 'rrbackup.ini', 'backup'], ['password_file: fifo']],
  ['a password file, for a mount', ['-c', 'rrbackup.ini', 'mount', '.'], ['password_file: fifo']],
  ['a list of paths', ['-c', 'rrbackup.ini', 'download', '1', 'target', '--files-from', 'fifo'], []],
  ['an exported key', ['-c', 'rrbackup.ini', 'recover', '--key-file', 'fifo'], []],
] as const)
  void t.test(`${what} that is a fifo without a writer`, { skip }, async (t) => {
    const home = world(t);
    home.configure(configuration(home, ...lines));
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const child = start(home, ...args);
      await untilItReads(child, home.at('fifo'));
      await endsBy(t, signal, child);
    }
  });

void t.test('a new password that is a fifo whose writer says nothing', async (t) => {
  const home = world(t);
  home.configure(configuration(home, 'crypt_password: password'));
  await home.ok('backup');
  const child = start(home, '-c', 'rrbackup.ini', 'key', 'add', '--new-password-file', 'fifo');
  const writer = await open(home.at('fifo'), 'w');
  await endsBy(t, 'SIGTERM', child);
  await writer.close();
});

void t.test('a list on standard input that does not end', async (t) => {
  const home = world(t);
  home.configure(configuration(home));
  const child = start(home, '-c', 'rrbackup.ini', 'download', '1', 'target', '--files-from', '-');
  // More than a pipe holds: it has been read from.
  child.stdin!.write(Buffer.alloc(8 * 2 ** 20, 'x'));
  await once(child.stdin!, 'drain');
  await endsBy(t, 'SIGTERM', child);
});

void t.test('a password command that does not listen', { skip }, async (t) => {
  const home = world(t);
  home.configure(
    configuration(home, `password_command: trap '' TERM INT; echo $$ >${home.at('fifo')}; sleep 600; true`),
  );
  const child = start(home, '-c', 'rrbackup.ini', 'backup');
  const pid = (await readFile(home.at('fifo'), 'utf8')).trim();
  await endsBy(t, 'SIGINT', child);
  t.notOk(fs.existsSync(`/proc/${pid}`), 'and it is gone');
});

void t.test('what the AWS SDK looks for: a program that hangs, a file that is a fifo', async (t) => {
  const home = world(t, noAws);
  home.configure(
    `[main]\nbase_path: ${home.at('source')}\ncrypt_password: x\n[s3]\nbucket: b\nregion: r\nendpoint: http://127.0.0.1:9\n`,
  );
  fs.mkdirSync(home.at('.aws'));
  fs.writeFileSync(home.at('hang'), `#!/bin/sh\necho $$ >${home.at('fifo')}\nexec sleep 600\n`, {
    mode: 0o755,
  });
  fs.writeFileSync(home.at('.aws/config'), `[default]\ncredential_process = exec ${home.at('hang')}\n`);
  const first = start(home, '-c', 'rrbackup.ini', 'versions');
  const pid = Number((await readFile(home.at('fifo'), 'utf8')).trim());
  await endsBy(t, 'SIGTERM', first);
  // The SDK lets it run on; it has the home in its environment, which the teardown waits for.
  process.kill(pid);

  fs.unlinkSync(home.at('.aws/config'));
  makeNode(Buffer.from(home.at('.aws/config')), 'fifo');
  const second = start(home, '-c', 'rrbackup.ini', 'versions');
  await pauseUntilAThreadWaits(second);
  await endsBy(t, 'SIGTERM', second);
});

/** Until a thread of the process hangs in the opening of a fifo. */
async function pauseUntilAThreadWaits({ pid }: ChildProcess): Promise<void> {
  const waits = (): boolean =>
    fs.readdirSync(`/proc/${pid}/task`).some((task) => {
      try {
        return fs.readFileSync(`/proc/${pid}/task/${task}/wchan`, 'utf8').includes('wait_for_partner');
      } catch {
        return false;
      }
    });
  while (!waits()) await pause(5);
}
