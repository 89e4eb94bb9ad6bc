// Very large files, which all workers read together: every change of one is found, stores little, and comes back.

import fs from 'node:fs';
import t from 'tap';
import { readCut, window_bytes } from '../../lib/backup/file-reader.js';
import { bigFile_bytes } from '../../lib/backup/recorder.js';
import { Cutter } from '../../lib/chunking/index.js';
import { expandGear, randomBytes } from '../../lib/crypto/index.js';
import { backup } from '../../lib/index.js';
import type { Entry } from '../../lib/manifest/types.js';
import { ReadBuffer } from '../../lib/posix/directory.js';
import { makeNode } from '../../lib/posix/nodes.js';
import { Machine } from '../repository/fixture.js';
import { scratchDirectory } from '../trees.js';
import { keys, Reading, sumOfFile } from './big-file-reading.js';

const MiB = 1024 * 1024;

/** Bytes that do not compress and never repeat, quickly. */
function writeRandom(path: string, size_bytes: number): void {
  const fd = fs.openSync(path, 'w');
  for (let left = size_bytes; left > 0; left -= 8 * MiB)
    fs.writeSync(fd, randomBytes(Math.min(left, 8 * MiB)));
  fs.closeSync(fd);
}

function change(path: string, position: number, bytes: Uint8Array): void {
  const fd = fs.openSync(path, 'r+');
  fs.writeSync(fd, bytes, 0, bytes.length, position);
  fs.closeSync(fd);
}

function insert(path: string, position: number, bytes: Uint8Array): void {
  const content = fs.readFileSync(path);
  fs.writeFileSync(path, Buffer.concat([content.subarray(0, position), bytes, content.subarray(position)]));
}

const openDescriptors = (): number => fs.readdirSync('/proc/self/fd').length;
const chunk_bytes = 4 * MiB;

void t.test('new, then changed in every way: only what is new is stored', async (t) => {
  const reading = new Reading(scratchDirectory(t));
  const path = reading.path('file');
  const size_bytes = 100 * MiB + 12_345;
  writeRandom(path, size_bytes);
  const descriptors = openDescriptors();
  let entry = await reading.entry(t, 'file');
  t.equal(reading.newBytes, size_bytes);
  t.equal(entry.size_bytes, size_bytes);
  const first = entry;

  entry = await reading.entry(t, 'file', first);
  t.equal(reading.newBytes, 0, 'unchanged');
  t.strictSame(entry.content, first.content);

  const middle = change.bind(undefined, path, size_bytes >> 1);
  middle(Buffer.from('!'));
  entry = await reading.entry(t, 'file', first);
  t.ok(reading.newBytes > 0 && reading.newBytes <= chunk_bytes, `one byte: ${reading.newBytes} bytes`);
  const same = entry.content.filter((segment, index) => {
    const before = first.content[index];
    return (
      segment.kind === 'chunk' && before?.kind === 'chunk' && Buffer.compare(segment.id, before.id) === 0
    );
  });
  t.equal(same.length, first.content.length - 1, 'one chunk');

  insert(path, 80 * MiB, Buffer.from('inserted'));
  entry = await reading.entry(t, 'file', entry);
  t.ok(reading.newBytes <= 2 * chunk_bytes, `in the middle: ${reading.newBytes} bytes`);
  insert(path, 0, Buffer.from('at the start'));
  entry = await reading.entry(t, 'file', entry);
  t.ok(reading.newBytes <= 2 * chunk_bytes, `at the start: ${reading.newBytes} bytes`);

  fs.appendFileSync(path, randomBytes(3 * MiB));
  entry = await reading.entry(t, 'file', entry);
  t.ok(reading.newBytes <= 3 * MiB + chunk_bytes, `grown: ${reading.newBytes} bytes`);
  fs.truncateSync(path, 70 * MiB + 1);
  entry = await reading.entry(t, 'file', entry);
  t.ok(reading.newBytes <= chunk_bytes, `cut off: ${reading.newBytes} bytes`);
  fs.truncateSync(path, 0);
  entry = await reading.entry(t, 'file', entry);
  t.strictSame(entry.content, []);
  t.equal(openDescriptors(), descriptors);
});

