import tap from 'tap';
import { join } from 'node:path';
import { passwordSource } from '../../lib/config/password.js';

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

tap.test('without any of them the error lists the ways', async (t) => {
  const error = await passwordSource(undefined, around(t))().catch((reason: { guidance: string }) => reason);
  for (const way of ['crypt_password', 'password_file', 'password_command', '$RRBACKUP_PASSWORD'])
    t.ok((error as { guidance: string }).guidance.includes(way), way);
  await t.rejects(passwordSource(undefined, around(t), async () => '')(), {
    message: 'an empty password was given',
  });
});
