// Trees for tests: scratch directories that can always be removed, a tree that holds everything DESIGN.md promises to bring
// back, and a description of a tree, one line per entry, so that two trees compare with t.strictSame.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Test } from 'tap';
import { printable } from '../lib/bytes/path.js';
import { setMode, setModified } from '../lib/posix/attributes.js';
import { errorCode } from '../lib/posix/libc.js';
import { openLong, withReachable } from '../lib/posix/long-path.js';
import { makeNode } from '../lib/posix/nodes.js';
import { dataExtents } from '../lib/posix/sparse.js';
import { readXattrs, setXattr } from '../lib/posix/xattr.js';

export const isRoot = process.geteuid?.() === 0;

/** A new directory outside the project; removed at the end of the test with whatever is in it, long paths and all. */
export function scratchDirectory(t: Pick<Test, 'teardown'>): string {
  const directory = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'rrbackup-test-'));
  t.teardown(() => {
    if (!isRoot) execFileSync('chmod', ['-R', 'u+rwx', directory], { stdio: 'ignore' });
    execFileSync('rm', ['-rf', directory]);
  });
  return directory;
}

/** What of everything the machine or the user could not provide, in words; empty as root on a Linux file system. */
export interface EverythingTree {
  readonly missing: readonly string[];
}

type Bytes = string | Uint8Array;

/**
 * Fills an existing directory with everything that a backup must bring back exactly. `beyondPathMax` adds a path of more
 * than 6,000 bytes, which most other tools (rsync, tar) cannot copy.
 */
