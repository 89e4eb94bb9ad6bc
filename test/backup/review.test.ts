// What an adversary would try: a source that goes away, statistics that count what is not there, a stream with a gap beside
// a good one, packs of a run that nobody remembers.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import t from 'tap';
import { backup, recover } from '../../lib/index.js';
import { randomBytes } from '../../lib/crypto/index.js';
import type { Progress } from '../../lib/progress.js';
import { FaultStore } from '../../lib/store/faults.js';
import { Machine } from '../repository/fixture.js';
import { isRoot } from '../trees.js';

/** Runs as a user who may not read everything, root or not. */
async function asUser<T>(machine: Machine, work: () => Promise<T>): Promise<T> {
  if (!isRoot) return work();
  const nobody = 65534;
  execFileSync('chown', ['-R', `${nobody}`, machine.directory]);
  process.seteuid!(nobody);
  try {
    return await work();
  } finally {
    process.seteuid!(0);
  }
}

void t.test('what cannot be read: old content stays, new is missing and not counted', async (t) => {
  const machine = new Machine(t);
  machine.write('file', 'old content');
  machine.write('directory/below', 'old content');
  machine.write('other', 'other');
  const repository = await machine.open();
  t.match(await backup(repository, machine.source), {
    version: 1,
    added: 5,
    tree: { files: 3, directories: 2 },
  });
  machine.write('file', 'new content that nobody may see');
  machine.write('new', 'new and secret');
  fs.mkdirSync(machine.at('source', 'new directory'));
  for (const name of ['file', 'new', 'directory', 'new directory'])
    fs.chmodSync(machine.at('source', name), 0);
  const two = await asUser(machine, () => backup(repository, machine.source));
  const names = two.unreadable.map(({ path }) => Buffer.from(path).toString()).sort();
  t.strictSame(names, ['directory', 'file', 'new', 'new directory']);
  t.match(two, { version: 2, added: 1, changed: 1, removed: 0, tree: { files: 3, directories: 3 } });
  const { statistics } = repository.catalog.version(repository.streamId('source'), 2)!.header;
  t.match(statistics, { files: 3, directories: 3, others: 0, added: 1, removed: 0, unreadable: 4 });
  const find = (sequence: number, path: string) =>
    repository.catalog.find(repository.streamId('source'), sequence, Buffer.from(path))?.entry;
  for (const path of ['file', 'directory/below']) t.strictSame(find(2, path), find(1, path), path);
  t.strictSame([find(2, 'new'), find(2, 'new directory')?.type], [undefined, 'directory']);
});

void t.test('the summary counts what is in the version: no file that only looked changed', async (t) => {
  const machine = new Machine(t);
  const repository = await machine.open();
  for (const name of ['a', 'b', 'c']) machine.write(name, name);
  await backup(repository, machine.source);
  machine.write('d', 'd');
  // a, b and c are younger than the scan before, so they are read again, and are as they were.
  const result = await backup(repository, machine.source);
  t.match(result, { version: 2, added: 1, changed: 0, metadata: 1, removed: 0 });
});

void t.test('a disk that goes away in the middle is no version without its files', async (t) => {
  for (const mounted of isRoot ? ['', '.', 'disk'] : ['']) {
    const machine = new Machine(t);
    const source = machine.source.path;
    const disk = machine.at('source', mounted);
    fs.mkdirSync(disk, { recursive: true });
    if (mounted !== '') execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', disk]);
    const unplug = (): void => {
      if (mounted === '') fs.renameSync(source, machine.at('away'));
      else execFileSync('umount', ['-l', disk]);
    };
    const below = mounted === 'disk' ? 'disk/' : '';
    for (let index = 0; index < 2000; index++) machine.write(`${below}${index % 20}/${index}`, 'x');
    const repository = await machine.open();
    await backup(repository, machine.source);
    machine.write(`${below}0/new`, 'x');
    let isGone = false;
    const onProgress = ({ phase, files_done }: Progress): void => {
      if (isGone || phase !== 'read' || files_done < 600) return;
      isGone = true;
      unplug();
    };
    await t.rejects(backup(repository, machine.source, { onProgress }), { code: 'backup.source_went_away' });
    t.ok(isGone);
    t.equal(repository.catalog.streams()[0]!.head, 1);
  }
});

void t.test('a checkpoint that cannot be stored is no failure of the backup', async (t) => {
  const machine = new Machine(t);
  for (let index = 0; index < 4200; index++) machine.write(`${index % 7}/${index}`, 'x');
  const store = new FaultStore(machine.store, []);
  const repository = await machine.open({}, { store });
  await backup(repository, machine.source);
  for (let index = 0; index < 4200; index++)
    fs.chmodSync(machine.at('source', `${index % 7}/${index}`), 0o600);
  store.add({ operation: 'put', key: /checkpoints/, nth: 1, times: Infinity, kind: 'before' });
  const warnings: string[] = [];
  const result = await backup(repository, machine.source, { onWarning: (message) => warnings.push(message) });
  t.match(result, { version: 2 });
  t.equal(warnings.length, 1);
});

