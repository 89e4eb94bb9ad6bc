// Restores large enough for threads: the same result, from packs on this machine and from a store that must be asked.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { backup, openRepository, restore } from '../../lib/index.js';
import { randomBytes } from '../../lib/crypto/index.js';
import type { Repository } from '../../lib/repository/index.js';
import { restore as restoreFrom } from '../../lib/restore/index.js';
import { Machine } from '../repository/fixture.js';
import { describeTree } from '../trees.js';

const MiB = 1 << 20;

/** Enough that threads are started, and a file that they share. */
function fill(machine: Machine): void {
  for (let index = 0; index < 600; index++)
    machine.write(
      `directory ${index % 30}/file ${index}`,
      `content of file ${index}`.repeat((index % 50) + 1),
    );
  machine.write('large', randomBytes(20 * MiB));
  const holes = fs.openSync(machine.at('source', 'holes'), 'w');
  fs.writeSync(holes, randomBytes(MiB), 0, MiB, 30 * MiB);
  fs.closeSync(holes);
  for (let index = 0; index < 20; index++)
    fs.linkSync(machine.at('source', 'large'), machine.at('source', `directory ${index}`, 'a link'));
}

async function localRepository(
  t: { teardown(end: () => Promise<void>): void },
  machine: Machine,
): Promise<Repository> {
  const store = { kind: 'directory', path: machine.at('repository') } as const;
  const repository = await openRepository(
    { ...machine.configuration(), store },
    { access: 'write', create: 'if-new', note: () => undefined },
  );
  t.teardown(() => repository.close());
  return repository;
}

/** The packs' files. */
function packsIn(machine: Machine): string[] {
  return fs
    .readdirSync(machine.at('repository', 'packs'), { recursive: true, encoding: 'utf8' })
    .map((name) => machine.at('repository', 'packs', name))
    .filter((name) => fs.statSync(name).isFile());
}

void t.test('from packs on this machine', async (t) => {
  const machine = new Machine(t);
  fill(machine);
  const repository = await localRepository(t, machine);
  await backup(repository, machine.source);
  const stream = repository.streamId(machine.source.name);

  await t.test('again and again', async (t) => {
    const target = machine.at('target');
    const run = (options = {}) => restore(repository, { stream, sequence: 1, target, ...options });
    t.match(await run(), { conflicts: 0, failed: 0, alreadyRight: 0, files: 622, directories: 31 });
    t.strictSame(describeTree(target), machine.described());

    t.match(await run(), { conflicts: 0, failed: 0, bytes: 0, files: 622 });
    fs.writeFileSync(path.join(target, 'directory 3', 'file 3'), 'mine');
    t.match(await run(), { conflicts: 1, bytes: 0 });
    t.match(await run({ inPlace: true }), { conflicts: 0, failed: 0 });
    t.strictSame(describeTree(target), machine.described());
  });

  await t.test('a pack that is gone or damaged spoils its own files, in words', async (t) => {
    const warnings: string[] = [];
    const run = (target: string) =>
      restore(repository, {
        stream,
        sequence: 1,
        target: machine.at(target),
        onWarning: (message) => warnings.push(message),
      });
    const packs = packsIn(machine);
    const [first] = packs;
    const bytes = fs.readFileSync(first!);
    const turned = Buffer.from(bytes);
    for (let at = 300; at < turned.length; at += 20) turned[at]! ^= 1;
    fs.writeFileSync(first!, turned);
    const damagedResult = await run('damaged');
    t.ok(damagedResult.failed > 0);
    t.strictSame(
      warnings.filter((warning) => !warning.includes('pack ')),
      [],
    );
    fs.rmSync(first!);
    const goneResult = await run('gone');
    t.equal(goneResult.failed, damagedResult.failed, 'the same files');
    t.equal(goneResult.files + goneResult.failed, 622);
    fs.writeFileSync(first!, bytes);
    for (const target of ['damaged', 'gone']) {
      t.match(await run(target), { failed: 0, files: 622 });
      t.strictSame(describeTree(machine.at(target)), machine.described());
    }
  });

  await t.test('an interruption leaves nothing half done, and the next run goes on', async (t) => {
    const target = machine.at('interrupted');
    const controller = new AbortController();
    const { signal } = controller;
    const onProgress = (): void => controller.abort();
    await t.rejects(restore(repository, { stream, sequence: 1, target, signal, onProgress }), {
      code: 'interrupted',
    });
    const left = fs.readdirSync(target, { recursive: true, encoding: 'utf8' });
    const files = left.filter((name) => fs.statSync(path.join(target, name)).isFile());
    const wrong = files.filter(
      (name) =>
        !path.basename(name).startsWith('.rrbackup-partial-') &&
        !fs.readFileSync(path.join(target, name)).equals(fs.readFileSync(machine.at('source', name))),
    );
    t.strictSame(wrong, []);
    await restore(repository, { stream, sequence: 1, target });
    t.strictSame(describeTree(target), machine.described());
  });

  await t.test('threads that cannot start end the restore with the reason', async (t) => {
    const { packs, context, localBlocks } = repository;
    const catalog = new Proxy(repository.catalog, {
      get: (of, name) => {
        if (name === 'path') return machine.at('nowhere');
        const value = Reflect.get(of, name, of) as unknown;
        return typeof value === 'function' ? (value.bind(of) as unknown) : value;
      },
    });
    const source = { catalog, packs, context, localBlocks };
    const target = machine.at('never');
    await t.rejects(restoreFrom({ repository: source, stream, sequence: 1, target }), {
      code: 'workers.died',
    });
  });
});

void t.test('over a network, where what is right already is not fetched', async (t) => {
  const machine = new Machine(t);
  fill(machine);
  const repository = await machine.open();
  await backup(repository, machine.source);
  const target = machine.at('target');
  const stream = repository.streamId(machine.source.name);
  const run = () => restore(repository, { stream, sequence: 1, target });
  t.match(await run(), { conflicts: 0, failed: 0, files: 622 });
  t.strictSame(describeTree(target), machine.described());
  let reads = 0;
  const get = machine.store.get.bind(machine.store);
  machine.store.get = (...given) => {
    reads++;
    return get(...given);
  };
  t.match(await run(), { bytes: 0, failed: 0 });
  t.equal(reads, 0);
});
