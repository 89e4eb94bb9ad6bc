// What ends a run in its middle: an interrupt at any moment, an error in a worker. It says why, at once, and leaves nothing.

import fs from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { randomBytes } from '../../lib/crypto/index.js';
import { backup } from '../../lib/index.js';
import { FaultStore } from '../../lib/store/faults.js';
import type { ObjectStore } from '../../lib/store/types.js';
import { Machine } from '../repository/fixture.js';
import { isRoot } from '../trees.js';

const descriptors = (): string[] =>
  fs.readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [fs.readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      return [];
    }
  });

/** Of files of the source: all others come and go by themselves. */
const descriptorsIn = (machine: Machine): string[] =>
  descriptors().filter((target) => target.startsWith(machine.source.path));
const threads = (): number => fs.readdirSync('/proc/self/task').length;

function fill(machine: Machine): void {
  for (let index = 0; index < 1500; index++) machine.write(`small/${index % 30}/${index}`, `${index}`);
  for (let index = 0; index < 30; index++) machine.write(`large/${index}`, randomBytes(1_500_000));
  fs.writeFileSync(machine.at('source', 'very large'), randomBytes(1000));
  fs.truncateSync(machine.at('source', 'very large'), 70_000_000);
}

void t.test('an interrupt at any moment: at once, and nothing is left', async (t) => {
  const machine = new Machine(t);
  fill(machine);
  const repository = await machine.open();
  let interrupted = 0;
  for (let after_ms = 0; after_ms < 1200; after_ms = after_ms * 1.6 + 9) {
    const before = threads();
    const stop = new AbortController();
    const running = backup(repository, machine.source, { signal: stop.signal }).then(
      () => 'done',
      (error: unknown) => (error as { code: string }).code,
    );
    const first = await Promise.race([running, setTimeout(after_ms, undefined)]);
    stop.abort();
    const end = await running;
    if (first === 'done' || end === 'done') break;
    t.equal(end, 'interrupted', `after ${Math.round(after_ms)} ms`);
    interrupted++;
    t.strictSame(descriptorsIn(machine), [], 'no file of the source is left open');
    t.equal(repository.catalog.streams().length, 0);
    t.ok(threads() <= before + 1, 'no worker is left');
  }
  t.ok(interrupted > 2);
  await backup(repository, machine.source);
  t.strictSame(await machine.restored(repository, 1), machine.described());
});

/** A store that does something else first when it is asked for a list of packs: after the first look at the source, before the workers'. */
function whenPacksAreListed(store: ObjectStore, act: () => void): ObjectStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...given: unknown[]): unknown => {
        if (name === 'list' && String(given[0]).startsWith('packs')) act();
        return (value as (...given: unknown[]) => unknown).apply(target, given);
      };
    },
  });
}

void t.test('the source goes away before the workers look at it', async (t) => {
  for (const isMount of isRoot ? [false, true] : [false]) {
    const machine = new Machine(t);
    const { path } = machine.source;
    if (isMount) execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', path]);
    for (let index = 0; index < 50; index++) machine.write(`${index}`, 'x');
    let isGone: boolean | undefined;
    const store = whenPacksAreListed(machine.store, () => {
      if (isGone !== false) return;
      isGone = true;
      if (isMount) execFileSync('umount', ['-l', path]);
      else fs.renameSync(path, machine.at('away'));
    });
    const repository = await machine.open({}, { store });
    // From here on.
    isGone = false;
    await t.rejects(backup(repository, machine.source), { code: 'backup.source_went_away' });
    t.ok(isGone);
    t.equal(repository.catalog.streams().length, 0);
  }
});

void t.test('workers that find no catalog end the run, with the cause', async (t) => {
  const machine = new Machine(t);
  for (let index = 0; index < 300; index++) machine.write(`${index % 10}/${index}`, `${index}`);
  const repository = await machine.open();
  const threadsBefore = threads();
  const { path } = repository.catalog;
  fs.renameSync(path, `${path}-away`);
  await t.rejects(backup(repository, machine.source), { message: /catalog/ });
  t.ok(threads() <= threadsBefore + 1);
  fs.renameSync(`${path}-away`, path);
  t.match(await backup(repository, machine.source), { version: 1 });
});

void t.test('an upload fails while a very large file is read', async (t) => {
  const machine = new Machine(t);
  machine.write('very large', randomBytes(80_000_000));
  machine.write('small', 'x');
  for (const nth of [1, 2]) {
    const store = new FaultStore(machine.store, [
      { operation: 'put', key: /packs/, nth, times: Infinity, kind: 'before' },
    ]);
    const failing = await machine.open({}, { store });
    await t.rejects(backup(failing, machine.source), { code: 'store.transient' });
    t.strictSame(descriptorsIn(machine), []);
    await failing.close();
  }
  const repository = await machine.open();
  t.match(await backup(repository, machine.source), { version: 1 });
  t.strictSame(await machine.restored(repository, 1), machine.described());
});