void t.test('the same cuts for any number of workers, and as a small file is cut', async (t) => {
  const root = scratchDirectory(t);
  writeRandom(`${root}/file`, 80 * MiB);
  const contents: unknown[] = [];
  for (const width of [1, 16]) {
    const reading = new Reading(root);
    const result = await reading.read('file', undefined, width);
    t.ok('entry' in result);
    if ('entry' in result) contents.push(result.entry.content);
  }
  t.strictSame(contents[1], contents[0]);
  const cutter = new Cutter(expandGear(keys), window_bytes);
  const fd = fs.openSync(`${root}/file`, 'r');
  const cuts: number[] = [];
  readCut({ cutter, window: new ReadBuffer(cutter.window) }, fd, 0, 80 * MiB, (plain) => {
    cuts.push(plain.length);
    return true;
  });
  fs.closeSync(fd);
  t.strictSame(
    (contents[0] as Entry['content']).map(({ size_bytes }) => size_bytes),
    cuts,
  );
});

void t.test('holes anywhere, and their coming and going', async (t) => {
  const reading = new Reading(scratchDirectory(t));
  const path = reading.path('sparse');
  fs.writeFileSync(path, '');
  fs.truncateSync(path, 200 * MiB);
  let entry = await reading.entry(t, 'sparse');
  t.strictSame(entry.content, [{ kind: 'hole', size_bytes: 200 * MiB }]);
  change(path, 70 * MiB, randomBytes(5 * MiB));
  entry = await reading.entry(t, 'sparse', entry);
  t.match(entry.content[0], { kind: 'hole', size_bytes: 70 * MiB });
  t.match(entry.content.at(-1), { kind: 'hole', size_bytes: 125 * MiB });
  change(path, 0, randomBytes(100_000));
  change(path, 200 * MiB - 10, randomBytes(10));
  change(path, 150 * MiB, randomBytes(1));
  entry = await reading.entry(t, 'sparse', entry);
  t.ok(reading.newBytes < MiB, 'what was there stays');
  t.equal(entry.content.filter(({ kind }) => kind === 'hole').length, 4 - 1);
  change(path, 72 * MiB, Buffer.of(1));
  entry = await reading.entry(t, 'sparse', entry);
  t.ok(reading.newBytes <= chunk_bytes);
  fs.truncateSync(path, 71 * MiB);
  fs.truncateSync(path, 90 * MiB);
  entry = await reading.entry(t, 'sparse', entry);
  t.match(entry.content.at(-1), { kind: 'hole' });
});

/** Runs `act` before the n-th request. */
const atRequest = (n: number, act: () => void) => {
  let count = 0;
  return () => {
    if (++count === n) act();
  };
};

void t.test('it changes while it is read: read once more', async (t) => {
  const acts: Record<string, (path: string) => void> = {
    shrinks: (path) => fs.truncateSync(path, 3 * MiB),
    'is emptied': (path) => fs.truncateSync(path, 0),
    grows: (path) => fs.appendFileSync(path, randomBytes(2 * MiB)),
    'is written to': (path) => change(path, 20 * MiB, Buffer.from('other')),
  };
  for (const [name, act] of Object.entries(acts)) {
    for (const n of [1, 2, 3]) {
      const reading = new Reading(scratchDirectory(t));
      const path = reading.path('file');
      writeRandom(path, 24 * MiB);
      reading.onAsk = atRequest(n, () => act(path));
      const result = await reading.read('file');
      t.ok('entry' in result && result.isStable, `${name} at request ${n}`);
      if ('entry' in result) t.equal(reading.sumOf(result.entry), sumOfFile(path));
      fs.rmSync(path);
    }
  }
});

void t.test('it changes all the time: stored as read, and told of', async (t) => {
  const reading = new Reading(scratchDirectory(t));
  const path = reading.path('file');
  writeRandom(path, 40 * MiB);
  let left = 40 * MiB;
  reading.onAsk = () => fs.truncateSync(path, (left -= 3 * MiB + 1));
  const result = await reading.read('file');
  t.ok('entry' in result && !result.isStable);
  if (!('entry' in result)) return;
  const { content, size_bytes } = result.entry;
  t.equal(
    content.reduce((sum, segment) => sum + segment.size_bytes, 0),
    size_bytes,
  );
});

void t.test('another file takes its name, or none: it is read to its end all the same', async (t) => {
  for (const [name, act] of Object.entries({
    replaced: (path: string) => fs.renameSync(`${path}-other`, path),
    removed: (path: string) => fs.rmSync(path),
  })) {
    for (const n of [1, 3]) {
      const reading = new Reading(scratchDirectory(t));
      const path = reading.path('file');
      writeRandom(path, 24 * MiB);
      writeRandom(`${path}-other`, MiB);
      const sum = sumOfFile(path);
      const { ino } = fs.statSync(path, { bigint: true });
      reading.onAsk = atRequest(n, () => act(path));
      const result = await reading.read('file');
      t.ok('entry' in result, `${name} at request ${n}`);
      if (!('entry' in result)) continue;
      t.equal(reading.sumOf(result.entry), sum, 'its own content');
      t.equal(result.entry.inode, ino);
      t.equal(result.entry.size_bytes, 24 * MiB);
    }
  }
});

