// Directories by descriptor: the fast way through the C library and the portable one through node:fs say what node:fs says.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import * as fast from '../../lib/posix/directory.js';
import { NameList } from '../../lib/posix/name-list.js';
import { joinDevice, makeNode } from '../../lib/posix/nodes.js';
import { FileStatus, statx_bytes } from '../../lib/posix/status.js';
import { readXattrs, setXattr } from '../../lib/posix/xattr.js';
import { scratchDirectory } from '../trees.js';

const portable = await loadPortable();
const ways = { fast, portable };
const isRoot = process.getuid?.() === 0;

/** The module once more, as it is where there is no statx. */
async function loadPortable(): Promise<typeof fast> {
  const url = new URL('../../lib/posix/directory.js?portable', import.meta.url).href;
  const module = (await import(url)) as typeof fast;
  const platform = Object.getOwnPropertyDescriptor(process, 'platform')!;
  Object.defineProperty(process, 'platform', { ...platform, value: 'elsewhere' });
  try {
    // It finds out with its first question, and remembers.
    module.closeFile(module.holdRoot(Buffer.from(os.tmpdir())).root.descriptor);
  } finally {
    Object.defineProperty(process, 'platform', platform);
  }
  return module;
}

/** The directory at a path, which stays open until the test file has ended. */
const openAt = ({ OpenDirectory, holdRoot }: typeof fast, directory: string): fast.OpenDirectory =>
  new OpenDirectory(holdRoot(Buffer.from(directory)).root);

/** What a status says, in the terms of node:fs. */
const told = (status: FileStatus) => ({
  mode: BigInt(status.mode),
  uid: BigInt(status.uid),
  gid: BigInt(status.gid),
  links: BigInt(status.links),
  size: BigInt(status.size_bytes),
  allocated: BigInt(status.allocated_bytes),
  mtime_ns: BigInt(status.mtime_s) * 1_000_000_000n + BigInt(status.mtimeRest_ns),
  ctime_ns: BigInt(status.ctime_s) * 1_000_000_000n + BigInt(status.ctimeRest_ns),
  isRestInSecond: status.mtimeRest_ns < 1e9 && status.ctimeRest_ns < 1e9,
  inode: (BigInt(status.inodeHigh) << 32n) | BigInt(status.inodeLow),
  device: (BigInt(status.deviceHigh) << 32n) | BigInt(status.deviceLow),
  rdev: joinDevice(status.rdevMajor, status.rdevMinor),
});

const expected = (stats: fs.BigIntStats): ReturnType<typeof told> => ({
  mode: stats.mode,
  uid: stats.uid,
  gid: stats.gid,
  links: stats.nlink,
  size: stats.size,
  allocated: stats.blocks * 512n,
  mtime_ns: stats.mtimeNs,
  ctime_ns: stats.ctimeNs,
  isRestInSecond: true,
  inode: stats.ino,
  device: stats.dev,
  rdev: stats.rdev,
});

const names = (list: NameList) => Array.from({ length: list.count }, (_, index) => list.name(index));

function makeEntries(root: string): void {
  fs.writeFileSync(path.join(root, 'file'), 'content', { mode: 0o4751 });
  fs.linkSync(path.join(root, 'file'), path.join(root, 'link'));
  fs.mkdirSync(path.join(root, 'directory'), { mode: 0o1700 });
  fs.symlinkSync('file', path.join(root, 'symlink'));
  fs.symlinkSync('nowhere', path.join(root, 'dangling'));
  const before1970 = path.join(root, 'before 1970');
  fs.writeFileSync(before1970, '');
  fs.utimesSync(before1970, -1000.75, -1000.75);
  const late = path.join(root, 'late');
  fs.writeFileSync(late, '');
  fs.utimesSync(late, 2 ** 33 + 0.5, 2 ** 33 + 0.5);
  const large = path.join(root, 'large');
  fs.writeFileSync(large, 'x');
  fs.truncateSync(large, 5 * 2 ** 32 + 12_345);
  fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.of(0xff, 0x0a, 0x80, 0xc3)]), 'raw');
  makeNode(Buffer.from(path.join(root, 'fifo')), 'fifo');
  makeNode(Buffer.from(path.join(root, 'socket')), 'socket');
  if (!isRoot) return;
  const devices = [
    [1, 3],
    [255, 255],
    [256, 256],
    [4095, 1_048_575],
    [511, 65_537],
  ] as const;
  for (const [major, minor] of devices) {
    makeNode(Buffer.from(path.join(root, `c${major}-${minor}`)), 'character-device', major, minor);
    makeNode(Buffer.from(path.join(root, `b${major}-${minor}`)), 'block-device', major, minor);
  }
  fs.chownSync(path.join(root, 'file'), 4_000_000_000, 3_000_000_000);
}

