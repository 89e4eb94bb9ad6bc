// Output into a file, as cron and services have it: all of it is there, whatever the status.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const main = fileURLToPath(new URL('../../commands/main.js', import.meta.url));

void t.test('what is said stands in the file that it goes to', async (t) => {
  const said = (...words: string[]): { status: number | null; text: string } => {
    const log = path.join(t.testdir(), 'log');
    const descriptor = fs.openSync(log, 'w');
    const { status } = spawnSync(process.execPath, [main, ...words], {
      stdio: ['ignore', descriptor, descriptor],
      timeout: 60_000,
    });
    fs.closeSync(descriptor);
    return { status, text: fs.readFileSync(log, 'utf8') };
  };
  const help = said('--help');
  t.equal(help.status, 0);
  t.match(help.text, /rrbackup mount/);
  const withLibrary = said('key', 'list', '--help');
  t.equal(withLibrary.status, 0, 'what has loaded koffi ends, too');
  t.match(withLibrary.text, /who can open it/i);
  const mistake = said('versions', '--config', path.join(t.testdir(), 'none'));
  t.equal(mistake.status, 2);
  t.match(mistake.text, /no such file\n.*hint: /);
});
