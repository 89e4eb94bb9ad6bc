// The overview that `rrbackup --help` prints, and `rrbackup --version`.

import { Command } from 'clipanion';
import { programVersion } from '../lib/program.js';
import type { CommandContext } from './context.js';

const statuses: readonly (readonly [string, string])[] = [
  ['0', 'done'],
  ['1', 'failed for another reason: a source that is missing or empty, a full local disk'],
  ['2', 'the command line or the configuration is wrong'],
  ['3', 'done, but some files could not be read or restored'],
  ['4', 'commit_locked forbids writing'],
  ['10', 'there is no repository'],
  ['11', 'something else is at work there'],
  ['12', 'wrong password'],
  ['13', 'stored data is damaged'],
  ['14', 'no such version, file or source'],
  ['15', 'the store did not do what was asked'],
  ['16', 'made by a newer rrbackup'],
  ['17', 'the repository that this machine remembers is gone, replaced, rolled back or tampered with'],
  ['130', 'interrupted'],
];

export class HelpCommand extends Command<CommandContext> {
  static override paths = [['--help'], ['-h'], ['help']];

  override async execute(): Promise<void> {
    const sections = new Map<string, [string, string][]>();
    for (const { category = '', description = '', usage } of this.cli.definitions()) {
      const commands = sections.get(category) ?? [];
      commands.push([usage.trim(), description.trim()]);
      sections.set(category, commands);
    }
    const wide = Math.max(...[...sections.values()].flat().map(([usage]) => usage.length));
    const listed = [...sections].map(([category, commands]) =>
      [category, ...commands.map(([usage, text]) => `  ${usage.padEnd(wide)}  ${text}`)].join('\n'),
    );
    this.context.stdout.write(
      [
        `rrbackup ${programVersion}: encrypted backups as atomic versions, all of them mountable`,
        'Without a command: backup. Each command explains itself with --help; -c FILE names a configuration.',
        ...listed,
        `Exit status\n${statuses.map(([status, text]) => `  ${status.padStart(3)}  ${text}`).join('\n')}\n`,
      ].join('\n\n'),
    );
  }
}

export class VersionCommand extends Command<CommandContext> {
  static override paths = [['--version']];

  override async execute(): Promise<void> {
    this.context.stdout.write(`${programVersion}\n`);
  }
}