t.test('entries of every kind, both ways as node:fs has them', (t) => {
  const root = scratchDirectory(t);
  makeEntries(root);
  for (const [way, module] of Object.entries(ways)) {
    const { statusOfFile, closeFile } = module;
    const directory = openAt(module, root);
    const list = directory.names();
    const wanted = fs.readdirSync(root, { encoding: 'buffer' }).sort(Buffer.compare);
    t.strictSame(names(list), wanted, `${way}: names`);
    for (const [index, name] of wanted.entries()) {
      const stats = fs.lstatSync(Buffer.concat([Buffer.from(`${root}/`), name]), { bigint: true });
      const status = new FileStatus();
      t.ok(directory.look(list, index, status));
      t.strictSame(told(status), expected(stats), `${way}: ${name.toString('latin1')}`);
      if (!stats.isFile()) {
        const held = directory.hold(list, index, status)!;
        if (stats.isSymbolicLink())
          t.equal(held.readlink().toString(), fs.readlinkSync(path.join(root, name.toString())));
        t.strictSame(held.xattrs(), []);
        held.close();
        continue;
      }
      const fd = directory.open(list, index);
      const opened = new FileStatus();
      statusOfFile(fd, opened);
      closeFile(fd);
      t.strictSame(told(opened), expected(stats), `${way}: ${name.toString('latin1')}, open`);
      t.ok(opened.isSameState(status));
    }
    const own = new FileStatus();
    directory.status(own);
    t.strictSame(told(own), expected(fs.statSync(root, { bigint: true })), `${way}: itself`);
    const reached = way === 'fast' ? /^\/proc\/self\/fd\/\d+\/x$/ : new RegExp(`^${root}/x$`);
    t.match(directory.reach(Buffer.from('x')).toString(), reached, `it is the ${way} way`);
    directory.close();
  }
  t.end();
});

t.test('what vanishes, what is no file, what never answers', (t) => {
  const root = scratchDirectory(t);
  makeEntries(root);
  fs.writeFileSync(path.join(root, 'gone'), '');
  for (const [way, module] of Object.entries(ways)) {
    const { closeFile } = module;
    const directory = openAt(module, root);
    fs.writeFileSync(path.join(root, 'gone'), '');
    const list = directory.names();
    const at = (name: string) => list.indexOf(Buffer.from(name));
    fs.rmSync(path.join(root, 'gone'));
    t.notOk(directory.look(list, at('gone'), new FileStatus()), `${way}: gone`);
    t.throws(() => directory.open(list, at('gone')), { code: 'ENOENT' });
    t.throws(() => directory.open(list, at('symlink')), { code: 'ELOOP' });
    t.throws(() => directory.openNamed(Buffer.from('symlink')), { code: 'ELOOP' });
    closeFile(directory.openNamed(Buffer.from('file')));
    t.equal(at('nobody'), -1);
    // A fifo without a writer does not hold up anybody.
    closeFile(directory.open(list, at('fifo')));
    directory.close();
    t.throws(() => openAt(module, path.join(root, 'file')), { code: 'ENOTDIR' });
    t.throws(() => openAt(module, path.join(root, 'gone')), { code: 'ENOENT' });
  }
  t.end();
});

t.test('a symlink leads to a root, and nowhere below it', (t) => {
  const root = scratchDirectory(t);
  fs.mkdirSync(path.join(root, 'directory'));
  fs.writeFileSync(path.join(root, 'directory', 'inside'), '');
  const link = path.join(root, 'link');
  fs.symlinkSync('directory', link);
  for (const { OpenDirectory, holdRoot } of Object.values(ways)) {
    const { root: held } = holdRoot(Buffer.from(root));
    t.throws(() => new OpenDirectory(held, Buffer.from('link')), /ENOTDIR|ELOOP/);
    const below = new OpenDirectory(held, Buffer.from('directory'));
    t.strictSame(names(below.names()), [Buffer.from('inside')]);
    below.close();
    const followed = new OpenDirectory(holdRoot(Buffer.from(link)).root);
    t.strictSame(names(followed.names()), [Buffer.from('inside')]);
    t.notOk(followed.isEmpty());
  }
  t.end();
});

