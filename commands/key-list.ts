import { Command } from 'clipanion';
import { listPasswords } from '../lib/index.js';
import { BaseCommand } from './base.js';
import type { Report } from './presentation/report.js';
import { formatTable } from './presentation/table.js';

export class KeyListCommand extends BaseCommand {
  static override paths = [['key', 'list']];
  static override usage = Command.Usage({
    category: 'Repository',
    description: 'List the passwords that open the repository: not themselves, but whose they are',
    examples: [['Who can open it?', '$0 key list']],
  });

  protected override async perform(report: Report): Promise<undefined> {
    await this.withRepository(report, { access: 'read', sync: false }, async ({ repository, run }) => {
      const { signal } = run;
      const call = signal === undefined ? {} : { signal };
      const { passwords, unreadable, unread } = await listPasswords(repository.store, repository.id, call);
      await report.json(passwords);
      for (const key of unreadable) report.warn(`${key} is not a password of this repository`);
      if (unread > 0)
        report.warn(
          `${unread} more objects lie under keys/, which no repository of ours needs: somebody has put them there`,
        );
      if (passwords.length === 0) await report.line('the repository is not encrypted: it has no passwords');
      const columns = [{ title: 'SLOT' }, { title: 'CREATED' }, { title: 'NAME' }];
      const rows = passwords.map(({ slot, created, name }) => [slot, created, name]);
      if (rows.length > 0) for (const line of formatTable(columns, rows)) await report.line(line);
    });
    return undefined;
  }
}
