// A mount over a network that stops answering: readers can be ended, what is here stays readable, and so on when it comes back.

import type { ChildProcess } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { mountAt } from '../../lib/posix/mount.js';
import { noMount, start } from '../mount/live.js';
import { s3Server } from '../s3-server.js';
import { startSlowProxy } from '../slow-proxy.js';
import { compare, ended, serve, treeHome } from './reading.js';

function errorsOf({ stderr }: ChildProcess): () => string {
  let text = '';
  stderr?.on('data', (part) => (text += part));
  return () => text;
}

void t.test('the network hangs while files are copied', { skip: noMount, timeout: 300_000 }, async (t) => {
  const server = await s3Server(t);
  if (server === undefined) return;
  const { endpoint: target, accessKey, secretKey } = server;
  const bucket = await server.newBucket();
  const proxy = await startSlowProxy({ target, roundTrip_ms: 4, bandwidth_bytes_per_s: 20e6 });
  t.teardown(() => proxy.close());
  const home = await treeHome(
    t,
    `[s3]\nendpoint: ${proxy.endpoint}\naccess_key: ${accessKey}\nsecret_key: ${secretKey}\nbucket: ${bucket}\n`,
  );
  const { shown, mnt } = home;
  /** Until the readers wait for the network for sure. */
  const underWay = async (before: number, readers: readonly ChildProcess[]): Promise<void> => {
    const errors = readers.map(errorsOf);
    while (proxy.counts().received_bytes < before + 300_000) {
      const over = readers.findIndex(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null);
      if (over >= 0) throw new Error(`a reader has ended before the network hung: ${errors[over]!()}`);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
  };
  // What the backup left here would be read without a network.
  fs.rmSync(home.at('cache'), { recursive: true, force: true });
  const first = await serve(home);
  await home.run('cmp', path.join(shown, 'd0/e0/f24'), path.join(home.tree, 'd0/e0/f24'));
  const before = proxy.counts().received_bytes;
  const copy = start('cp', [path.join(shown, 'd1/large'), home.at('copy')]);
  await underWay(before, [copy]);
  proxy.hang();
  copy.kill('SIGINT');
  t.equal(await ended(copy), 'SIGINT', 'the copying ends');
  t.match(await home.run('ls', '-lR', `${shown}/`), /sparse/, 'listings need no network');
  await home.run('cmp', path.join(shown, 'd0/e0/f24'), path.join(home.tree, 'd0/e0/f24'));
  proxy.resume();
  t.strictSame(await compare(home, 'sequential', 1), [], 'it goes on when the network does');
  await home.ok('umount', mnt);
  // Until it has ended it may still be putting what it has read into the cache.
  await ended(first);

  await t.test('it is unmounted while it hangs', async (t) => {
    fs.rmSync(home.at('cache'), { recursive: true, force: true });
    const mounted = await serve(home);
    const before = proxy.counts().received_bytes;
    const readers = ['d1/large', 'd2/sparse'].map((name) => start('cat', [path.join(shown, name)]));
    for (const { stdout } of readers) stdout?.resume();
    await underWay(before, readers);
    proxy.hang();
    const refused = await home.rr('umount', mnt);
    t.equal(refused.status, 11, 'it is in use');
    for (const { pid } of readers)
      t.match(refused.stderr, new RegExp(`hint: close .*cat \\(process ${pid}\\)`));
    mounted.kill('SIGTERM');
    t.equal(await ended(mounted), 0, 'and taken away nevertheless');
    for (const reader of readers) t.not(await ended(reader), 'SIGKILL', 'a reader need not be killed');
    t.equal(mountAt(mnt), undefined);
    proxy.resume();
  });
});
