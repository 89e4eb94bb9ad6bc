import { Command, Option } from 'clipanion';
import { userInfo } from 'node:os';
import { RrbackupError } from '../lib/errors/index.js';
import { passwordSource } from '../lib/config/password.js';
import { resolve } from 'node:path';
import { BaseCommand } from './base.js';
import { isTerminal } from './context.js';
import type { Report } from './presentation/report.js';
import { askNewPassword } from './prompt.js';

export class KeyAddCommand extends BaseCommand {
  static override paths = [['key', 'add']];
  static override usage = Command.Usage({
    category: 'Repository',
    description: 'Add a password that opens the repository too',
    details: `
      Asks for it on the terminal, or takes the first line of \`--new-password-file\`. To change a password: add the new one, put
      it into the configuration, remove the old one.

      The name is stored unencrypted: whoever can read the store sees it, and when the password was added.
    `,
    examples: [
      ['Ask for the new password', '$0 key add --name "Eve, for emergencies"'],
      ['Take it from a file', '$0 key add --new-password-file /root/second-password'],
    ],
  });

  name = Option.String('--name', {
    description: 'Whose password it is, for people; not encrypted (default: USER@HOST)',
  });
  newPasswordFile = Option.String('--new-password-file', {
    description: 'A file whose first line is the new password',
  });

  protected override async perform(report: Report): Promise<undefined> {
    await this.withRepository(report, { access: 'write', sync: false }, async ({ repository }) => {
      if (repository.encryption === 'none')
        throw usage('the repository is not encrypted', 'it has no passwords, and needs none');
      const { slot } = await repository.addPassword(
        await this.#newPassword(),
        this.name ?? `${userInfo().username}@${repository.host}`,
      );
      await report.json({ added: slot });
      await report.summary(`the new password opens the repository too; it is ${slot} in 'rrbackup key list'`);
    });
    return undefined;
  }

  async #newPassword(): Promise<string> {
    const { cwd, home, env: environment, stdin, stderr, signal } = this.context;
    if (this.newPasswordFile !== undefined) {
      const path = resolve(cwd, this.newPasswordFile);
      return passwordSource({ kind: 'file', path }, { cwd, home, environment }, undefined, signal)();
    }
    if (!isTerminal(stdin) || !isTerminal(stderr))
      throw usage(
        'there is no terminal to ask for the new password',
        'give it with --new-password-file FILE',
      );
    const password = await askNewPassword(this.context, 'The new password');
    if (password === '')
      throw usage('an empty password was given', 'run the command again and type a password');
    return password;
  }
}

function usage(message: string, guidance: string): RrbackupError {
  return new RrbackupError({ code: 'usage', kind: 'usage', message, guidance });
}
