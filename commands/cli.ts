// All commands, in one command line.

import { Cli } from 'clipanion';
import { BackupCommand } from './backup.js';
import { CatCommand } from './cat.js';
import { ChangesCommand } from './changes.js';
import type { CommandContext } from './context.js';
import { DownloadCommand } from './download.js';
import { FilesCommand } from './files.js';
import { HelpCommand, VersionCommand } from './help.js';
import { HistoryCommand } from './history.js';
import { InitCommand } from './init.js';
import { KeyAddCommand } from './key-add.js';
import { KeyListCommand } from './key-list.js';
import { KeyRemoveCommand } from './key-remove.js';
import { MountCommand } from './mount.js';
import { RecoverCommand } from './recover.js';
import { UmountCommand } from './umount.js';
import { VersionsCommand } from './versions.js';

/** In the order in which `rrbackup --help` lists them. */
export const commands = [
  InitCommand,
  BackupCommand,
  VersionsCommand,
  FilesCommand,
  ChangesCommand,
  HistoryCommand,
  DownloadCommand,
  MountCommand,
  UmountCommand,
  CatCommand,
  KeyAddCommand,
  KeyListCommand,
  KeyRemoveCommand,
  RecoverCommand,
];

/** Every word that begins a command, aliases too. */
export const commandWords = [
  ...new Set(commands.flatMap(({ paths }) => paths.flatMap(([word]) => word ?? []))),
];

/** `colors`: for help on a terminal. */
export function createCli(options: { readonly colors: boolean }): Cli<CommandContext> {
  const cli = new Cli<CommandContext>({ binaryName: 'rrbackup', enableColors: options.colors });
  for (const command of [...commands, HelpCommand, VersionCommand]) cli.register(command);
  return cli;
}
