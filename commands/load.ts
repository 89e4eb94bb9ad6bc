// Loads the command that a command line names and no other: all of them together take longer to load than most of them to
// run.

import { Cli, type CommandClass } from 'clipanion';
import { commandIndex, commandWords } from './command-word.js';
import type { CommandContext } from './context.js';
import { HelpCommand, VersionCommand } from './help.js';

type Commands = readonly CommandClass<CommandContext>[];

/** Commands that are one class each; every other word, and none, has all of them loaded. */
const loaders = new Map<string, () => Promise<CommandClass<CommandContext>>>([
  ['backup', async () => (await import('./backup.js')).BackupCommand],
  ['mount', async () => (await import('./mount.js')).MountCommand],
  ['umount', async () => (await import('./umount.js')).UmountCommand],
  ['cat', async () => (await import('./cat.js')).CatCommand],
  ['files', async () => (await import('./files.js')).FilesCommand],
  ['versions', async () => (await import('./versions.js')).VersionsCommand],
  ['changes', async () => (await import('./changes.js')).ChangesCommand],
  ['history', async () => (await import('./history.js')).HistoryCommand],
  ['check', async () => (await import('./check.js')).CheckCommand],
  ['download', async () => (await import('./download.js')).DownloadCommand],
]);

/** `colors`: for help on a terminal. */
export function newCli(commands: Commands, options: { readonly colors: boolean }): Cli<CommandContext> {
  const cli = new Cli<CommandContext>({ binaryName: 'rrbackup', enableColors: options.colors });
  for (const command of [...commands, HelpCommand, VersionCommand]) cli.register(command);
  return cli;
}

/** A command line that knows at least the command that `argv` names. */
export async function loadCli(
  argv: readonly string[],
  options: { readonly colors: boolean },
): Promise<Cli<CommandContext>> {
  const word = argv[commandIndex(argv, commandWords)];
  // No command is a backup, unless somebody looks for what there is.
  const asksForHelp = ['--help', '-h', '--version'].some((option) => argv.includes(option));
  const load = loaders.get(word ?? (asksForHelp ? '' : 'backup'));
  return newCli(load === undefined ? (await import('./cli.js')).commands : [await load()], options);
}
