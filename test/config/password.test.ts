import tap from 'tap';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { passwordSource } from '../../lib/config/password.js';
import { makeNode } from '../../lib/posix/nodes.js';

const around = (t: Pick<typeof tap, 'testdir'>, environment: Record<string, string> = {}, tree = {}) => {
  const cwd = t.testdir(tree);
  return { environment: { PATH: process.env['PATH'], ...environment }, cwd, home: cwd };
};

tap.test('the file comes before the environment, the environment before the question', async (t) => {
  const world = around(t, { RRBACKUP_PASSWORD: 'from the environment' });
  const ask = async (): Promise<string> => 'asked';
  t.equal(await passwordSource({ kind: 'text', password: 'from the file' }, world, ask)(), 'from the file');
  t.equal(await passwordSource(undefined, world, ask)(), 'from the environment');
  t.equal(await passwordSource(undefined, around(t), ask)(), 'asked');
});

tap.test('nobody is asked twice, and the question knows its purpose', async (t) => {
  const purposes: string[] = [];
  const source = passwordSource(undefined, around(t), async (purpose) => {
    purposes.push(purpose);
    return 'x';
  });
  t.strictSame([await source('create'), await source()], ['x', 'x']);
  t.strictSame(purposes, ['create']);
});

tap.test('a password file: its first line, blanks included', async (t) => {
  const world = around(t, {}, { password: ' two words \r\nsecond line\n', empty: '\n' });
  t.equal(await passwordSource({ kind: 'file', path: join(world.cwd, 'password') }, world)(), ' two words ');
  await t.rejects(passwordSource({ kind: 'file', path: join(world.cwd, 'empty') }, world)(), {
    code: 'config.no_password',
    message: `the password file ${world.cwd}/empty is empty`,
  });
  await t.rejects(passwordSource({ kind: 'file', path: join(world.cwd, 'none') }, world)(), {
    message: `the password file ${world.cwd}/none cannot be read: no such file or directory`,
  });
});

tap.test('a password command: the first line that it prints', async (t) => {
  const world = around(t, { WORD: 'secret' });
  t.equal(await passwordSource({ kind: 'command', command: 'echo "$WORD"; echo more' }, world)(), 'secret');
  await t.rejects(passwordSource({ kind: 'command', command: 'echo x; exit 3' }, world)(), {
    code: 'config.no_password',
    message: 'the password command (echo …) ended with status 3',
  });
  await t.rejects(passwordSource({ kind: 'command', command: 'kill -TERM $$' }, world)(), {
    message: /ended with SIGTERM/,
  });
  await t.rejects(passwordSource({ kind: 'command', command: 'true' }, world)(), {
    message: 'the password command (true …) printed nothing',
  });
});

tap.test('of a command that fails its program is told, and no token', async (t) => {
  const world = around(t);
  for (const [command, told] of [
    ['printf "" --token hunter2', ' (printf …)'],
    ['HUNTER=hunter2 true', ''],
    ["X='hunter2 hunter2' true", ''],
    ['"hunter2"true 2>/dev/null; true', ''],
  ] as const) {
    const error = await passwordSource({ kind: 'command', command }, world)().catch(
      (reason: Error) => reason,
    );
    t.equal((error as Error).message, `the password command${told} printed nothing`);
    const { guidance, cause, stack } = error as Error & { guidance: string };
    t.notMatch(`${guidance} ${stack} ${String(cause)}`, /hunter/i);
  }
});

tap.test('a command that prints without end is ended', async (t) => {
  await t.rejects(passwordSource({ kind: 'command', command: 'yes 2>/dev/null' }, around(t))(), {
    code: 'config.no_password',
    message: 'the output of the password command (yes …) cannot be used: it is larger than 64 KiB',
  });
});

tap.test('what is interrupted ends with all that it has started, whatever that listens to', async (t) => {
  const world = around(t);
  const fifo = join(world.cwd, 'fifo');
  makeNode(Buffer.from(fifo), 'fifo');
  const stop = new AbortController();
  const command = `trap '' TERM INT; (trap '' TERM; sh -c 'echo $PPID' >${fifo}; while :; do sleep 100; done); true`;
  const password = passwordSource({ kind: 'command', command }, world, undefined, stop.signal)();
  const pid = Number((await readFile(fifo, 'utf8')).trim());
  const isThere = (): boolean => existsSync(`/proc/${pid}`);
  t.teardown(() => void (isThere() && process.kill(pid, 'SIGKILL')));
  stop.abort();
  await t.rejects(password, { code: 'interrupted' });
  while (isThere()) await setImmediate();
  await t.rejects(passwordSource({ kind: 'command', command }, world, undefined, stop.signal)(), {
    code: 'interrupted',
  });
});

tap.test('a password file that is a pipe without an end, or a device', async (t) => {
  const world = around(t);
  const path = join(world.cwd, 'fifo');
  makeNode(Buffer.from(path), 'fifo');
  const stop = new AbortController();
  const waiting = passwordSource({ kind: 'file', path }, world, undefined, stop.signal)();
  stop.abort();
  await t.rejects(waiting, { code: 'interrupted' });
  await t.rejects(passwordSource({ kind: 'file', path: '/dev/zero' }, world)(), {
    code: 'config.no_password',
    message: 'the password file /dev/zero cannot be read: it is neither a file nor a pipe',
  });
});

tap.test('without any of them the error lists the ways', async (t) => {
  const error = await passwordSource(undefined, around(t))().catch((reason: { guidance: string }) => reason);
  for (const way of ['crypt_password', 'password_file', 'password_command', '$RRBACKUP_PASSWORD'])
    t.ok((error as { guidance: string }).guidance.includes(way), way);
  await t.rejects(passwordSource(undefined, around(t), async () => '')(), {
    message: 'an empty password was given',
  });
});
