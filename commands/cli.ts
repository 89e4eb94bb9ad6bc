// All commands, in one command line.

import type { Cli } from 'clipanion';
import { BackupCommand } from './backup.js';
import { CatCommand } from './cat.js';
import { ChangesCommand } from './changes.js';
import { CheckCommand } from './check.js';
import type { CommandContext } from './context.js';
import { DownloadCommand } from './download.js';
import { FilesCommand } from './files.js';
import { HistoryCommand } from './history.js';
import { InitCommand } from './init.js';
import { KeyAddCommand } from './key-add.js';
import { KeyExportCommand } from './key-export.js';
import { KeyListCommand } from './key-list.js';
import { KeyRemoveCommand } from './key-remove.js';
import { newCli } from './load.js';
import { MountCommand } from './mount.js';
import { RepairCommand } from './repair.js';
import { RecoverCommand } from './recover.js';
import { UmountCommand } from './umount.js';
import { VersionsCommand } from './versions.js';

export { commandWords } from './command-word.js';

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
  KeyExportCommand,
  CheckCommand,
  RepairCommand,
  RecoverCommand,
];

/** `colors`: for help on a terminal. */
export function createCli(options: { readonly colors: boolean }): Cli<CommandContext> {
  return newCli(commands, options);
}