t.test('no name, one, five thousand', (t) => {
  for (const count of [0, 1, 5000]) {
    const root = scratchDirectory(t);
    const wanted: string[] = [];
    for (let index = 0; index < count; index++)
      wanted.push(`${(index * 7919) % 10_007}-${'n'.repeat(index % 200)}`);
    for (const name of wanted) fs.writeFileSync(path.join(root, name), '');
    for (const [way, module] of Object.entries(ways)) {
      const directory = openAt(module, root);
      t.equal(directory.isEmpty(), count === 0);
      const list = directory.names();
      t.strictSame(names(list).map(String), wanted.sort(), `${way}: ${count} names`);
      const status = new FileStatus();
      let seen = 0;
      for (let index = 0; index < list.count; index++) if (directory.look(list, index, status)) seen++;
      t.equal(seen, count);
      // Two lists by turns: what is remembered of one is not taken for the other.
      if (count > 1) {
        const other = NameList.of(list.slice(count - 1, count));
        t.ok(directory.look(list, 0, status));
        const first = status.inodeLow;
        t.ok(directory.look(other, 0, status));
        t.not(status.inodeLow, first);
        t.ok(directory.look(list, count - 1, status));
      }
      directory.close();
    }
  }
  t.end();
});

t.test('a file is read at any place, to its end and no further', (t) => {
  const root = scratchDirectory(t);
  const content = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index * index) % 251));
  fs.writeFileSync(path.join(root, 'file'), content);
  for (const module of Object.values(ways)) {
    const { ReadBuffer, closeFile } = module;
    const directory = openAt(module, root);
    const fd = directory.open(directory.names(), 0);
    const buffer = new ReadBuffer(Buffer.allocUnsafeSlow(65_536).fill(0xee));
    t.equal(buffer.read(fd, 10, 50_000, 3), 50_000);
    t.ok(buffer.bytes.subarray(10, 50_010).equals(content.subarray(3, 50_003)));
    t.equal(buffer.bytes[9], 0xee);
    t.equal(buffer.bytes[50_010], 0xee);
    t.equal(buffer.read(fd, 0, 65_536, 99_000), 1000);
    t.equal(buffer.read(fd, 0, 65_536, 100_000), 0);
    t.equal(buffer.read(fd, 0, 65_536, 2 ** 40), 0);
    t.throws(() => buffer.read(fd, 10, 65_536, 0), RangeError);
    t.throws(() => buffer.read(1_000_000, 0, 1, 0), { code: 'EBADF' });
    closeFile(fd);
    directory.close();
  }
  t.end();
});

t.test('extended attributes by descriptor and by path', (t) => {
  const root = scratchDirectory(t);
  const file = Buffer.from(path.join(root, 'file'));
  fs.writeFileSync(file, '');
  for (const where of [file, Buffer.from(root)]) {
    setXattr(where, Buffer.from('user.two'), Buffer.from([0, 255, 10]));
    setXattr(where, Buffer.from('user.one'), Buffer.alloc(3000, 'v'));
    setXattr(where, Buffer.from('user.empty'), Buffer.alloc(0));
  }
  const wanted = readXattrs(file);
  t.strictSame(
    wanted.map(({ name }) => String(name)).filter((name) => name.startsWith('user.')),
    ['user.empty', 'user.one', 'user.two'],
  );
  for (const module of Object.values(ways)) {
    const directory = openAt(module, root);
    const list = directory.names();
    const fd = directory.open(list, 0);
    t.strictSame(readXattrs(fd), wanted);
    t.strictSame(directory.xattrs(), readXattrs(Buffer.from(root)));
    module.closeFile(fd);
    const status = new FileStatus();
    directory.look(list, 0, status);
    const held = directory.hold(list, 0, status)!;
    t.strictSame(held.xattrs(), wanted);
    held.close();
    directory.close();
  }
  t.end();
});

