import t from 'tap';
import { PassThrough } from 'node:stream';
import type { CommandContext } from '../../commands/context.js';
import { askNewPassword, passwordPrompt } from '../../commands/prompt.js';
import { written } from './written.js';

function terminal() {
  const modes: boolean[] = [];
  const stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    setRawMode: (mode: boolean) => modes.push(mode),
  });
  const stderr = Object.assign(new PassThrough(), { isTTY: true });
  const stop = new AbortController();
  const context = { stdin, stderr, signal: stop.signal } as unknown as CommandContext;
  return { context, stdin, modes, stop, shown: () => written(stderr) };
}

t.test('what is typed is taken and not shown', async (t) => {
  const { context, stdin, modes, shown } = terminal();
  const answer = passwordPrompt(context)!('open');
  stdin.write('wrong\x15s\x7fpä');
  stdin.write('\x1b[A');
  stdin.write('ss\r');
  t.equal(await answer, 'päss');
  t.equal(shown(), 'Password of the repository: \n');
  t.strictSame(modes, [true, false], 'the terminal is as before');
});

t.test('a new one twice', async (t) => {
  const { context, stdin, shown } = terminal();
  const asked = askNewPassword(context, 'A password');
  stdin.write('one\n');
  await new Promise((resolve) => setImmediate(resolve));
  stdin.write('two\n');
  await t.rejects(asked, { code: 'password.mistyped' });
  t.equal(shown(), 'A password: \nOnce more: \n');
});

t.test('Ctrl-C and a signal end it', async (t) => {
  const first = terminal();
  const asked = passwordPrompt(first.context)!('open');
  first.stdin.write('abc\x03');
  await t.rejects(asked, { code: 'interrupted' });
  const second = terminal();
  const waiting = passwordPrompt(second.context)!('open');
  second.stop.abort();
  await t.rejects(waiting, { code: 'interrupted' });
  t.strictSame(second.modes, [true, false]);
});

t.test('no terminal, no question', async (t) => {
  const context = { stdin: new PassThrough(), stderr: new PassThrough() } as unknown as CommandContext;
  t.equal(passwordPrompt(context), undefined);
});
