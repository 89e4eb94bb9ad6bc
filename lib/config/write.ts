// Writes a first configuration, for somebody who begins with a directory repository. Never overwrites one.

import { dirname } from 'node:path';
import { RrbackupError } from '../errors/index.js';
import { makeDirectories } from '../posix/new-directory.js';
import { writeNewFile } from '../posix/new-file.js';
import { parseIni } from './ini.js';

export interface NewConfiguration {
  /** Absolute; its directory is made where it is missing. */
  readonly file: string;
  /** Absolute path of the repository. */
  readonly directory: string;
  /** Absolute path of what to back up. */
  readonly source: string;
  /** Stored in the file; undefined: it will come from elsewhere. */
  readonly password?: string | undefined;
}

/** Creates the file, readable for its owner alone. Errors: 'config.exists', 'config.unwritable', 'config.wrong_value'. */
export async function writeConfiguration(configuration: NewConfiguration): Promise<void> {
  const { file, directory, source, password } = configuration;
  const text = [
    '# The configuration of rrbackup; every key is described in its README.',
    '[main]',
    `base_path = ${source}`,
    ...(password === undefined
      ? [
          '# The password comes from $RRBACKUP_PASSWORD or is asked for. Other ways: crypt_password, password_file, password_command',
        ]
      : [
          '# Keep a copy of the password somewhere else: without it nobody can read the backups.',
          `crypt_password = ${password}`,
        ]),
    '',
    '[directory]',
    `path = ${directory}`,
    '',
  ].join('\n');
  const [main, store] = parseIni(text, file);
  const value = (key: string): string | undefined => main?.entries.find((entry) => entry.key === key)?.value;
  const survives =
    value('base_path') === source &&
    value('crypt_password') === password &&
    store?.entries[0]?.value === directory;
  if (!survives)
    throw new RrbackupError({
      code: 'config.wrong_value',
      kind: 'usage',
      message: 'a password or path that begins or ends with a space cannot stand in a configuration file',
      guidance: 'choose another one, or give the password in $RRBACKUP_PASSWORD',
    });
  try {
    makeDirectories(dirname(file));
    await writeNewFile(file, text);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'EEXIST')
      throw new RrbackupError({
        code: 'config.exists',
        kind: 'usage',
        message: `there is a configuration in ${file} already`,
        guidance: 'edit it, or name another file with -c FILE',
      });
    throw new RrbackupError({
      code: 'config.unwritable',
      kind: 'failure',
      message: `the configuration ${file} cannot be written: ${String(code)}`,
      guidance: 'name a file that you can write with -c FILE',
      cause: error,
    });
  }
}
