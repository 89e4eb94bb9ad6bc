// One file at a time: what is read of it while it changes, where it has holes, and whose failure is whose.

import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { FileReader } from '../../lib/backup/file-reader.js';
import { scan } from '../../lib/backup/scan.js';
import { makeExcludes } from '../../lib/backup/exclude.js';
import { chunkLimits, gearTable } from '../../lib/chunking/index.js';
import { randomBytes, sha256 } from '../../lib/crypto/index.js';
import type { Entry } from '../../lib/manifest/types.js';
import { scratchDirectory } from '../trees.js';

const gear = gearTable(randomBytes(1024));

function entryOf(root: string, name: string): Entry {
  const options = { root: Buffer.from(root), excludes: makeExcludes([]), oneFileSystem: false };
  for (const found of scan({ ...options, excludeCaches: false, skip: [] }))
    if (found.kind === 'entry' && found.path.toString() === name) return found.complete()!;
  throw new Error(`no ${name}`);
}

void t.test('what cannot be stored is no unreadable file: it ends the run', async (t) => {
  const root = scratchDirectory(t);
  fs.writeFileSync(path.join(root, 'file'), 'content');
  const failure = new Error('out of memory');
  const storeChunk = (): never => {
    throw failure;
  };
  const reader = new FileReader({ root: Buffer.from(root), gear, storeChunk });
  t.throws(() => reader.read(Buffer.from('file'), entryOf(root, 'file')), failure);
});

void t.test('every size around the limits of a chunk comes back, holes too', async (t) => {
  const root = scratchDirectory(t);
  const { minimum_bytes, average_bytes, maximum_bytes } = chunkLimits;
  const window_bytes = 8 << 20;
  const limits = [0, 4096, 128 << 10, minimum_bytes, average_bytes, maximum_bytes, window_bytes];
  let stored: Buffer[] = [];
  const storeChunk = (plain: Uint8Array): Buffer => {
    stored.push(Buffer.from(plain));
    return sha256(plain);
  };
  const reader = new FileReader({ root: Buffer.from(root), gear, storeChunk });
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
      const result = reader.read(Buffer.from('file'), entryOf(root, 'file'));
      if (!('entry' in result)) throw new Error(result.reason);
      const parts = result.entry.content.map((segment) =>
        segment.kind === 'hole' ? Buffer.alloc(segment.size_bytes) : stored.shift()!,
      );
      const whole = Buffer.concat(parts);
      if (
        !whole.equals(fs.readFileSync(file)) ||
        result.entry.size_bytes !== whole.length ||
        !result.isStable
      )
        t.fail(`${fill}, ${size_bytes} bytes`);
      if (parts.some(({ length }) => length === 0)) t.fail(`an empty part of ${size_bytes} bytes`);
    }
  }
});

void t.test('a file that changes while it is read is read again, and told of if it goes on', async (t) => {
  const root = scratchDirectory(t);
  const file = path.join(root, 'file');
  const size_bytes = 9 << 20;
  for (const change of ['grows', 'shrinks', 'is overwritten', 'is replaced']) {
    for (const times of [1, 2]) {
      fs.writeFileSync(file, Buffer.alloc(size_bytes, 'a'));
      const scanned = entryOf(root, 'file');
      let left = times;
      let read = 0;
      const storeChunk = (plain: Uint8Array): Buffer => {
        read += plain.length;
        // Once in each reading, after its first chunk.
        if (left > 0 && read > (times - left) * (size_bytes + 1) && read % size_bytes !== 0) {
          left--;
          if (change === 'grows') fs.appendFileSync(file, 'more');
          else if (change === 'shrinks') fs.truncateSync(file, 5 << 20);
          else if (change === 'is overwritten') fs.writeFileSync(file, Buffer.alloc(size_bytes, 'b'));
          else {
            fs.writeFileSync(`${file}.new`, 'new');
            fs.renameSync(`${file}.new`, file);
          }
        }
        return sha256(plain);
      };
      const reader = new FileReader({ root: Buffer.from(root), gear, storeChunk });
      const result = reader.read(Buffer.from('file'), scanned);
      if (!('entry' in result)) throw new Error(result.reason);
      const sum_bytes = result.entry.content.reduce((sum, segment) => sum + segment.size_bytes, 0);
      t.equal(result.entry.size_bytes, sum_bytes);
      if (times === 1 && change !== 'is replaced') {
        t.equal(result.isStable, true, `${change} once: read again`);
        t.equal(result.entry.size_bytes, fs.statSync(file).size);
      }
      // One that is not stable must not count as unchanged in the next run.
      const now = fs.statSync(file, { bigint: true });
      const looksUnchanged = now.ctimeNs === result.entry.ctime_ns && now.ino === result.entry.inode;
      t.ok(result.isStable || !looksUnchanged, `${change} ${times} times: seen again by the next run`);
    }
  }
});
