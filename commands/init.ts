import { stat, unlink } from 'node:fs/promises';
import { resolve } from 'node:path';
import { Command, Option } from 'clipanion';
import { findConfiguration, noConfiguration, userConfigurationFile } from '../lib/config/locate.js';
import { writeConfiguration } from '../lib/config/write.js';
import { RrbackupError, exitStatus } from '../lib/errors/index.js';
import { initRepository } from '../lib/index.js';
import { BaseCommand } from './base.js';
import { isTerminal } from './context.js';
import type { Report } from './presentation/report.js';
import { askNewPassword } from './prompt.js';

const beginnings = (file: string): string => `There is no configuration yet. The two shortest ways to begin:

1. Into a directory, on another disk for example:

     rrbackup init --directory /mnt/disk/backups --source ~/Documents
     rrbackup backup

2. Into an S3 bucket that exists. Write this into ${file} (chmod 600):

     [main]
     base_path      = /home/me/Documents
     crypt_password = a long password, of which you keep a copy elsewhere

     [s3]
     bucket     = the name of the bucket
     access_key = …
     secret_key = …
     region     = eu-central-1
     # for a server that is not Amazon's:
     # endpoint   = https://s3.example.org
     # path_style = yes

   and then: rrbackup backup`;

export class InitCommand extends BaseCommand {
  static override paths = [['init']];
  static override usage = Command.Usage({
    category: 'Repository',
    description: 'Make the repository, and a configuration where there is none',
    details: `
      With a configuration: makes the repository that it names; one that is there already is left as it is. Without one:
      explains how to begin, or with \`--directory\` and \`--source\` writes one, readable for you alone.

      \`--adopt\` makes this machine forget what it remembers of the place and take what is there now: the way out after a
      repository was replaced, or restored from a copy.
    `,
    examples: [
      ['Begin with a directory', '$0 init --directory /mnt/disk/backups --source ~/Documents'],
      ['Make the repository that a configuration names', '$0 init -c server.ini'],
    ],
  });

  directory = Option.String('--directory', {
    description: 'Write a configuration: where the repository shall be',
  });
  sourcePath = Option.String('--source', { description: 'Write a configuration: what to back up' });
  adopt = Option.Boolean('--adopt', false, {
    description: 'Accept what is at the place now, whatever was there before',
  });

  protected override async perform(report: Report): Promise<number | undefined> {
    const { env: environment, cwd, home, signal } = this.context;
    const world = { environment, cwd, home };
    const target = this.configurationFile === undefined ? undefined : resolve(cwd, this.configurationFile);
    let written: string | undefined;
    if (this.directory !== undefined || this.sourcePath !== undefined) {
      written = await this.#write(target ?? userConfigurationFile(world));
      this.configurationFile = written;
      report.note(`wrote the configuration ${written}`);
    } else if (target === undefined && (await findConfiguration(undefined, world)) === undefined) {
      if (report.isJson) throw noConfiguration(world);
      for (const line of beginnings(userConfigurationFile(world)).split('\n')) await report.line(line);
      return exitStatus.usage;
    }
    try {
      const configuration = await this.configuration(report);
      const run = report.run(signal);
      const note = (message: string): void => report.note(message);
      const { repositoryId, location, created } = await initRepository(configuration, {
        ...run,
        adopt: this.adopt,
        note,
      });
      await report.json({ repository: repositoryId, location, created, configuration: configuration.file });
      await report.summary(
        created
          ? `the repository is ready; make the first version with 'rrbackup backup'`
          : `the repository ${repositoryId} was there already, at ${location}`,
      );
    } catch (error) {
      // Without its repository it would only be in the way of the next attempt.
      if (written !== undefined) await unlink(written);
      throw error;
    }
    return undefined;
  }

  async #write(file: string): Promise<string> {
    const { env: environment, cwd, home, stdin, stderr } = this.context;
    if (this.directory === undefined || this.sourcePath === undefined)
      throw usage(
        '--directory and --source belong together',
        'give both: where the repository shall be, and what to back up',
      );
    const found =
      this.configurationFile === undefined &&
      (await findConfiguration(undefined, { environment, cwd, home }));
    if (found)
      throw usage(
        `there is a configuration already: ${found.file}`,
        'edit it, or name a new file with -c FILE',
      );
    const source = resolve(cwd, this.sourcePath);
    const status = await stat(source).catch(() => undefined);
    if (status?.isDirectory() !== true)
      throw new RrbackupError({
        code: 'source.missing',
        kind: 'not_found',
        message: `the source ${source} is not a directory`,
        guidance: 'name the directory to back up with --source PATH',
      });
    let password: string | undefined;
    if (!environment['RRBACKUP_PASSWORD']) {
      if (!isTerminal(stdin) || !isTerminal(stderr))
        throw usage(
          'a new repository needs a password, and there is no terminal to ask for it',
          'give it in $RRBACKUP_PASSWORD',
        );
      password = await askNewPassword(this.context, 'A password for the new repository');
      if (password === '')
        throw usage('an empty password was given', 'run the command again and type a password');
    }
    await writeConfiguration({ file, directory: resolve(cwd, this.directory), source, password });
    return file;
  }
}

function usage(message: string, guidance: string): RrbackupError {
  return new RrbackupError({ code: 'usage', kind: 'usage', message, guidance });
}
