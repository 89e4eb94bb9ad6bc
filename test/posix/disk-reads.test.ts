// What a read waits for: a disk, or only for a core.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import t from 'tap';
import { systemClock } from '../../lib/clock.js';
import { closeFile, holdRoot, OpenDirectory, ReadBuffer } from '../../lib/posix/directory.js';
import { scratchDirectory } from '../trees.js';

const size_bytes = 4 * 1024 * 1024;

/** Whether what is dropped from memory comes back from a disk: not so in a file system that lives there. */
const isOnDisk = (file: string): boolean =>
  process.platform === 'linux' &&
  !['tmpfs', 'ramfs'].includes(execFileSync('stat', ['-f', '-c', '%T', file], { encoding: 'utf8' }).trim());

t.test('of reads that take long those that a disk is read for are waits', (t) => {
  const root = scratchDirectory(t);
  const file = path.join(root, 'file');
  fs.writeFileSync(file, randomBytes(size_bytes), { flush: true });
  const directory = new OpenDirectory(holdRoot(Buffer.from(root)).root);
  t.teardown(() => directory.close());
  const window = new ReadBuffer(Buffer.allocUnsafeSlow(size_bytes));
  // Every read takes a second.
  let now_ms = 0;
  t.intercept(systemClock, 'monotonic_ms', { value: () => (now_ms += 1000) });
  const read = (): number => {
    const before = window.waits;
    const fd = directory.open(directory.names(), 0);
    for (let at = 0; at < size_bytes;) at += window.read(fd, at, size_bytes - at, at);
    closeFile(fd);
    return window.waits - before;
  };
  read();
  t.equal(read(), 0, 'it is in memory');
  if (isOnDisk(file)) {
    execFileSync('dd', [`if=${file}`, 'iflag=nocache', 'count=0'], { stdio: 'ignore' });
    t.ok(read() > 0, 'it is not');
  }
  t.end();
});
