// One file at a time: what is read of it while it changes, where it has holes, and whose failure is whose.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import {
  FileReader,
  type FileReaderOptions,
  type ReadResult,
  window_bytes,
} from '../../lib/backup/file-reader.js';
import { chunkLimits, Cutter } from '../../lib/chunking/index.js';
import { systemClock } from '../../lib/clock.js';
import { randomBytes, sha256 } from '../../lib/crypto/index.js';
import type { StoredSegment } from '../../lib/manifest/row-stream.js';
import { holdRoot, OpenDirectory, ReadBuffer } from '../../lib/posix/directory.js';
import { FileStatus } from '../../lib/posix/status.js';
import { scratchDirectory } from '../trees.js';

const cutter = new Cutter(randomBytes(1024), window_bytes);
const window = new ReadBuffer(cutter.window);

type StoreChunk = FileReaderOptions['storeChunk'];

function newReader(storeChunk: StoreChunk, clock = systemClock): FileReader {
  return new FileReader({ cutter, window, storeChunk, clock });
}

const segmentOf = (plain: Uint8Array): StoredSegment => ({
  id: sha256(plain),
  size_bytes: plain.length,
  own: undefined,
});

/** Looks at the file, lets `meanwhile` happen, and reads it. */
function read(
  root: string,
  storeChunk: StoreChunk,
  meanwhile: () => void = () => undefined,
  clock = systemClock,
): ReadResult {
  const directory = new OpenDirectory(holdRoot(Buffer.from(root)).root);
  try {
    const names = directory.names();
    const index = names.indexOf(Buffer.from('file'));
    const seen = new FileStatus();
    directory.look(names, index, seen);
    meanwhile();
    return newReader(storeChunk, clock).read(() => directory.open(names, index), seen);
  } finally {
    directory.close();
  }
}

void t.test('what cannot be stored is no unreadable file: it ends the run', async (t) => {
  const root = scratchDirectory(t);
  fs.writeFileSync(path.join(root, 'file'), 'content');
  const failure = new Error('out of memory');
  const storeChunk = (): never => {
    throw failure;
  };
  t.throws(() => read(root, storeChunk), failure);
});

void t.test('every size around the limits of a chunk comes back, holes too', async (t) => {
  const root = scratchDirectory(t);
  const { minimum_bytes, average_bytes, maximum_bytes } = chunkLimits;
  const limits = [0, 4096, 128 << 10, minimum_bytes, average_bytes, maximum_bytes, window_bytes];
  let stored: Buffer[] = [];
  const storeChunk = (plain: Uint8Array): StoredSegment => {
    stored.push(Buffer.from(plain));
    return segmentOf(plain);
  };
  for (const size_bytes of limits.flatMap((limit) => [limit - 1, limit, limit + 1])) {
    if (size_bytes < 0) continue;
    for (const fill of ['zeros', 'hole before', 'hole behind', 'one hole']) {
      const file = path.join(root, 'file');
      fs.rmSync(file, { force: true });
      const content = Buffer.alloc(size_bytes);
      const fd = fs.openSync(file, 'w');
      fs.ftruncateSync(fd, size_bytes);
      if (fill === 'zeros') fs.writeSync(fd, content, 0, size_bytes, 0);
      if (fill === 'hole before') fs.writeSync(fd, 'x', Math.max(0, size_bytes - 1));
      if (fill === 'hole behind' && size_bytes > 0) fs.writeSync(fd, 'x', 0);
      fs.closeSync(fd);
      stored = [];
      const result = read(root, storeChunk);
      if ('reason' in result) throw new Error(result.reason);
      const parts = result.content.map((segment) =>
        segment.id === undefined ? Buffer.alloc(segment.size_bytes) : stored.shift()!,
      );
      const whole = Buffer.concat(parts);
      if (!whole.equals(fs.readFileSync(file)) || result.size_bytes !== whole.length || !result.isStable)
        t.fail(`${fill}, ${size_bytes} bytes`);
      if (parts.some(({ length }) => length === 0)) t.fail(`an empty part of ${size_bytes} bytes`);
    }
  }
});

void t.test('a hole is found where attributes take as much of the disk as it saves', (t) => {
  const root = scratchDirectory(t);
  const file = path.join(root, 'file');
  fs.writeFileSync(file, '');
  fs.truncateSync(file, 4096);
  execFileSync('setfattr', ['-n', 'user.large', '-v', 'x'.repeat(1000), file]);
  const result = read(root, () => {
    throw new Error('there is nothing to store');
  });
  if ('reason' in result) throw new Error(result.reason);
  t.match(result.content, [{ size_bytes: 4096, id: undefined }]);
  t.end();
});

