// Who may have written a configuration: where it is found, nobody but the user; where it is named, anybody, with a warning.

import { chmodSync, chownSync, mkdirSync, renameSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { loadConfiguration } from '../../lib/config/load.js';
import type { RrbackupError } from '../../lib/errors/index.js';
import { makeNode } from '../../lib/posix/nodes.js';

type Test = Pick<typeof t, 'testdir'>;

const sound = '[main]\nbase_path = /b\ncrypt_password = secret\n[directory]\npath = /r\n';

const other = 4242;
const needsRoot = process.getuid?.() !== 0 && 'needs root';

/** A configuration where each kind of place would have it; `refusal`: how looking for it there ends. */
function found(test: Test) {
  const directory = test.testdir({
    cwd: { 'configuration.ini': sound },
    home: { '.config': { rrbackup: { 'configuration.ini': sound } } },
    empty: {},
  });
  const places = {
    cwd: join(directory, 'cwd'),
    home: join(directory, 'home/.config/rrbackup'),
  };
  const search = (place: keyof typeof places) =>
    loadConfiguration({
      environment: {},
      cwd: place === 'cwd' ? places.cwd : join(directory, 'empty'),
      home: join(directory, 'home'),
    });
  const refusal = async (place: keyof typeof places): Promise<string> => {
    try {
      await search(place);
    } catch (error) {
      const { code, message, exitStatus, guidance = '' } = error as RrbackupError;
      if (code !== 'config.foreign' || exitStatus !== 2 || !/-c /.test(guidance)) throw error;
      return message.replaceAll(directory, '');
    }
    return '';
  };
  for (const place of Object.values(places)) {
    chmodSync(place, 0o755);
    chmodSync(join(place, 'configuration.ini'), 0o644);
  }
  return {
    directory,
    places,
    search,
    refusal,
    file: (place: keyof typeof places) => join(places[place], 'configuration.ini'),
  };
}

t.test('a file that was found and that others can write to is not taken', async (t) => {
  const { refusal, file, places } = found(t);
  for (const place of ['cwd', 'home'] as const) {
    t.equal(await refusal(place), '');
    for (const mode of [0o622, 0o620, 0o602, 0o664]) {
      chmodSync(file(place), mode);
      t.match(await refusal(place), /^others can write to the configuration file \/.*, so it is not used$/);
    }
    chmodSync(file(place), 0o600);
    for (const mode of [0o775, 0o757, 0o1777]) {
      chmodSync(places[place], mode);
      t.match(await refusal(place), /is not used: others can write to its directory$/, mode.toString(8));
    }
    chmodSync(places[place], 0o755);
  }
});

t.test('what was found and is no regular file is refused, and not waited for', async (t) => {
  const { refusal, file, directory } = found(t);
  for (const place of ['cwd', 'home'] as const) {
    renameSync(file(place), join(directory, 'real.ini'));
    symlinkSync(join(directory, 'real.ini'), file(place));
    t.match(await refusal(place), /is not used: it is a symbolic link$/);
    unlinkSync(file(place));
    makeNode(Buffer.from(file(place)), 'fifo');
    t.match(await refusal(place), /is not used: it is not a regular file$/);
    unlinkSync(file(place));
    mkdirSync(file(place));
    t.match(await refusal(place), /is not used: it is not a regular file$/);
  }
});

t.test('a file that another user left, or in his directory, is not taken', { skip: needsRoot }, async (t) => {
  const { refusal, file, places } = found(t);
  for (const place of ['cwd', 'home'] as const) {
    chownSync(file(place), other, other);
    t.match(await refusal(place), /belongs to another user, so it is not used$/);
    chownSync(file(place), 0, 0);
    chownSync(places[place], other, other);
    t.match(await refusal(place), /is not used: its directory belongs to another user$/);
  }
});

t.test(
  'an ordinary user: no file of root here, and no command where only the file is his',
  { skip: needsRoot },
  async (t) => {
    const { refusal, search, file, directory, places } = found(t);
    chmodSync(directory, 0o755);
    writeFileSync(file('cwd'), '[main]\npassword_command = echo x\n[directory]\npath = /r\n');
    const asOther = async (work: () => Promise<unknown>): Promise<void> => {
      process.seteuid!(other);
      try {
        await work();
      } finally {
        process.seteuid!(0);
      }
    };
    await asOther(async () => t.match(await refusal('cwd'), /belongs to another user, so it is not used$/));
    chownSync(file('cwd'), other, other);
    await asOther(async () => {
      await t.rejects(search('cwd'), {
        code: 'config.wrong_value',
        message: /line 2: 'password_command' is not run/,
      });
      const named = await loadConfiguration({
        environment: {},
        cwd: places.cwd,
        home: '/',
        file: 'configuration.ini',
      });
      t.equal(await named.password(), 'x', 'a file that was named may run it');
    });
    chownSync(places.cwd, other, other);
    await asOther(async () => t.equal(await (await search('cwd')).password(), 'x'));
  },
);

t.test('a file that is named is taken, with a warning where others can change it', async (t) => {
  const { file, places } = found(t);
  const named = async (path = file('cwd')): Promise<string> => {
    const { warnings } = await loadConfiguration({ environment: {}, cwd: '/', home: '/', file: path });
    return warnings
      .filter((warning) => !warning.startsWith('others can read'))
      .join()
      .replaceAll(places.cwd, '');
  };
  t.equal(await named(), '');
  chmodSync(file('cwd'), 0o622);
  t.match(await named(), /others can change the configuration .*: others can write to \/configuration.ini$/);
  const byVariable = await loadConfiguration({
    environment: { RRBACKUP_CONFIG: file('cwd') },
    cwd: '/',
    home: '/',
  });
  t.match(byVariable.warnings, [/others can change/]);
  chmodSync(file('cwd'), 0o600);
  chmodSync(places.cwd, 0o1777);
  t.match(await named(), /: others can write to $/);
  chmodSync(places.cwd, 0o755);
  symlinkSync(file('cwd'), join(places.home, 'link'));
  t.equal(await named(join(places.home, 'link')), '', 'a link of our own');
});

t.test('a named file that another user can exchange gets a warning', { skip: needsRoot }, async (t) => {
  const { file, places } = found(t);
  const warnings = async () =>
    (await loadConfiguration({ environment: {}, cwd: places.cwd, home: '/', file: 'configuration.ini' }))
      .warnings;
  for (const path of [file('cwd'), places.cwd]) {
    chownSync(path, other, other);
    t.match((await warnings())[0], `${path} belongs to another user`);
    chownSync(path, 0, 0);
  }
});

t.test('a named configuration may come through a pipe; the signal ends the wait', async (t) => {
  const directory = t.testdir({});
  const fifo = join(directory, 'fifo');
  makeNode(Buffer.from(fifo), 'fifo');
  const stop = new AbortController();
  const options = { environment: {}, cwd: directory, home: directory, file: 'fifo' };
  const waiting = loadConfiguration({ ...options, signal: stop.signal });
  stop.abort();
  await t.rejects(waiting, { code: 'interrupted' });
  const loading = loadConfiguration(options);
  await writeFile(fifo, sound);
  t.equal(await (await loading).password(), 'secret');
});
