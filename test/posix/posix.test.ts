// The C library's calls, each on a real file system: what was set is read back by another way (Node's fs, or the same call
// on another name).

import fs from 'node:fs';
import path from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import fc from 'fast-check';
import { setMode, setModified } from '../../lib/posix/attributes.js';
import { lockHolder, tryLock } from '../../lib/posix/flock.js';
import { errorCode } from '../../lib/posix/libc.js';
import { openLong, withReachable } from '../../lib/posix/long-path.js';
import { groupName, userName } from '../../lib/posix/names.js';
import { joinDevice, makeNode, splitDevice } from '../../lib/posix/nodes.js';
import { readiness } from '../../lib/posix/poll.js';
import { dataExtents } from '../../lib/posix/sparse.js';
import { scratchDirectory } from '../trees.js';
import { getXattr, listXattrs, readXattrs, removeXattr, setXattr } from '../../lib/posix/xattr.js';
import { runs } from '../runs.js';

const codeOf = (call: () => unknown): string | undefined => {
  try {
    call();
    return undefined;
  } catch (error) {
    return errorCode(error);
  }
};

t.test('xattrs: raw names and values, empty ones, many, on links, missing', (t) => {
  const directory = t.testdir({ file: 'x', link: t.fixture('symlink', 'file') });
  const file = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0x0a, 0x41])]);
  fs.writeFileSync(file, '');
  t.strictSame(readXattrs(file), []);
  const name = Buffer.concat([Buffer.from('user.'), Buffer.from([0xfe, 0x20])]);
  setXattr(file, name, Buffer.from([0, 1, 255]));
  setXattr(file, Buffer.from('user.empty'), Buffer.alloc(0));
  t.strictSame(readXattrs(file), [
    { name: Buffer.from('user.empty'), value: Buffer.alloc(0) },
    { name, value: Buffer.from([0, 1, 255]) },
  ]);
  removeXattr(file, name);
  removeXattr(file, name);
  t.equal(getXattr(file, name), undefined);
  t.strictSame(listXattrs(Buffer.from(path.join(directory, 'link'))), [], 'a link has its own');
  t.equal(
    codeOf(() => readXattrs(Buffer.from(path.join(directory, 'nothing')))),
    'ENOENT',
  );
  t.end();
});

t.test('times: every nanosecond, before 1970, of a symlink itself', (t) => {
  const directory = t.testdir({ file: 'x', link: t.fixture('symlink', 'nowhere') });
  for (const name of ['file', 'link']) {
    const at = Buffer.from(path.join(directory, name));
    const before_ns = fs.lstatSync(at, { bigint: true }).atimeNs;
    const times_ns = [0n, 1n, -1n, -1_999_999_999n, 1_700_000_000_123_456_789n, -2_000_000_000n];
    for (const time_ns of times_ns) {
      setModified(at, time_ns);
      t.equal(fs.lstatSync(at, { bigint: true }).mtimeNs, time_ns);
    }
    t.equal(fs.lstatSync(at, { bigint: true }).atimeNs, before_ns, 'the access time stays');
  }
  t.end();
});

t.test('modes: all twelve bits, never through a symlink', (t) => {
  const directory = t.testdir({ file: 'x', link: t.fixture('symlink', 'file') });
  const file = Buffer.from(path.join(directory, 'file'));
  for (const mode of [0, 0o7777, 0o4711, 0o640]) {
    setMode(file, mode);
    t.equal(fs.lstatSync(file).mode & 0o7777, mode);
  }
  t.ok(codeOf(() => setMode(Buffer.from(path.join(directory, 'link')), 0o777)));
  t.equal(fs.lstatSync(file).mode & 0o7777, 0o640);
  t.end();
});

t.test('extents of a sparse file', (t) => {
  const file = path.join(t.testdir(), 'sparse');
  const fd = fs.openSync(file, 'w+');
  fs.writeSync(fd, Buffer.alloc(4096, 1), 0, 4096, 1 << 20);
  fs.ftruncateSync(fd, 3 << 20);
  t.strictSame([...dataExtents(fd, 0, 3 << 20)], [{ offset: 1 << 20, size_bytes: 4096 }]);
  t.strictSame(
    [...dataExtents(fd, (1 << 20) + 100, (1 << 20) + 200)],
    [{ offset: (1 << 20) + 100, size_bytes: 100 }],
  );
  t.strictSame([...dataExtents(fd, 0, 0)], []);
  fs.closeSync(fd);
  const pipe = fs.openSync('/dev/null', 'r');
  t.strictSame([...dataExtents(pipe, 0, 10)].length <= 1, true, 'a place without holes is no error');
  fs.closeSync(pipe);
  t.end();
});

