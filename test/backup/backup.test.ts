// Backups through the library: what makes a version and what does not, what is read, what is refused.

import fs from 'node:fs';
import t from 'tap';
import { backup, previewBackup } from '../../lib/index.js';
import type { Progress } from '../../lib/progress.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { Machine } from '../repository/fixture.js';

void t.test('a version comes out as it went in; without a change there is no new one', async (t) => {
  const machine = new Machine(t);
  machine.write('a', 'first\n');
  machine.write('b/c', Buffer.alloc(3_000_000, 'x'));
  const repository = await machine.open();
  t.match(await backup(repository, machine.source), { version: 1, added: 4 });
  const first = machine.described();
  // Files younger than the scan are looked at again, and found to be the same.
  const again = await backup(repository, machine.source);
  t.match(again, { version: undefined, newest: 1, newBytes: 0, uploadedBytes: 0 });
  machine.write('a', 'second\n');
  fs.rmSync(machine.at('source', 'b'), { recursive: true });
  t.match(await backup(repository, machine.source), { version: 2, changed: 1, metadata: 1, removed: 2 });
  t.strictSame(await machine.restored(repository, 1), first);
  t.strictSame(await machine.restored(repository, 2), machine.described());
});

void t.test('a chunk is stored once: in one run, in another version, for another host', async (t) => {
  const machine = new Machine(t);
  const content = Buffer.alloc(200_000);
  for (let at = 0; at < content.length; at++) content[at] = (at * at) >> 7;
  for (const name of ['a', 'b', 'c']) machine.write(name, content);
  const repository = await machine.open();
  t.match(await backup(repository, machine.source), { newBytes: content.length });
  machine.write('d', content);
  t.match(await backup(repository, machine.source), { version: 2, newBytes: 0 });
  const other = new Machine(t, machine.store);
  other.write('e', content);
  const elsewhere = await other.open({}, { configuration: { host: 'other.example' } });
  t.match(await backup(elsewhere, other.source), { version: 1, newBytes: 0 });
});

void t.test('only attributes changed: no content is stored again', async (t) => {
  const machine = new Machine(t);
  machine.write('a', Buffer.alloc(500_000, 'y'));
  const repository = await machine.open();
  await backup(repository, machine.source);
  fs.chmodSync(machine.at('source', 'a'), 0o600);
  t.match(await backup(repository, machine.source), { version: 2, newBytes: 0 });
  t.strictSame(await machine.restored(repository, 2), machine.described());
});

void t.test('what a version is said to have stored is what the store has more', async (t) => {
  const machine = new Machine(t);
  const repository = await machine.open();
  const stream = repository.streamId(machine.source.name);
  const stored = async (): Promise<number> => {
    let sum_bytes = 0;
    for (const prefix of ['packs/', 'streams/'])
      for await (const { size_bytes } of machine.store.list(prefix)) sum_bytes += size_bytes;
    return sum_bytes;
  };
  const added: number[] = [];
  const steps = [
    () => machine.write('a', Buffer.alloc(500_000, 'y')),
    () => fs.chmodSync(machine.at('source', 'a'), 0o600),
    () => fs.rmSync(machine.at('source', 'a')),
  ];
  for (const step of steps) {
    step();
    const before_bytes = await stored();
    const { uploadedBytes } = await backup(repository, machine.source, { allowEmpty: true });
    added.push((await stored()) - before_bytes);
    t.equal(uploadedBytes, added.at(-1), 'as people are told');
  }
  const told = (): number[] => repository.catalog.versions(stream).map(({ stored_bytes }) => stored_bytes);
  t.strictSame(told(), added, 'as the backup took it in');
  t.ok(added.every((bytes) => bytes > 500));
  await repository.rebuildCatalog();
  t.strictSame(told(), added, 'as it is read from the store');
});