export function everythingTree(directory: string, options: { beyondPathMax?: boolean } = {}): EverythingTree {
  const missing: string[] = [];
  const root = Buffer.from(directory);
  const at = (...names: Bytes[]): Buffer =>
    Buffer.concat([root, ...names.flatMap((name) => [Buffer.from('/'), Buffer.from(name as Uint8Array)])]);
  const optional = (what: string, make: () => void): void => {
    try {
      make();
    } catch (error) {
      missing.push(`${what}: ${String(errorCode(error))}`);
    }
  };

  fs.writeFileSync(at('empty file'), '');
  fs.mkdirSync(at('empty directory'));
  fs.writeFileSync(at('plain'), 'plain text\n');
  fs.writeFileSync(at('zeros'), Buffer.alloc(300_000));
  fs.writeFileSync(at('ten megabytes'), noise(10 << 20));

  const names = at('names');
  fs.mkdirSync(names);
  const oddNames: Bytes[] = [
    Buffer.from([0xff, 0xfe, 0x80]),
    Buffer.from([0xc3, 0x28, 0x20, 0xa0]),
    'line\nbreak',
    '\x1b[31mred\x1b[0m',
    ' leading and trailing ',
    'back\\slash',
    '-rf',
    '*?[x]{a,b}!',
    '~',
    '...',
    'ünïcödé',
    'u\u0308nicode apart',
    '\u202eright to left',
    'a',
    'a b',
    'a.b',
    'a!',
    'n'.repeat(255),
  ];
  for (const name of oddNames) fs.writeFileSync(at('names', name), name);
  for (const name of ['a-directory', 'a-directory.d']) fs.mkdirSync(at('names', name));
  fs.writeFileSync(at('names', 'a-directory', 'child'), 'sorted between a-directory and a-directory.d');

  const links = at('links');
  fs.mkdirSync(links);
  fs.symlinkSync('../plain', at('links', 'relative'));
  fs.symlinkSync('nowhere/at all', at('links', 'dangling'));
  fs.symlinkSync('/etc/hostname', at('links', 'absolute'));
  fs.symlinkSync('..', at('links', 'to a directory'));
  fs.symlinkSync(Buffer.from([0xff, 0x0a, 0x2f, 0x80]), at('links', 'raw target'));
  fs.linkSync(at('plain'), at('links', 'hard'));
  fs.linkSync(at('plain'), at('names', 'hard too'));
  optional('hard link to a symlink', () =>
    fs.linkSync(at('links', 'dangling'), at('links', 'dangling twin')),
  );

  sparseFile(at('sparse'), 8 << 20, [1 << 20, 5 << 20]);
  sparseFile(at('all hole'), 1 << 20, []);
  sparseFile(at('hole at the end'), 2 << 20, [0]);

  const special = at('special');
  fs.mkdirSync(special);
  makeNode(at('special', 'fifo'), 'fifo');
  makeNode(at('special', 'socket'), 'socket');
  fs.linkSync(at('special', 'fifo'), at('special', 'fifo twin'));
  optional('character device', () => makeNode(at('special', 'null'), 'character-device', 1, 3));
  optional('block device', () => makeNode(at('special', 'disk'), 'block-device', 259, 70_000));

  const modes = at('modes');
  fs.mkdirSync(modes);
  for (const mode of [0o000, 0o400, 0o644, 0o755, 0o1777, 0o2755, 0o4755, 0o6711]) {
    const name = mode.toString(8).padStart(4, '0');
    fs.writeFileSync(at('modes', name), `mode ${name}`);
    setMode(at('modes', name), mode);
  }
  fs.mkdirSync(at('modes', 'read-only'));
  fs.writeFileSync(at('modes', 'read-only', 'inside'), 'inside');
  fs.mkdirSync(at('modes', 'sticky'));
  setMode(at('modes', 'sticky'), 0o3777);
  optional('owners', () => {
    fs.writeFileSync(at('modes', 'owned'), 'owned by others');
    fs.chownSync(at('modes', 'owned'), 12_345, 54_321);
    fs.symlinkSync('owned', at('modes', 'owned link'));
    fs.lchownSync(at('modes', 'owned link'), 4_000_000_000, 7);
  });

  const attributes = at('attributes');
  fs.mkdirSync(attributes);
  fs.writeFileSync(at('attributes', 'file'), 'with attributes');
  optional('user attributes', () => {
    setXattr(at('attributes', 'file'), Buffer.from('user.text'), Buffer.from('value'));
    setXattr(at('attributes', 'file'), Buffer.from('user.empty'), Buffer.alloc(0));
    setXattr(
      at('attributes', 'file'),
      Buffer.from([...Buffer.from('user.'), 0xff, 0x0a]),
      Buffer.from([0, 255, 10]),
    );
    setXattr(at('attributes', 'file'), Buffer.from('user.long'), Buffer.alloc(1500, 'x'));
    setXattr(attributes, Buffer.from('user.of a directory'), Buffer.from('here'));
  });
  optional('trusted attributes', () => {
    setXattr(at('attributes', 'file'), Buffer.from('trusted.overlay'), Buffer.from('y'));
    fs.symlinkSync('file', at('attributes', 'link'));
    setXattr(at('attributes', 'link'), Buffer.from('trusted.of a link'), Buffer.from('y'));
  });
  optional('capabilities', () => {
    const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');
    fs.writeFileSync(at('attributes', 'capable'), '#!/bin/true\n');
    setXattr(at('attributes', 'capable'), Buffer.from('security.capability'), capability);
  });
  optional('ACLs', () => {
    fs.mkdirSync(at('attributes', 'acl directory'));
    fs.writeFileSync(at('attributes', 'acl directory', 'before the default'), '');
    const access = posixAcl([
      [0x01, 7],
      [0x02, 5, 1234],
      [0x04, 4],
      [0x08, 6, 4321],
      [0x10, 6],
      [0x20, 0],
    ]);
    setXattr(at('attributes', 'file'), Buffer.from('system.posix_acl_access'), access);
    setXattr(at('attributes', 'acl directory'), Buffer.from('system.posix_acl_default'), access);
    fs.writeFileSync(at('attributes', 'acl directory', 'inherited'), '');
  });

  // With a '/' before it this path is 4,096 bytes long: PATH_MAX.
  let deep = at('deep');
  makeDirectory(deep);
  while (deep.length < root.length + 4_000) deep = makeDirectory(join(deep, 'd'.repeat(99)));
  writeFile(join(deep, 'f'.repeat(4_095 - (deep.length - root.length))), 'at 4,096 bytes');
  if (options.beyondPathMax) {
    for (let level = 0; level < 10; level++) deep = makeDirectory(join(deep, `${level}`.repeat(250)));
    writeFile(join(deep, 'last'), 'far beyond');
  }
  let narrow = makeDirectory(at('narrow'));
  for (let level = 0; level < 300; level++) narrow = makeDirectory(join(narrow, 'n'));
  writeFile(join(narrow, 'bottom'), 'many levels');

  const many = makeDirectory(at('many'));
  for (let index = 0; index < 1000; index++) fs.writeFileSync(join(many, `entry ${index}`), `${index}`);

  setTime(at('plain'), 1_700_000_000_123_456_789n);
  setTime(at('empty file'), -1_234_567_890_987_654_321n);
  setTime(at('zeros'), 0n);
  setTime(at('ten megabytes'), -1n);
  setTime(at('links', 'dangling'), -86_400_000_000_001n);
  setTime(at('special', 'fifo'), 4_102_444_800_000_000_001n);
  setMode(at('modes', 'read-only'), 0o555);
  setTime(at('modes', 'read-only'), 981_173_106_000_000_001n);
  setTime(at('empty directory'), 1n);
  setTime(at('many'), 1_000_000_000_000_000_007n);
  setTime(at('narrow'), -1_500_000_000_000_000_003n);
  return { missing };
}

