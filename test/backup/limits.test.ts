// Entries that are beyond what the format has room for: named, counted as unreadable, and nobody else's matter. And the memory
// that such things take, however many they are.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import t, { type Test } from 'tap';
import type { Found, Previous } from '../../lib/backup/findings.js';
import type { FileReader } from '../../lib/backup/file-reader.js';
import type { PackMaker } from '../../lib/backup/pack-maker.js';
import { bigFile_bytes, noRemarks, Recorder } from '../../lib/backup/recorder.js';
import { Tracker } from '../../lib/backup/tracker.js';
import { backup, previewBackup, restore } from '../../lib/index.js';
import { maximumSeconds } from '../../lib/manifest/entry.js';
import { manifestLimits } from '../../lib/manifest/layout.js';
import { MutableStatus } from '../../lib/manifest/status.js';
import { FileStatus } from '../../lib/posix/status.js';
import { readXattrs, setXattr } from '../../lib/posix/xattr.js';
import { Machine } from '../repository/fixture.js';
import { isRoot } from '../trees.js';

/** A time that only some file systems have; a tmpfs is one of them. */
const tooLate_s = 2 * maximumSeconds;
const value_bytes = 60_000;
const tooManyXattrs = Math.ceil(manifestLimits.xattrs_bytes / value_bytes);

const outOfRange = 'it cannot be stored: its time is out of range';
const tooMuch = 'it cannot be stored: its extended attributes are too large';
const tooLong = 'it cannot be stored: it is too long';

/** A machine whose source has no limits to speak of. */
function onTmpfs(t: Test): Machine {
  const machine = new Machine(t);
  execFileSync('mount', ['-t', 'tmpfs', 'none', machine.source.path]);
  t.teardown(() => execFileSync('umount', ['-l', machine.source.path]));
  return machine;
}

/** More attributes than an entry may have. */
function burden(path: string): void {
  for (let index = 0; index < tooManyXattrs; index++)
    setXattr(Buffer.from(path), Buffer.from(`trusted.${index}`), Buffer.alloc(value_bytes));
}

const named = (list: readonly { path: Uint8Array; reason: string }[]): Record<string, string> =>
  Object.fromEntries(list.map(({ path, reason }) => [Buffer.from(path).toString(), reason]));

void t.test('what is beyond the limits is named, and the rest is backed up', { skip: !isRoot }, async (t) => {
  const machine = onTmpfs(t);
  const at = (name: string) => machine.at('source', name);
  for (const name of ['burdened', 'fine', 'late', 'burdened directory/file', 'late directory/file'])
    machine.write(name, name);
  for (const name of ['burdened big', 'endless', 'late big']) {
    fs.writeFileSync(at(name), 'x');
    fs.truncateSync(at(name), bigFile_bytes);
  }
  fs.symlinkSync('fine', at('late link'));
  const repository = await machine.open();
  t.match(await backup(repository, machine.source), { version: 1, unreadableCount: 0, tree: { files: 8 } });

  for (const name of ['burdened', 'burdened big', 'burdened directory']) burden(at(name));
  for (const name of ['late', 'late big', 'late directory']) fs.utimesSync(at(name), 1, tooLate_s);
  fs.lutimesSync(at('late link'), 1, tooLate_s);
  machine.write('late and new', 'x');
  fs.utimesSync(at('late and new'), 1, tooLate_s);
  fs.symlinkSync('fine', at('late and new link'));
  fs.lutimesSync(at('late and new link'), 1, tooLate_s);
  execFileSync('truncate', ['-s', String(2n ** 62n), at('endless')]);
  machine.write('fine', 'changed');
  const wanted = {
    burdened: tooMuch,
    'burdened big': tooMuch,
    'burdened directory': tooMuch,
    endless: tooLong,
    late: outOfRange,
    'late and new': outOfRange,
    'late and new link': outOfRange,
    'late big': outOfRange,
    'late directory': outOfRange,
    'late link': outOfRange,
  };
  const second = await backup(repository, machine.source);
  t.strictSame(named(second.unreadable), wanted);
  t.match(second, {
    version: 2,
    changed: 1,
    unreadableCount: 10,
    tree: { files: 8, directories: 3, others: 1 },
  });
  const { statistics } = repository.catalog.version(repository.streamId('source'), 2)!.header;
  t.equal(statistics.unreadable, 10);
  const find = (sequence: number, path: string) =>
    repository.catalog.find(repository.streamId('source'), sequence, Buffer.from(path))?.entry;
  for (const path of ['burdened', 'burdened big', 'endless', 'late', 'late big', 'late link'])
    t.strictSame(find(2, path), find(1, path), `${path}: as it was`);
  t.same([find(2, 'late and new'), find(2, 'late and new link')], [undefined, undefined]);
  t.match(find(2, 'burdened directory'), { xattrs: [], mtime_ns: find(1, 'burdened directory')!.mtime_ns });
  t.match(find(2, 'late directory'), { mtime_ns: BigInt(maximumSeconds) * 1_000_000_000n });
  const target = machine.at('restored');
  const { failed } = await restore(repository, {
    stream: repository.streamId('source'),
    sequence: 2,
    target,
  });
  t.strictSame([failed, fs.readdirSync(target, { recursive: true }).length], [0, 11]);

  // It is said again each time, and makes no version of its own.
  const third = await backup(repository, machine.source);
  t.strictSame(named(third.unreadable), wanted);
  t.match(third, { version: undefined, newest: 2, unreadableCount: 10 });
});

