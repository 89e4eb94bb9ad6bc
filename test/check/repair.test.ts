// Damage in a directory's packs: what other packs hold is found there, what the source still has the next backup brings back,
// older versions included, and what is left is named. Nothing stored is ever changed or removed.

import fs from 'node:fs';
import path from 'node:path';
import t, { type Test } from 'tap';
import { backup, check, repair, type Repository, type RepairResult, restore } from '../../lib/index.js';
import { randomBytes } from '../../lib/crypto/index.js';
import { recallGone } from '../../lib/repository/damage.js';
import { DirectoryStore } from '../../lib/store/directory/index.js';
import { FaultStore } from '../../lib/store/faults.js';
import { Machine } from '../repository/fixture.js';
import { checkpointKey } from '../../lib/manifest/names.js';
import { checkpoint, keysOf } from './check-sample.js';

/** A machine whose repository is a directory. */
class Disk {
  readonly machine: Machine;
  readonly path: string;

  constructor(t: Test) {
    this.machine = new Machine(t);
    this.path = this.machine.at('repository');
  }

  open(name = 'state', host = 'machine.example'): Promise<Repository> {
    const at = this.machine.at(name);
    const configuration = { stateDirectory: at, cacheDirectory: path.join(at, 'cache'), host };
    return this.machine.open({}, { store: new DirectoryStore(this.path), configuration });
  }

  packs(): string[] {
    if (!fs.existsSync(path.join(this.path, 'packs'))) return [];
    const names = fs.readdirSync(path.join(this.path, 'packs'), { recursive: true, encoding: 'utf8' });
    return names
      .filter((name) => /[0-9a-f]{64}$/.test(name))
      .map((name) => path.join(this.path, 'packs', name));
  }

  /** Every object with its bytes, but for those that are named. */
  contents(without: readonly string[] = []): Map<string, string> {
    const files = fs.readdirSync(this.path, { recursive: true, withFileTypes: true });
    return new Map(
      files
        .filter((file) => file.isFile() && !without.includes(path.join(file.parentPath, file.name)))
        .map((file) => path.join(file.parentPath, file.name))
        .map((name) => [name, fs.readFileSync(name).toString('base64')]),
    );
  }
}

/** Commits what is there now; returns its packs. */
async function commit(disk: Disk, repository: Repository, source = disk.machine.source): Promise<string[]> {
  const before = new Set(disk.packs());
  await backup(repository, source);
  return disk.packs().filter((pack) => !before.has(pack));
}

const hurtNames = ({ files }: RepairResult): string[] =>
  files.map(
    ({ path, versions }) => `${path.toString()} ${versions.map(({ from, to }) => `${from}-${to}`).join()}`,
  );

/** Names of files of a version that cannot be restored. */
async function unrestorable(disk: Disk, repository: Repository, sequence: number): Promise<string[]> {
  const target = fs.mkdtempSync(disk.machine.at('back-'));
  const stream = repository.streamId('source');
  const named: string[] = [];
  const onWarning = (message: string) => named.push(/^(.*) is not put back: /.exec(message)?.[1] ?? message);
  const { failed } = await restore(repository, { stream, sequence, target, onWarning });
  fs.rmSync(target, { recursive: true });
  if (failed !== named.length) throw new Error(`${failed} files failed, ${named.length} were named`);
  return named.sort();
}