void t.test('a gap in the history of one stream is its own matter', async (t) => {
  const machine = new Machine(t);
  const repository = await machine.open();
  const other = { ...machine.source, name: 'other' };
  for (const content of ['1', '2', '3']) {
    machine.write('a', content);
    await backup(repository, machine.source);
    await backup(repository, other);
  }
  const key = `streams/${repository.streamId('other')}/commits/0000000002`;
  for await (const { versionId } of machine.store.list(key)) await machine.store.remove(key, versionId);
  const fresh = new Machine(t, machine.store);
  fresh.write('a', 'x');
  const warnings: string[] = [];
  const onWarning = (message: string): void => void warnings.push(message);
  const elsewhere = await fresh.open({ onWarning });
  t.match(warnings.join('\n'), /other on machine\.example/);
  t.equal((await fresh.restored(elsewhere, 3)).length, 2, 'the other stream is read as ever');
  const heads = Object.fromEntries(elsewhere.catalog.streams().map(({ source, head }) => [source, head]));
  t.strictSame(heads, { source: 3, other: 1 });
  t.match(await backup(elsewhere, fresh.source), { version: 4 });
  await t.rejects(backup(elsewhere, { ...fresh.source, name: 'other' }), { code: 'manifest.missing_commit' });
  await elsewhere.rebuildCatalog({ onWarning });
  t.equal(elsewhere.catalog.stream(elsewhere.streamId('source'))!.head, 4);
  await t.rejects(repository.rebuildCatalog(), { code: 'repository.rolled_back' });
});

void t.test(
  'a repository whose history is gone is not begun anew by a machine that never saw it',
  async (t) => {
    const machine = new Machine(t);
    machine.write('a', randomBytes(300_000));
    const repository = await machine.open();
    await backup(repository, machine.source);
    machine.write('b', randomBytes(300_000));
    await backup(repository, machine.source);
    const described = machine.described();
    for await (const { key, versionId } of machine.store.list('streams/'))
      await machine.store.remove(key, versionId);
    const fresh = await machine.open(
      {},
      { configuration: { stateDirectory: machine.at('state 2'), cacheDirectory: machine.at('cache 2') } },
    );
    await t.rejects(backup(fresh, machine.source), { code: 'backup.history_gone', guidance: /recover/ });
    t.match(await recover(fresh), { streams: [{ rebuilt: [1, 2], lost: [] }] });
    t.strictSame(await machine.restored(fresh, 2), described);
  },
);

void t.test(
  'an upload that fails while others wait: no version, no hang, the next one is whole',
  async (t) => {
    const machine = new Machine(t);
    // Twins far apart: what one worker claims, another counts on.
    for (let index = 0; index < 120; index++) {
      const content = randomBytes(1_000_000);
      machine.write(`a/${index}`, content);
      if (index % 4 === 0) machine.write(`b/${index}`, content);
    }
    for (const nth of [1, 3, 6]) {
      const store = new FaultStore(machine.store, [{ operation: 'put', key: /packs/, nth, kind: 'before' }]);
      const failing = await machine.open({}, { store });
      await t.rejects(backup(failing, machine.source), { code: 'store.transient' });
      t.equal(failing.catalog.streams().length, 0);
      await failing.close();
    }
    const repository = await machine.open();
    t.match(await backup(repository, machine.source), { version: 1 });
    t.strictSame(await machine.restored(repository, 1), machine.described());
  },
);

void t.test(
  'a store that hangs while all workers wait for it: a signal still ends the run at once',
  async (t) => {
    const machine = new Machine(t);
    for (let index = 0; index < 150; index++) machine.write(`${index}`, randomBytes(1_000_000));
    const store = new FaultStore(machine.store, [
      { operation: 'put', key: /packs/, nth: 1, times: Infinity, kind: 'hang' },
    ]);
    const repository = await machine.open({}, { store });
    const stop = new AbortController();
    const running = backup(repository, machine.source, { signal: stop.signal });
    running.catch(() => undefined);
    const puts = () => store.calls.filter(({ operation }) => operation === 'put').length;
    // As many as may be on their way at a time, and no more.
    while (puts() < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    t.ok(puts() <= 2 * os.availableParallelism());
    const stopped_ms = performance.now();
    stop.abort();
    await t.rejects(running, { code: 'interrupted' });
    t.ok(performance.now() - stopped_ms < 1000);
  },
);