void t.test('no more attributes are read than an entry may have, and one', { skip: !isRoot }, (t) => {
  const machine = onTmpfs(t);
  const path = Buffer.from(machine.source.path);
  for (const name of ['a', 'b', 'c']) setXattr(path, Buffer.from(`trusted.${name}`), Buffer.alloc(100));
  t.equal(readXattrs(path).length, 3);
  t.equal(readXattrs(path, 3 * 109).length, 3);
  t.equal(readXattrs(path, 2 * 109).length, 3);
  t.equal(readXattrs(path, 109).length, 2);
  t.end();
});

void t.test('a path that is too long, of whatever it is', (t) => {
  const recorder = new Recorder({} as FileReader, { endRun: () => undefined } as PackMaker);
  const status = new FileStatus();
  const path = Buffer.alloc(manifestLimits.path_bytes + 1, 'x');
  const modes = [fs.constants.S_IFREG, fs.constants.S_IFDIR, fs.constants.S_IFLNK];
  recorder.begin();
  for (const mode of modes) {
    status.mode = mode;
    recorder.added({ path, status } as unknown as Found);
  }
  const old = new MutableStatus();
  old.size_bytes = 5;
  recorder.changed({ path, status } as unknown as Found, { status: old } as unknown as Previous);
  t.strictSame(recorder.take(), []);
  const { unreadable, figures } = recorder.takeRemarks();
  t.strictSame(
    unreadable.map(({ reason }) => reason),
    Array(4).fill('its path is too long'),
  );
  t.match(figures, { statistics: { files: 1, bytes: 5, unreadable: 4 }, done: { files: 4 } });
  t.end();
});

void t.test('a share of work ends with what cannot be read, too', (t) => {
  const recorder = new Recorder({} as FileReader, {} as PackMaker);
  recorder.begin();
  let count = 0;
  for (; !recorder.isEnough() && count < 100_000; count++) recorder.unreadable(Buffer.from('x'), 'why');
  t.ok(count < 10_000, 'so that nobody holds a million remarks');
  t.end();
});

void t.test('of a million files that went wrong a thousand are named', (t) => {
  const tracker = new Tracker({});
  const path = Buffer.from('x');
  for (let index = 0; index < 1000; index++) {
    const remarks = noRemarks();
    for (let within = 0; within < 1000; within++) {
      remarks.unreadable.push({ path, reason: `${index}` });
      remarks.unstable.push(path);
    }
    tracker.remark(remarks, path);
  }
  const { unreadable, unstable } = tracker;
  t.strictSame([unreadable.count, unstable.count], [1_000_000, 1_000_000]);
  t.strictSame([unreadable.first.length, unstable.first.length], [1000, 1000]);
  t.ok(unreadable.first.every(({ reason }) => reason === '0'));
  t.end();
});

void t.test('a preview counts them all, too', { skip: !isRoot }, async (t) => {
  const machine = new Machine(t);
  for (let index = 0; index < 1200; index++) machine.write(`d/${index}`, '');
  await (await machine.open()).close();
  const repository = await machine.open({ access: 'dry-run' });
  // Names can be listed, but nothing can be asked of them.
  for (const path of [machine.directory, machine.source.path]) fs.chmodSync(path, 0o755);
  fs.chmodSync(machine.at('source', 'd'), 0o744);
  process.seteuid!(65_534);
  try {
    const { unreadable, unreadableCount, counts } = await previewBackup(repository, machine.source);
    t.strictSame([unreadable.length, unreadableCount, counts.added], [1000, 1200, 2]);
  } finally {
    process.seteuid!(0);
  }
});