void t.test('a source that is not there, or empty, never becomes a version', async (t) => {
  const machine = new Machine(t);
  const repository = await machine.open();
  await t.rejects(backup(repository, machine.source), {
    code: 'backup.source_empty',
    guidance: /--allow-empty/,
  });
  t.match(await backup(repository, machine.source, { allowEmpty: true }), { version: 1 });
  fs.rmdirSync(machine.source.path);
  await t.rejects(backup(repository, machine.source, { allowEmpty: true }), {
    code: 'backup.source_missing',
  });
  await t.rejects(previewBackup(repository, machine.source), { code: 'backup.source_missing' });
  t.equal(repository.catalog.streams()[0]?.head, 1);
});

void t.test('two backups of one source at once: the second is told', async (t) => {
  const machine = new Machine(t);
  machine.write('a', 'a');
  const repository = await machine.open();
  const first = backup(repository, machine.source);
  await t.rejects(backup(repository, machine.source), { code: 'backup.busy', kind: 'busy' });
  t.match(await first, { version: 1 });
});

void t.test('two machines with one name: both versions stand, one after the other', async (t) => {
  for (const ignoresIfNoneMatch of [false, true]) {
    const one = new Machine(t, new MemoryStore({ ignoresIfNoneMatch }));
    const two = new Machine(t, one.store);
    one.write('one', '1');
    two.write('two', '2');
    const first = await one.open();
    const second = await two.open();
    const versions = await Promise.all([backup(first, one.source), backup(second, two.source)]);
    t.strictSame(versions.map(({ version }) => version).sort(), [1, 2]);
    const [later, repository] = versions[0].version === 2 ? [one, first] : [two, second];
    t.strictSame(await later.restored(repository, 2), later.described());
  }
});

void t.test('a dry run tells what would be done and touches nothing', async (t) => {
  const machine = new Machine(t);
  machine.write('a', 'a');
  const repository = await machine.open();
  await backup(repository, machine.source);
  await repository.close();
  machine.write('b', '12345');
  fs.rmSync(machine.at('source', 'a'));
  const everything = () => [
    ...fs.readdirSync(machine.at('state'), { recursive: true }),
    ...fs.readdirSync(machine.at('cache'), { recursive: true }),
  ];
  const before = everything();
  const stored: string[] = [];
  for await (const { key, versionId } of machine.store.list('')) stored.push(key + versionId);
  const dry = await machine.open({ access: 'dry-run', create: 'never' });
  t.match(await previewBackup(dry, machine.source), {
    counts: { added: 1, changed: 0, metadata: 1, removed: 1 },
    bytes: { added: 5, changed: 0, removed: 1 },
  });
  await dry.close();
  t.strictSame(everything(), before);
  for await (const { key, versionId } of machine.store.list('')) t.equal(stored.shift(), key + versionId);
  t.equal(stored.length, 0);
});

void t.test('what a signal stops is stopped within a second and leaves no version', async (t) => {
  const machine = new Machine(t);
  for (let index = 0; index < 40; index++) machine.write(`f${index}`, Buffer.alloc(1_000_000, `${index}`));
  const repository = await machine.open();
  const stop = new AbortController();
  const running = backup(repository, machine.source, {
    signal: stop.signal,
    onProgress: ({ files_done }) => files_done > 3 && stop.abort(),
  });
  await t.rejects(running, { code: 'interrupted' });
  t.equal(repository.catalog.streams().length, 0);
  t.match(await backup(repository, machine.source), { version: 1 });
});

void t.test('progress tells how much there is', async (t) => {
  const machine = new Machine(t);
  machine.write('a', '12345');
  machine.write('b', '123');
  const repository = await machine.open();
  const seen: Progress[] = [];
  await backup(repository, machine.source, { onProgress: (progress) => seen.push(progress) });
  const reading = seen.filter(({ phase }) => phase === 'read');
  t.match(reading.at(-1), { files_done: 3, files_total: 3 });
  t.ok(reading.at(-1)!.bytes_done <= reading.at(-1)!.bytes_total!);
});

void t.test('what a rule excludes is not there', async (t) => {
  const machine = new Machine(t);
  machine.write('fine', 'fine');
  machine.write('excluded/by/rule', 'x');
  const repository = await machine.open();
  const result = await backup(repository, { ...machine.source, exclude: ['excluded/'] });
  t.match(result, { version: 1, tree: { files: 1, directories: 1 } });
});
