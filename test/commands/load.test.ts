// The command line that is loaded for a command knows it as the whole one does.

import t from 'tap';
import { commandIndex, commandWords } from '../../commands/command-word.js';
import { commands, createCli } from '../../commands/cli.js';
import type { CommandContext } from '../../commands/context.js';
import { loadCli } from '../../commands/load.js';

const context = {} as CommandContext;
const colors = { colors: false };

t.test('the words are those of the commands', async (t) => {
  const words = commands.flatMap(({ paths }) => paths.flatMap(([word]) => word ?? []));
  t.strictSame([...new Set(words)].sort(), [...commandWords].sort());
});

t.test('every example parses to the same command', async (t) => {
  const all = createCli(colors);
  for (const command of commands)
    for (const [, example] of command.usage.examples!) {
      const words = example
        .split(' | ')[0]!
        .match(/"[^"]*"|'[^']*'|\S+/g)!
        .slice(1);
      const cli = await loadCli(words, colors);
      t.equal(cli.process(words, context).constructor, all.process(words, context).constructor, example);
    }
});

t.test(
  'a mount loads nothing but the mount, no word at all nothing but the backup; a word that is none loads everything',
  async (t) => {
    const known = async (...argv: string[]) => (await loadCli(argv, colors)).definitions().length;
    for (const argv of [['-c', 'backup', 'mount', '/m'], [], ['-c', 'mount'], ['-n']])
      t.equal(await known(...argv), 1, argv.join(' '));
    const all = createCli(colors).definitions().length;
    for (const argv of [['frobnicate'], ['constructor'], ['--help'], ['key'], ['-c', 'mount', '--version']])
      t.equal(await known(...argv), all, argv.join(' '));
  },
);

t.test('where the command stands', async (t) => {
  t.equal(commandIndex(['-c', 'mount', 'files'], commandWords), 2);
  t.equal(commandIndex(['--quiet', 'nonsense'], commandWords), 1);
  t.equal(commandIndex(['--quiet'], commandWords), -1);
});
