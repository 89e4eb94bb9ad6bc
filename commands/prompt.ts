// Asks for a password on the terminal, without showing it. Only where both sides are a terminal; never from a pipe.

import { StringDecoder } from 'node:string_decoder';
import type { ReadStream } from 'node:tty';
import { RrbackupError, interrupted } from '../lib/errors/index.js';
import { type CommandContext, isTerminal } from './context.js';

const control = { interrupt: '\x03', endOfInput: '\x04', eraseLine: '\x15', escape: '\x1b' } as const;
const maximum_characters = 4096;

/** One line, typed unseen. Rejects with 'interrupted' on Ctrl-C, Ctrl-D, or the run's signal. */
function readUnseen(context: CommandContext, question: string): Promise<string> {
  const stdin = context.stdin as ReadStream;
  const decoder = new StringDecoder('utf8');
  return new Promise((resolve, reject) => {
    if (context.signal.aborted) return reject(interrupted());
    let typed: string[] = [];
    const finish = (settle: () => void): void => {
      stdin.off('data', onData);
      context.signal.removeEventListener('abort', onAbort);
      stdin.setRawMode(false);
      stdin.pause();
      context.stderr.write('\n');
      settle();
    };
    const onAbort = (): void => finish(() => reject(interrupted()));
    const onData = (bytes: Buffer): void => {
      const text = decoder.write(bytes);
      // An arrow or function key, all in one piece: nothing of a password.
      if (text.startsWith(control.escape)) return;
      for (const character of text) {
        if (character === '\r' || character === '\n') return finish(() => resolve(typed.join('')));
        if (character === control.interrupt || character === control.endOfInput) return onAbort();
        if (character === control.eraseLine) typed = [];
        else if (character === '\x7f' || character === '\b') typed.pop();
        else if (character >= ' ' && typed.length < maximum_characters) typed.push(character);
      }
    };
    context.stderr.write(question);
    stdin.setRawMode(true);
    stdin.on('data', onData);
    stdin.resume();
    context.signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** A password that is new is asked for twice, since nobody sees what was typed. */
export async function askNewPassword(context: CommandContext, question: string): Promise<string> {
  const password = await readUnseen(context, `${question}: `);
  if (password !== '' && password !== (await readUnseen(context, 'Once more: ')))
    throw new RrbackupError({
      code: 'password.mistyped',
      kind: 'usage',
      message: 'the two passwords differ',
      guidance: 'run the command again',
    });
  return password;
}

/** How to ask for the repository's password; undefined where there is nobody to ask. */
export function passwordPrompt(
  context: CommandContext,
): ((purpose: 'open' | 'create') => Promise<string>) | undefined {
  if (!isTerminal(context.stdin) || !isTerminal(context.stderr)) return undefined;
  return (purpose) =>
    purpose === 'open'
      ? readUnseen(context, 'Password of the repository: ')
      : askNewPassword(context, 'A password for the repository');
}