t.test('a lock is held by one, names its holder, and ends with its process', async (t) => {
  const file = path.join(t.testdir(), 'lock');
  const lock = tryLock(file);
  t.ok(lock);
  t.equal(lockHolder(file), process.pid);
  t.equal(tryLock(file), undefined);
  lock?.release();
  lock?.release();
  const script = `import { tryLock } from ${JSON.stringify(new URL('../../lib/posix/flock.js', import.meta.url))};
      if (tryLock(process.argv[1])) console.log('held');
      setInterval(() => undefined, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  t.equal(tryLock(file), undefined);
  t.equal(lockHolder(file), child.pid);
  child.kill('SIGKILL');
  await once(child, 'exit');
  const again = tryLock(file);
  t.ok(again, 'a dead process leaves none');
  again?.release();
  t.equal(lockHolder(path.join(path.dirname(file), 'none')), undefined);
});

t.test('nodes and device numbers', (t) => {
  const directory = t.testdir();
  makeNode(Buffer.from(`${directory}/fifo`), 'fifo');
  makeNode(Buffer.from(`${directory}/socket`), 'socket');
  t.ok(fs.lstatSync(`${directory}/fifo`).isFIFO());
  t.ok(fs.lstatSync(`${directory}/socket`).isSocket());
  t.equal(
    codeOf(() => makeNode(Buffer.from(`${directory}/fifo`), 'fifo')),
    'EEXIST',
  );
  t.strictSame(splitDevice(fs.statSync('/dev/null', { bigint: true }).rdev), { major: 1, minor: 3 });
  fc.assert(
    fc.property(fc.nat(0xffffffff), fc.nat(0xffffffff), (major, minor) => {
      t.same(splitDevice(joinDevice(major, minor)), { major, minor }, { diagnostic: false });
    }),
    runs(50),
  );
  t.end();
});

t.test('names of users and groups', (t) => {
  t.equal(userName(0), 'root');
  t.equal(groupName(0), 'root');
  t.equal(userName(4_000_000_000), undefined);
  t.equal(groupName(4_000_000_000), undefined);
  t.end();
});

t.test('paths longer than the kernel takes', (t) => {
  let deep: Buffer = Buffer.from(scratchDirectory(t));
  for (let level = 0; level < 45; level++) {
    deep = Buffer.concat([deep, Buffer.from(`/${'d'.repeat(200)}`)]);
    withReachable(deep, (reachable) => fs.mkdirSync(reachable));
  }
  const file = Buffer.concat([deep, Buffer.from('/file')]);
  t.ok(file.length > 9000);
  t.equal(
    codeOf(() => fs.lstatSync(file)),
    'ENAMETOOLONG',
  );
  withReachable(file, (reachable) => fs.writeFileSync(reachable, 'far down'));
  const fd = openLong(file, fs.constants.O_RDONLY);
  t.equal(fs.readFileSync(fd, 'utf8'), 'far down');
  fs.closeSync(fd);
  t.equal(
    codeOf(() => openLong(Buffer.from(`/${'x'.repeat(5000)}`), fs.constants.O_RDONLY)),
    'ENAMETOOLONG',
  );
  t.end();
});

t.test('whether there is something to read, told without waiting', (t) => {
  const fifo = Buffer.from(`${scratchDirectory(t)}/fifo`);
  makeNode(fifo, 'fifo');
  const fd = fs.openSync(fifo, 'r+');
  const isReady = readiness(fd);
  t.notOk(isReady());
  fs.writeSync(fd, 'x');
  t.ok(isReady());
  fs.readSync(fd, Buffer.alloc(1));
  t.notOk(isReady());
  fs.closeSync(fd);
  t.ok(isReady(), 'reading would tell that it is closed');
  t.end();
});