/** Sets the modification time of anything, and asks Node whether it is that: the program's own way may be what is tested. */
export function setTime(at: Uint8Array, mtime_ns: bigint): void {
  setModified(at, mtime_ns);
  const { mtimeNs } = fs.lstatSync(Buffer.from(at), { bigint: true });
  if (mtimeNs !== mtime_ns) throw new Error(`the time ${mtime_ns} has become ${mtimeNs}`);
}

/** One line per entry: type, mode, owner, links, size, time, device, target, attributes, holes, hash of the content. */
export function describeTree(directory: string): string[] {
  const lines: string[] = [];
  const linkGroups = new Map<string, string>();
  const walk = (absolute: Buffer, relative: Buffer): void => {
    const stats = withReachable(absolute, (reachable) => fs.lstatSync(reachable, { bigint: true }));
    const mode = Number(stats.mode).toString(8);
    const isDirectory = stats.isDirectory();
    const parts = [printable(relative) || '.', mode, `${stats.uid}:${stats.gid}`, `mtime ${stats.mtimeNs}`];
    if (!isDirectory) parts.push(`links ${stats.nlink}`);
    if (stats.isFile()) parts.push(`size ${stats.size}`, describeContent(absolute, Number(stats.size)));
    if (stats.isSymbolicLink()) {
      const target = withReachable(absolute, (reachable) =>
        fs.readlinkSync(reachable, { encoding: 'buffer' }),
      );
      parts.push(`-> ${printable(target)}`);
    }
    if (stats.isCharacterDevice() || stats.isBlockDevice()) parts.push(`device ${stats.rdev}`);
    if (!isDirectory && stats.nlink > 1n) {
      const key = `${stats.dev}:${stats.ino}`;
      const first = linkGroups.get(key);
      if (first === undefined) linkGroups.set(key, printable(relative));
      else parts.push(`= ${first}`);
    }
    for (const { name, value } of withReachable(absolute, readXattrs))
      parts.push(`[${printable(name)} ${Buffer.from(value).toString('hex')}]`);
    lines.push(parts.join(' '));
    if (!isDirectory) return;
    const names = withReachable(absolute, (reachable) => fs.readdirSync(reachable, { encoding: 'buffer' }));
    for (const name of names.sort(Buffer.compare))
      walk(join(absolute, name), relative.length === 0 ? name : join(relative, name));
  };
  walk(Buffer.from(directory), Buffer.alloc(0));
  return lines;
}

function describeContent(absolute: Buffer, size_bytes: number): string {
  let fd: number;
  try {
    fd = openLong(absolute, fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW);
  } catch (error) {
    return errorCode(error) ?? 'unreadable';
  }
  try {
    const hash = createHash('sha256').update(fs.readFileSync(fd)).digest('hex').slice(0, 16);
    const extents = [...dataExtents(fd, 0, size_bytes)].map(
      (extent) => `${extent.offset}+${extent.size_bytes}`,
    );
    const isWhole = extents.length === 1 && extents[0] === `0+${size_bytes}`;
    return size_bytes === 0 || isWhole ? hash : `${hash} data ${extents.join(',') || 'nowhere'}`;
  } finally {
    fs.closeSync(fd);
  }
}

function join(directory: Buffer, name: Bytes): Buffer {
  return Buffer.concat([directory, Buffer.from('/'), Buffer.from(name as Uint8Array)]);
}

function makeDirectory(absolute: Buffer): Buffer {
  withReachable(absolute, (reachable) => fs.mkdirSync(reachable));
  return absolute;
}

function writeFile(absolute: Buffer, content: string): void {
  withReachable(absolute, (reachable) => fs.writeFileSync(reachable, content));
}

/** Bytes that do not compress and are the same every time. */
function noise(size_bytes: number): Buffer {
  const bytes = Buffer.alloc(size_bytes);
  let state = 0x9e3779b9;
  for (let offset = 0; offset < size_bytes; offset += 4) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes.writeInt32LE(state | 0, offset);
  }
  return bytes;
}

function sparseFile(file: Buffer, size_bytes: number, dataAt: readonly number[]): void {
  const fd = fs.openSync(file, 'w');
  fs.ftruncateSync(fd, size_bytes);
  for (const offset of dataAt) fs.writeSync(fd, noise(65536), 0, 65536, offset);
  fs.closeSync(fd);
}

/** The stored form of a POSIX ACL: version 2, then tag, permissions and id of each entry (linux/posix_acl_xattr.h). */
export function posixAcl(
  entries: readonly (readonly [tag: number, permissions: number, id?: number])[],
): Buffer {
  const bytes = Buffer.alloc(4 + entries.length * 8);
  bytes.writeUInt32LE(2, 0);
  entries.forEach(([tag, permissions, id], index) => {
    bytes.writeUInt16LE(tag, 4 + index * 8);
    bytes.writeUInt16LE(permissions, 6 + index * 8);
    bytes.writeUInt32LE(id ?? 0xffffffff, 8 + index * 8);
  });
  return bytes;
}