void t.test('a directory on the way is exchanged before the file is opened', async (t) => {
  const reason = 'it was replaced by something else while the backup ran';
  for (const exchanged of ['a', 'a/b'])
    for (const becomes of ['symlink', 'directory', 'file', 'nothing'] as const) {
      const reading = new Reading(scratchDirectory(t));
      for (const top of ['.', 'elsewhere']) {
        fs.mkdirSync(reading.path(`${top}/a/b`), { recursive: true });
        writeRandom(reading.path(`${top}/a/b/file`), MiB);
      }
      const descriptors = openDescriptors();
      reading.beforeOpen = () => {
        fs.renameSync(reading.path(exchanged), reading.path('away'));
        const instead = reading.path(`elsewhere/${exchanged}`);
        if (becomes === 'symlink') fs.symlinkSync(instead, reading.path(exchanged));
        if (becomes === 'directory') fs.renameSync(instead, reading.path(exchanged));
        if (becomes === 'file') fs.writeFileSync(reading.path(exchanged), '');
      };
      const result = await reading.read('a/b/file');
      const wanted = becomes === 'nothing' ? { reason: 'it vanished while the backup ran' } : { reason };
      t.strictSame(result, wanted, `${exchanged} becomes ${becomes}`);
      t.equal(reading.stored.size, 0);
      t.equal(openDescriptors(), descriptors);
    }
});

void t.test('what cannot be read costs itself only; what cannot be stored costs the run', async (t) => {
  const reading = new Reading(scratchDirectory(t));
  writeRandom(reading.path('file'), 20 * MiB);
  fs.symlinkSync('file', reading.path('link'));
  fs.mkdirSync(reading.path('directory'));
  makeNode(Buffer.from(reading.path('fifo')), 'fifo');
  const descriptors = openDescriptors();
  t.strictSame(await reading.read('nowhere'), { reason: 'it vanished while the backup ran' });
  for (const name of ['link', 'directory', 'fifo'])
    t.strictSame(await reading.read(name), {
      reason: 'it was replaced by something else while the backup ran',
    });
  for (const kind of ['cut', 'identify', 'store'] as const) {
    const entry = await reading.entry(t, 'file');
    change(reading.path('file'), 0, randomBytes(1));
    reading.onAsk = (request) => {
      if (request.kind === kind) throw new Error('no room');
    };
    await t.rejects(reading.read('file', entry), { message: 'no room' });
    // As a disk that cannot read a sector: a descriptor that is none.
    reading.onAsk = (request) => {
      if (request.kind === kind) Object.assign(request, { fd: 1_000_000 });
    };
    t.match(await reading.read('file', entry), { reason: /EBADF/ });
    reading.onAsk = () => undefined;
  }
  t.equal(openDescriptors(), descriptors);
});

void t.test('two of them in a backup, from first to last', async (t) => {
  const machine = new Machine(t);
  const at = (name: string) => machine.at('source', name);
  writeRandom(at('a'), bigFile_bytes + 123);
  fs.writeFileSync(at('b'), '');
  fs.truncateSync(at('b'), 2 * bigFile_bytes);
  change(at('b'), bigFile_bytes, randomBytes(MiB));
  machine.write('between', 'small');
  const repository = await machine.open();
  const check = async (version: number, wanted: object) => {
    const result = await backup(repository, machine.source);
    t.match(result, { version, unreadable: [], unstable: [], ...wanted });
    t.strictSame(await machine.restored(repository, version), machine.described());
    return result;
  };
  await check(1, { added: 4, tree: { files: 3, bytes: 3 * bigFile_bytes + 123 + 5 } });
  change(at('a'), bigFile_bytes >> 1, Buffer.from('!'));
  change(at('b'), bigFile_bytes + 1000, Buffer.from('!'));
  const { newBytes } = await check(2, { changed: 2, added: 0, removed: 0 });
  t.ok(newBytes > 0 && newBytes <= 2 * chunk_bytes);
  fs.rmSync(at('a'));
  fs.symlinkSync('between', at('a'));
  fs.rmSync(at('b'));
  fs.mkdirSync(at('b'));
  machine.write('b/inside', 'x');
  await check(3, { tree: { files: 2, directories: 2, others: 1 } });
  fs.rmSync(at('b'), { recursive: true });
  fs.writeFileSync(at('b'), '');
  fs.truncateSync(at('b'), bigFile_bytes);
  await check(4, { removed: 1, tree: { files: 2, directories: 1, bytes: bigFile_bytes + 5 } });
});
