import { Command, Option } from 'clipanion';
import { resolve } from 'node:path';
import { RrbackupError } from '../lib/errors/index.js';
import type { Repository } from '../lib/index.js';
import { writeNewFile } from '../lib/posix/new-file.js';
import { reasonOf } from '../lib/posix/reason.js';
import { BaseCommand } from './base.js';
import { paperSheet, shortSheet } from './presentation/key-sheet.js';
import type { Report } from './presentation/report.js';

export class KeyExportCommand extends BaseCommand {
  static override paths = [['key', 'export']];
  static override usage = Command.Usage({
    category: 'Repository',
    description: 'Write down the key that opens the repository without a password',
    details: `
      Six lines of letters, for paper: each checks itself, so that what was typed wrong is known by its line. With them
      \`rrbackup recover --key-file\` opens a repository that has lost its passwords, or \`rrbackup.json\`. Whoever has them
      can read everything, for ever; no password that is taken away changes that.
    `,
    examples: [
      ['A sheet to print', '$0 key export --paper | lp'],
      ['Into a file that only you can read', '$0 key export --output /media/usb/rrbackup-key.txt'],
    ],
  });

  paper = Option.Boolean('--paper', false, { description: 'A whole sheet, with instructions' });
  output = Option.String('-o,--output', {
    description: 'A new file for it, readable for you alone (default: standard output)',
  });

  protected override async perform(report: Report): Promise<undefined> {
    await this.withRepository(report, { access: 'read', sync: false }, async ({ repository }) => {
      if (repository.encryption === 'none')
        throw new RrbackupError({
          code: 'usage',
          kind: 'usage',
          message: 'the repository is not encrypted: it has no key, and needs none',
          guidance: 'rrbackup recover works without one',
        });
      report.warn(
        'this is the key itself: whoever has it can read every backup, now and later, without a password',
      );
      const { repositoryId, location, made, lines } = describe(repository);
      const text = (this.paper ? paperSheet : shortSheet)({ repositoryId, location, made, lines });
      if (this.output === undefined) {
        await report.json({ repository: repositoryId, location, made, lines });
        for (const line of text) await report.line(line);
      } else {
        const file = resolve(this.context.cwd, this.output);
        await writeNew(file, `${text.join('\n')}\n`);
        await report.json({ repository: repositoryId, location, made, file });
        await report.summary(`the key is in ${file}; keep it where the backups are not`);
      }
    });
    return undefined;
  }
}

function describe(repository: Repository): Parameters<typeof shortSheet>[0] {
  const made = new Date(Number(repository.clock.now_ns() / 1_000_000n)).toISOString();
  const { id: repositoryId, location } = repository;
  return { repositoryId, location, made, lines: repository.exportKey() };
}

async function writeNew(file: string, text: string): Promise<void> {
  try {
    await writeNewFile(file, text);
  } catch (error) {
    throw new RrbackupError({
      code: 'keys.unwritable',
      kind: 'failure',
      message: `the key cannot be written to ${file}: ${reasonOf(error)}`,
      guidance: 'name a new file: one that is there already is never overwritten',
      cause: error,
    });
  }
}