t.test('a directory behind a path that is too long for the kernel', (t) => {
  const root = scratchDirectory(t);
  const name = 'd'.repeat(250);
  let fd = fs.openSync(root, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
  for (let depth = 0; depth < 20; depth++) {
    const below = `/proc/self/fd/${fd}/${name}`;
    fs.mkdirSync(below);
    const next = fs.openSync(below, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
    fs.closeSync(fd);
    fd = next;
  }
  fs.writeFileSync(`/proc/self/fd/${fd}/deep`, 'down');
  fs.closeSync(fd);
  const { root: held } = fast.holdRoot(Buffer.from(root));
  const directory = new fast.OpenDirectory(held, Buffer.from(`${name}/`.repeat(20).slice(0, -1)));
  const list = directory.names();
  t.strictSame(names(list), [Buffer.from('deep')]);
  const status = new FileStatus();
  t.ok(directory.look(list, 0, status));
  t.equal(status.size_bytes, 4);
  directory.close();
  t.end();
});

t.test('any numbers: from the kernel and from node:fs they come out the same', (t) => {
  const number32 = fc.integer({ min: 0, max: 0xffff_ffff });
  const time = fc.record({
    s: fc.bigInt({ min: -(2n ** 40n), max: 2n ** 40n }),
    rest_ns: fc.integer({ min: 0, max: 999_999_999 }),
  });
  const shape = fc.record({
    mode: fc.integer({ min: 0, max: 0xffff }),
    uid: number32,
    gid: number32,
    links: number32,
    inode: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    size: fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }),
    blocks: fc.bigInt({ min: 0n, max: 2n ** 44n - 1n }),
    mtime: time,
    ctime: time,
    device: fc.tuple(number32, number32),
    rdev: fc.tuple(number32, number32),
  });
  fc.assert(
    fc.property(shape, (of) => {
      const view = new DataView(new ArrayBuffer(statx_bytes));
      view.setUint32(16, of.links, true);
      view.setUint32(20, of.uid, true);
      view.setUint32(24, of.gid, true);
      view.setUint16(28, of.mode, true);
      view.setBigUint64(32, of.inode, true);
      view.setBigUint64(40, of.size, true);
      view.setBigUint64(48, of.blocks, true);
      view.setBigInt64(96, of.ctime.s, true);
      view.setUint32(104, of.ctime.rest_ns, true);
      view.setBigInt64(112, of.mtime.s, true);
      view.setUint32(120, of.mtime.rest_ns, true);
      for (const [index, number] of [...of.rdev, ...of.device].entries())
        view.setUint32(128 + 4 * index, number, true);
      const ns = ({ s, rest_ns }: typeof of.mtime) => s * 1_000_000_000n + BigInt(rest_ns);
      const stats = {
        mode: BigInt(of.mode),
        uid: BigInt(of.uid),
        gid: BigInt(of.gid),
        nlink: BigInt(of.links),
        ino: of.inode,
        size: of.size,
        blocks: of.blocks,
        mtimeNs: ns(of.mtime),
        ctimeNs: ns(of.ctime),
        dev: joinDevice(...of.device),
        rdev: joinDevice(...of.rdev),
      } as unknown as fs.BigIntStats;
      const fromKernel = new FileStatus();
      fromKernel.setStatx(view);
      const fromNode = new FileStatus();
      fromNode.setStats(stats);
      t.strictSame(fromKernel, fromNode);
      t.strictSame(told(fromKernel), expected(stats));
      t.ok(fromKernel.isSameState(fromNode));
    }),
    { numRuns: 200 },
  );
  t.end();
});

t.test('lists of names: in byte order, each once, cut anywhere', (t) => {
  const name = fc
    .uint8Array({ minLength: 1, maxLength: 12, min: 1 })
    .map((bytes) => Buffer.from(bytes).toString('latin1'));
  fc.assert(
    fc.property(fc.array(name, { maxLength: 40 }), fc.nat(), fc.nat(), (all, a, b) => {
      const wanted = [...new Set(all)].map((text) => Buffer.from(text, 'latin1')).sort(Buffer.compare);
      const list = NameList.from([...all]);
      t.strictSame(names(list), wanted);
      const [from, to] = [a % (wanted.length + 1), b % (wanted.length + 1)].sort((x, y) => x - y) as [
        number,
        number,
      ];
      const part = list.slice(from, to);
      t.equal(part.buffer.byteLength, part.length);
      t.strictSame(names(NameList.of(part)), wanted.slice(from, to));
      for (const [index, text] of wanted.entries()) t.equal(list.indexOf(text), index);
      t.equal(list.indexOf(Buffer.from('longer than any')), -1);
    }),
  );
  t.end();
});