void t.test('the next backup heals, in every version, whatever way the pack was damaged', async (t) => {
  const ways: Record<string, (pack: string) => void> = {
    removed: (pack) => fs.rmSync(pack),
    'cut off': (pack) => fs.truncateSync(pack, 2000),
    'written over': (pack) => fs.writeFileSync(pack, randomBytes(fs.statSync(pack).size)),
  };
  for (const [way, damage] of Object.entries(ways)) {
    const disk = new Disk(t);
    const { machine } = disk;
    const repository = await disk.open();
    machine.write('gone/from the source', randomBytes(3000));
    machine.write('kept', randomBytes(200_000));
    machine.write('large', randomBytes(3_000_000));
    machine.write('touched', 'touched');
    const packs = await commit(disk, repository);
    fs.rmSync(machine.at('source', 'gone'), { recursive: true });
    machine.write('touched', 'another');
    await commit(disk, repository);
    const second = machine.described();
    for (const pack of packs) damage(pack);
    const untouched = disk.contents(packs);
    const readData = way === 'written over' ? { percent: 100 } : undefined;

    const found = await repair(repository, { readData });
    t.equal(found.damagedPacks.length, packs.length, way);
    t.equal(found.supplied, 0);
    t.strictSame(
      hurtNames(found).sort(),
      ['gone/from the source 1-1', 'kept 1-2', 'large 1-2', 'touched 1-1'].sort(),
      way,
    );
    t.strictSame(await unrestorable(disk, repository, 2), ['kept', 'large'], `${way}: a restore names them`);

    const healing = await backup(repository, machine.source);
    t.match(healing, { version: 3, added: 0, changed: 0, removed: 0 }, way);
    t.ok(healing.newBytes >= 3_200_000);
    for (const version of [2, 3])
      t.strictSame(await machine.restored(repository, version), second, `${way}: ${version}`);
    t.strictSame(await unrestorable(disk, repository, 1), ['gone/from the source', 'touched'], way);
    t.match(await backup(repository, machine.source), { version: undefined }, 'and once is enough');

    const other = await disk.open('another machine');
    t.strictSame(await machine.restored(other, 2), second, 'who reads it anew sees the same');
    t.strictSame(hurtNames(await repair(repository, { readData })).sort(), [
      'gone/from the source 1-1',
      'touched 1-1',
    ]);

    // The file comes back, from somewhere else and under another name: the old version is whole again.
    machine.write('touched', 'touched');
    await commit(disk, repository);
    t.strictSame(await unrestorable(disk, repository, 1), ['gone/from the source'], way);
    for (const [name, bytes] of untouched)
      if (fs.readFileSync(name).toString('base64') !== bytes) t.fail(`${way}: ${name} was changed`);
  }
});

void t.test('a single damaged block costs its own files, and these alone are read again', async (t) => {
  const disk = new Disk(t);
  const { machine } = disk;
  const repository = await disk.open();
  for (const name of ['a', 'b', 'c', 'd']) machine.write(name, randomBytes(500_000));
  const [pack] = await commit(disk, repository);
  const tree = machine.described();
  const bytes = fs.readFileSync(pack!);
  bytes[132 + 700_000]! ^= 1;
  fs.writeFileSync(pack!, bytes);
  t.match(await repair(repository), { damagedPacks: [], fileCount: 0 }, 'a listing does not see it');
  const found = await repair(repository, { readData: { percent: 100 } });
  t.equal(found.fileCount, 1);
  t.equal(recallGone(repository.state.directory).size, 1);
  const { newBytes } = await backup(repository, machine.source);
  // Where a file is cut depends on the repository's key: one piece of it may be all that was damaged.
  t.ok(newBytes > 0 && newBytes <= 500_000, String(newBytes));
  t.strictSame(await machine.restored(repository, 1), tree);
  t.equal(recallGone(repository.state.directory).size, 0, 'nothing is left to be remembered');
  const checked = await check(repository, { readData: { percent: 100 } });
  t.match(checked, { verdict: 'fine', findings: [], remedies: [] }, 'what is made up for is no damage');
  t.match(checked.mended, [{ code: 'pack.damaged', message: /other packs/ }]);
});

void t.test('a pack that is brought back is counted on again', async (t) => {
  const disk = new Disk(t);
  const { machine } = disk;
  const repository = await disk.open();
  machine.write('a', randomBytes(500_000));
  const [pack] = await commit(disk, repository);
  fs.renameSync(pack!, machine.at('away'));
  t.match(await repair(repository), { fileCount: 1 });
  fs.renameSync(machine.at('away'), pack!);
  t.match(await repair(repository), { damagedPacks: [], fileCount: 0 });
  t.match(await backup(repository, machine.source), { version: undefined });
});

