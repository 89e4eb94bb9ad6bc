import { Command, Option } from 'clipanion';
import { removePassword } from '../lib/index.js';
import { BaseCommand } from './base.js';
import type { Report } from './presentation/report.js';

export class KeyRemoveCommand extends BaseCommand {
  static override paths = [['key', 'remove']];
  static override usage = Command.Usage({
    category: 'Repository',
    description: 'Take a password away; the last one stays',
    details: `
      SLOT is the first column of \`rrbackup key list\`. The password opens the repository no more, but the key behind all
      passwords stays the same. Whoever has used this password may have kept that key, and can read what is stored later, too.
      Whoever has a copy of the slot and can write to the store can put it back: then the password opens everything again.
      Where that matters, begin a new repository.
    `,
    examples: [['Take one away', '$0 key remove 0123456789abcdef']],
  });

  slot = Option.String({ name: 'SLOT' });

  protected override async perform(report: Report): Promise<undefined> {
    await this.withRepository(report, { access: 'write', sync: false }, async ({ repository, run }) => {
      const { signal } = run;
      const options = { slot: this.slot, repositoryId: repository.id };
      await removePassword(repository.store, options, signal === undefined ? {} : { signal });
      await report.json({ removed: this.slot });
      await report.summary(`the password ${this.slot} opens the repository no more`);
      report.note(
        'whoever has kept a copy of its slot, or the key that it opened, can still read the repository: see key remove --help',
      );
    });
    return undefined;
  }
}
