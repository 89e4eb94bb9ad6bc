// What `rrbackup mount` refuses before anything is mounted.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { commandsIn } from './here.js';

const cwd = t.testdir({
  docs: { letters: { 'a.txt': 'hello' } },
  photos: { p: 'p' },
  mnt: {},
  home: {},
  'configuration.ini':
    '[main]\nbase_path: docs\nhost: here\nencryption: none\n[source photos]\npath: photos\n[directory]\npath: repository\n',
});

const run = commandsIn(cwd);

t.test('parts that there are not, and values that are none', async (t) => {
  mkdirSync(join(cwd, 'docs', 'empty'));
  t.equal((await run('backup')).status, 0);
  for (const [options, status, says] of [
    [['--host', 'elsewhere'], 14, /no version of the machine elsewhere yet.*--host/s],
    [['--source', 'photo'], 14, /source 'photo' of here.*'photos'/s],
    [['--path', 'nowhere'], 14, /no directory nowhere in any version of docs, photos/],
    [['--path', 'letters/a.txt'], 14, /no directory letters\/a\.txt/],
    [['--source', 'photos', '--path', 'letters'], 14, /no directory letters in any version of photos/],
    [['--time-format', 'iso'], 2, /'iso' has no time in it.*utc, local, samba/s],
    [['--time-format', '%Y/%m'], 2, /cannot hold a '\/'/],
    [['--uid', 'me'], 2, /--uid is not a number: 'me'/],
    [['--gid', '4294967295'], 2, /--gid is not a number/],
    [['--cache-size', '1M'], 2, /--cache-size is no size.*8M to 4G/s],
    [
      ['--allow-other', '--driver', 'fuse-native'],
      2,
      /fuse-native does not enforce ACLs.*leave out --driver/s,
    ],
    [['--cache-size', 'much'], 2, /--cache-size is no size/],
  ] as const) {
    const outcome = await run('mount', 'mnt', '--foreground', ...options);
    t.equal(outcome.status, status, options.join(' '));
    t.match(outcome.said, says);
  }
});