void t.test('a file that changes while it is read is read again, and told of if it goes on', async (t) => {
  const root = scratchDirectory(t);
  const file = path.join(root, 'file');
  const size_bytes = 9 << 20;
  for (const change of ['grows', 'shrinks', 'is overwritten', 'is replaced']) {
    for (const times of [1, 2]) {
      fs.writeFileSync(file, Buffer.alloc(size_bytes, 'a'));
      let left = times;
      let read_bytes = 0;
      const storeChunk = (plain: Uint8Array): StoredSegment => {
        read_bytes += plain.length;
        // Once in each reading, after its first chunk.
        if (left > 0 && read_bytes > (times - left) * (size_bytes + 1) && read_bytes % size_bytes !== 0) {
          left--;
          if (change === 'grows') fs.appendFileSync(file, 'more');
          else if (change === 'shrinks') fs.truncateSync(file, 5 << 20);
          else if (change === 'is overwritten') fs.writeFileSync(file, Buffer.alloc(size_bytes, 'b'));
          else {
            fs.writeFileSync(`${file}.new`, 'new');
            fs.renameSync(`${file}.new`, file);
          }
        }
        return segmentOf(plain);
      };
      const result = read(root, storeChunk);
      if ('reason' in result) throw new Error(result.reason);
      const sum_bytes = result.content.reduce((sum, segment) => sum + segment.size_bytes, 0);
      t.equal(result.size_bytes, sum_bytes);
      if (times === 1 && change !== 'is replaced') {
        t.equal(result.isStable, true, `${change} once: read again`);
        t.equal(result.size_bytes, fs.statSync(file).size);
      }
      // One that is not stable must not count as unchanged in the next run.
      const now = new FileStatus();
      now.setStats(fs.statSync(file, { bigint: true }));
      const looksUnchanged = now.isSameState(result.status);
      t.ok(result.isStable || !looksUnchanged, `${change} ${times} times: seen again by the next run`);
    }
  }
});

void t.test(
  'a file written to a moment ago is whole if it reads the same twice: its times would not tell',
  async (t) => {
    const root = scratchDirectory(t);
    const file = path.join(root, 'file');
    fs.writeFileSync(file, 'content');
    const written_ns = fs.statSync(file, { bigint: true }).ctimeNs;
    for (const [age_ms, changes, readings, isStable] of [
      [1000, 9, 1, true],
      [1, 0, 2, true],
      [1, 1, 3, true],
      [1, 9, 3, false],
    ] as const) {
      const clock = { ...systemClock, now_ns: () => written_ns + BigInt(age_ms) * 1_000_000n };
      let count = 0;
      // As if it had other content each time, and no tick had passed.
      const storeChunk = (plain: Uint8Array): StoredSegment =>
        segmentOf(Buffer.concat([plain, Buffer.from(`${Math.min(count++, changes)}`)]));
      const result = read(
        root,
        (plain) => ({ ...storeChunk(plain), size_bytes: plain.length }),
        undefined,
        clock,
      );
      t.match(result, { isStable, size_bytes: 7 }, `${changes} changes, ${age_ms} ms old`);
      t.equal(count, readings);
    }
  },
);

void t.test('a file that was written to, or replaced, between the look at it and the reading', async (t) => {
  const root = scratchDirectory(t);
  const file = path.join(root, 'file');
  for (const change of ['is overwritten', 'is replaced', 'becomes a fifo', 'vanishes']) {
    fs.rmSync(file, { force: true });
    fs.writeFileSync(file, 'before');
    const result = read(root, segmentOf, () => {
      if (change === 'is overwritten') fs.writeFileSync(file, 'other');
      else fs.rmSync(file);
      if (change === 'is replaced') fs.writeFileSync(file, 'other');
      if (change === 'becomes a fifo') execFileSync('mkfifo', [file]);
    });
    if (change === 'becomes a fifo' || change === 'vanishes') t.ok('reason' in result, change);
    else if ('reason' in result) t.fail(result.reason);
    else {
      t.strictSame(result.content, [segmentOf(Buffer.from('other'))], change);
      t.ok(result.isStable);
    }
  }
});