void t.test('what another machine has stored heals at once, for every reader', async (t) => {
  const disk = new Disk(t);
  const { machine } = disk;
  const shared = randomBytes(700_000);
  machine.write('shared', shared);
  machine.write('own', randomBytes(300_000));
  const repository = await disk.open();
  const [pack] = await commit(disk, repository);
  const tree = machine.described();
  // As two machines do that back up at the same moment: neither knows of the other's chunks.
  const hosts = ['one', 'two', 'three', 'four'];
  fs.renameSync(pack!, machine.at('away'));
  const streams = machine.at('repository', 'streams');
  fs.renameSync(streams, machine.at('streams away'));
  fs.rmSync(machine.at('source', 'own'));
  for (const host of hosts) await commit(disk, await disk.open(host, host));
  for (const stream of fs.readdirSync(machine.at('streams away')))
    fs.renameSync(path.join(machine.at('streams away'), stream), path.join(streams, stream));
  fs.writeFileSync(machine.at('source', 'own'), '');

  const result = await repair(repository);
  t.equal(result.damagedPacks.length, 1);
  t.ok(result.supplied > 0 && result.supplied < result.chunks);
  t.match(result.added, [{ host: 'machine.example', source: 'source', version: 2 }]);
  t.strictSame(hurtNames(result), ['own 1-2']);
  for (const at of ['fresh 1', 'fresh 2']) {
    const reader = await disk.open(at);
    t.strictSame(
      await unrestorable(disk, reader, 1),
      ['own'],
      'the shared file is there, for a reader of today too',
    );
  }
  t.match(await repair(repository), { added: [], fileCount: 1 }, 'once is enough');
  fs.renameSync(machine.at('away'), pack!);
  t.match(await repair(repository), { fileCount: 0 });
  t.strictSame(await machine.restored(repository, 1), tree);
});

void t.test('what an interrupted run has left heals too', async (t) => {
  const disk = new Disk(t);
  const { machine } = disk;
  const repository = await disk.open();
  machine.write('a', randomBytes(400_000));
  const [pack] = await commit(disk, repository);
  const tree = machine.described();
  // The pack is not known while this run is at work, and what it stores is never committed.
  fs.renameSync(pack!, machine.at('away'));
  fs.renameSync(machine.at('repository', 'streams'), machine.at('streams away'));
  const store = new FaultStore(new DirectoryStore(disk.path), [
    { operation: 'create', key: /commits/, nth: 1, times: Infinity, kind: 'before' },
  ]);
  const elsewhere = { stateDirectory: machine.at('dying'), cacheDirectory: machine.at('dying') };
  const dying = await machine.open({}, { store, configuration: elsewhere });
  await t.rejects(backup(dying, machine.source));
  fs.rmSync(machine.at('repository', 'streams'), { recursive: true, force: true });
  fs.renameSync(machine.at('streams away'), machine.at('repository', 'streams'));
  t.match(await check(repository), { verdict: 'damaged', remedies: ['repair'], mended: [] });
  t.match(await repair(repository), { added: [{ version: 2 }], fileCount: 0 });
  t.match(await check(repository), { verdict: 'fine', findings: [], mended: [{ code: 'pack.missing' }] });
  t.strictSame(await machine.restored(await disk.open('fresh'), 1), tree);
});

void t.test(
  'a damaged checkpoint is written anew beside the old one, which nobody reads any more',
  async (t) => {
    const machine = new Machine(t);
    const { store } = machine;
    const repository = await machine.open();
    // Long enough for rows in a part of their own.
    for (let index = 0; index < 200; index++)
      fs.symlinkSync(`${index}`.repeat(1300), machine.at('source', `link ${index}`));
    await backup(repository, machine.source);
    const stream = repository.streamId('source');
    await checkpoint(repository, stream, 1);
    const { parts } = await repository.chain.checkpoint(stream, 1);
    const [part] = parts;
    t.ok(part, 'it has parts');
    const { key } = (await keysOf(store)).find(({ key }) => key.endsWith(part!.hash))!;
    const bytes = Buffer.from(await store.get(key));
    bytes[bytes.length - 1]! ^= 1;
    store.tamper(key, bytes);
    const readData = { percent: 100 };
    t.match(await check(repository, { readData }), {
      verdict: 'damaged',
      findings: [{ code: 'checkpoint.damaged' }],
      remedies: ['repair'],
    });
    t.match(await repair(repository), { checkpoints: 1, damagedPacks: [], fileCount: 0 });
    const roots = (await keysOf(store)).filter(({ key }) => key === checkpointKey(stream, 1));
    t.equal(roots.length, 2);
    t.match(await check(repository, { readData }), { verdict: 'fine', findings: [] });
  },
);
