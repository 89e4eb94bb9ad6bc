// The first promise seen from outside: what rsync finds different between a source and what comes out of its newest version,
// by download and by mount. One suite for every kind of store.

import fs from 'node:fs';
import type { Test } from 'tap';
import { everythingTree } from '../trees.js';
import { type Home, difference } from './cli.js';

export interface Place {
  readonly encryption: 'password' | 'none';
  /** The [s3] or [directory] section of a home's configuration. */
  readonly section: string;
  /** Deletes every stored object, with all its versions, below `streams/`. */
  deleteStreams(): Promise<void>;
}

/** Backs up, changes, backs up; then holds both versions against copies, in every way they can be had. */
export async function roundTrip(t: Test, home: Home, place: Place): Promise<void> {
  const source = home.at('source');
  const catalog = home.at('catalog.mdb');
  const lock = place.encryption === 'none' ? 'encryption: none' : 'crypt_password: e2e';
  home.configure(`[main]\nbase_path: ${source}\nlocal_manifest_file: ${catalog}\n${lock}\n${place.section}`);
  fs.mkdirSync(source);
  const { missing } = everythingTree(source);
  t.strictSame(missing, [], 'this machine can make everything');
  await home.ok('backup');
  await home.run('rsync', '-aHAXS', `${source}/`, `${home.at('copy-1')}/`);
  fs.mkdirSync(home.at('source', 'new directory'));
  fs.writeFileSync(home.at('source', 'new directory', 'new'), 'new\n');
  fs.writeFileSync(home.at('source', 'empty'), 'no longer\n');
  await home.ok('backup');

  const isWhole = async (t: Test, how: string) => {
    for (const [version, original] of [
      ['1', 'copy-1'],
      ['2', 'source'],
    ] as const) {
      const out = home.at(`out-${how}-${version}`);
      await home.ok('download', version, out);
      t.equal(await difference(home, out, home.at(original)), '', `version ${version} by download`);
    }
    fs.mkdirSync(home.at(`mnt-${how}`));
    await home.ok('mount', home.at(`mnt-${how}`));
    const versions = (await home.run('ls', home.at(`mnt-${how}`, 'source')))
      .split('\n')
      .filter((name) => /^\d/.test(name));
    t.equal(versions.length, 2);
    for (const [index, original] of ['copy-1', 'source'].entries()) {
      const shown = home.at(`mnt-${how}`, 'source', versions[index]!);
      t.equal(await difference(home, shown, home.at(original)), '', `version ${index + 1} by mount`);
    }
    await home.ok('umount', home.at(`mnt-${how}`));
  };

  await t.test('as it is', async (t) => isWhole(t, 'plain'));
  await t.test('after the catalog was deleted', async (t) => {
    for (const suffix of ['', '-lock', '-seal']) fs.rmSync(`${catalog}${suffix}`, { force: true });
    await isWhole(t, 'catalog');
  });
  await t.test('after all of streams/ was deleted, and recover', async (t) => {
    await place.deleteStreams();
    const alarmed = await home.rr('versions');
    t.equal(alarmed.status, 17, 'a history that is gone is an alarm');
    t.match(alarmed.stderr, /recover/);
    await home.ok('recover');
    await isWhole(t, 'recovered');
    const { status, stdout } = await home.rr('--json', 'backup');
    t.equal(status, 0);
    t.match(JSON.parse(stdout), { sources: [{ changed: false }] }, 'the next backup goes on from there');
  });
}
