// Promise one: whatever kills a backup, the versions before stand, the next run just works and uses what was uploaded.

import { randomBytes } from '../../lib/crypto/index.js';
import fs from 'node:fs';
import t from 'tap';
import { type Home, newHome, outcome } from './cli.js';

const packs = (home: Home) => {
  const directory = home.at('repository', 'packs');
  return fs.existsSync(directory)
    ? fs.readdirSync(directory, { recursive: true }).filter((name) => String(name).length > 60)
    : [];
};

/** Incompressible, so that there are several packs. */
function fill(directory: string, files: number): void {
  fs.mkdirSync(directory, { recursive: true });
  for (let index = 0; index < files; index++)
    fs.writeFileSync(`${directory}/${index}`, randomBytes(1024 * 1024));
}

/** Starts a backup and kills it once it has stored so many packs. */
async function killed(home: Home, signal: NodeJS.Signals, afterPacks: number): Promise<number | null> {
  const child = home.start('backup');
  const ended = outcome(child);
  const watch = setInterval(() => {
    if (packs(home).length < afterPacks) return;
    clearInterval(watch);
    child.kill(signal);
  }, 2);
  const { status } = await ended;
  clearInterval(watch);
  return status;
}

for (const signal of ['SIGKILL', 'SIGINT'] as const) {
  void t.test(`${signal} in the middle of a backup`, async (t) => {
    const home = newHome(t);
    home.configure(
      `[main]\nbase_path: ${home.at('source')}\nencryption: none\n[directory]\npath: ${home.at('repository')}\n`,
    );
    fs.mkdirSync(home.at('source'));
    fs.writeFileSync(home.at('source', 'first'), 'first\n');
    await home.ok('backup');
    fill(home.at('source', 'more'), 100);

    const before = packs(home).length;
    const status = await killed(home, signal, before + 3);
    t.equal(status, signal === 'SIGKILL' ? null : 130);
    const left = packs(home);
    t.ok(left.length >= before + 3, 'packs were uploaded before the end');
    t.match(
      JSON.parse(await home.ok('--json', 'versions')),
      { length: 1 },
      'the interrupted run is no version',
    );

    const result = JSON.parse(await home.ok('--json', 'backup')) as { sources: { new_bytes: number }[] };
    t.ok(
      result.sources[0]!.new_bytes < 100 * 1024 * 1024 - 2 * 15 * 1024 * 1024,
      'what was uploaded is used',
    );
    for (const name of left) t.ok(packs(home).includes(name), 'nothing is uploaded twice or deleted');
    await home.ok('download', 'latest', home.at('out'));
    t.equal(await home.run('diff', '-r', home.at('source'), home.at('out')), '');
  });
}

void t.test('a signal that comes while the program is being loaded', async (t) => {
  for (const signal of ['SIGINT', 'SIGTERM']) {
    const hear = `process.on('newListener', (name) => {
      if (name === 'SIGHUP') setImmediate(() => process.kill(process.pid, '${signal}'));
    })`;
    const home = newHome(t, { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(hear)}` });
    home.configure(
      `[main]\nbase_path: ${home.at('source')}\ncrypt_password: secret\n[directory]\npath: ${home.at('repository')}\n`,
    );
    fill(home.at('source'), 1);
    const { status, stderr } = await home.rr('backup');
    t.strictSame([status, stderr], [130, 'rrbackup: interrupted\n']);
  }
});

void t.test(
  'SIGTERM in the middle of the first one; without the journal the packs are found by listing',
  async (t) => {
    const home = newHome(t);
    home.configure(
      `[main]\nbase_path: ${home.at('source')}\nencryption: none\n[directory]\npath: ${home.at('repository')}\n`,
    );
    fill(home.at('source'), 100);
    t.equal(await killed(home, 'SIGTERM', 3), 130);
    fs.rmSync(home.at('state'), { recursive: true });
    fs.rmSync(home.at('cache'), { recursive: true });
    const result = JSON.parse(await home.ok('--json', 'backup')) as { sources: { new_bytes: number }[] };
    t.ok(result.sources[0]!.new_bytes < 100 * 1024 * 1024 - 2 * 15 * 1024 * 1024);
  },
);
