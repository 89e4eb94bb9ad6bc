// A download that is killed leaves only whole files under their names, and the next one goes on where it stopped.

import { randomBytes } from '../../lib/crypto/index.js';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { type Home, difference, newHome, outcome } from './cli.js';

const journal = '.rrbackup-partial-journal';
const KiB = 1024;

/** Many small files, and one that is written in pieces. */
function fill(directory: string): number {
  let size_bytes = 0;
  for (let index = 0; index < 6000; index++) {
    const content = randomBytes(10 * KiB);
    size_bytes += content.length;
    fs.mkdirSync(path.join(directory, String(index % 40)), { recursive: true });
    fs.writeFileSync(path.join(directory, String(index % 40), `file ${index}`), content);
  }
  fs.writeFileSync(path.join(directory, 'large'), randomBytes(40 * KiB * KiB));
  return size_bytes + 40 * KiB * KiB;
}

/** Whether the journal in the target says that something is done. */
function hasBegun(target: string): boolean {
  try {
    return /"before":"[0-9a-f]+"/.test(fs.readFileSync(path.join(target, journal), 'latin1'));
  } catch {
    return false;
  }
}

/** Starts a download and ends it once its journal says that something is done. */
async function ended(home: Home, target: string, signal: NodeJS.Signals): Promise<number | null> {
  const child = home.start('download', 'latest', target);
  const end = outcome(child);
  // Once: in the last moment of a process nobody listens any more, and another SIGINT would end it.
  const watch = setInterval(() => {
    if (!hasBegun(target)) return;
    child.kill(signal);
    clearInterval(watch);
  }, 1);
  const { status } = await end;
  clearInterval(watch);
  return status;
}

const skip = !fs.existsSync('/proc/sys/kernel/random/boot_id');

void t.test('a signal in the middle of a download', { skip }, async (t) => {
  const home = newHome(t);
  home.configure(
    `[main]\nbase_path: ${home.at('source')}\nencryption: none\n[directory]\npath: ${home.at('repository')}\n`,
  );
  fs.mkdirSync(home.at('source'));
  const size_bytes = fill(home.at('source'));
  await home.ok('backup');
  for (const signal of ['SIGKILL', 'SIGINT'] as const)
    await t.test(signal, async (t) => {
      const target = home.at(signal);
      t.equal(await ended(home, target, signal), signal === 'SIGKILL' ? null : 130);

      let there_bytes = 0;
      for (const name of fs.readdirSync(target, { recursive: true, encoding: 'utf8' })) {
        const stats = fs.statSync(path.join(target, name));
        if (!stats.isFile() || name.includes('.rrbackup-partial')) continue;
        there_bytes += stats.size;
        const content = fs.readFileSync(home.at('source', name));
        if (!content.equals(fs.readFileSync(path.join(target, name)))) t.fail(`${name} is not whole`);
      }
      t.ok(there_bytes > 0 && there_bytes < size_bytes, 'some of it is there');

      const result = JSON.parse(await home.ok('--json', 'download', 'latest', target)) as Record<
        string,
        number
      >;
      t.ok(result['written_bytes']! <= size_bytes - there_bytes, 'what is there is not written again');
      t.equal(await difference(home, home.at('source'), target), '');
    });
});
