// A real directory tree as entries without content, read by the plain means of node:fs: what a restore must bring back, found
// out without the program's own scanning.

import fs from 'node:fs';
import { joinPath } from '../../lib/bytes/path.js';
import type { Entry, EntryType } from '../../lib/manifest/types.js';
import { withReachable } from '../../lib/posix/long-path.js';
import { splitDevice } from '../../lib/posix/nodes.js';
import { readXattrs } from '../../lib/posix/xattr.js';

const nothing = Buffer.alloc(0);

/** The root ('') first, then in the order of a walk. */
export function* realTree(root: string): Generator<readonly [path: Buffer, entry: Entry], void, undefined> {
  const left: Buffer[] = [nothing];
  for (let path = left.pop(); path !== undefined; path = left.pop()) {
    const absolute = absolutePath(root, path);
    const entry = withReachable(absolute, toEntry);
    yield [path, entry];
    if (entry.type !== 'directory') continue;
    const names = withReachable(absolute, (reachable) => fs.readdirSync(reachable, { encoding: 'buffer' }));
    for (const name of names.sort(Buffer.compare).reverse()) left.push(joinPath(path, name));
  }
}

export function absolutePath(root: string, path: Uint8Array): Buffer {
  return path.length === 0 ? Buffer.from(root) : Buffer.concat([Buffer.from(`${root}/`), path]);
}

function toEntry(reachable: Buffer<ArrayBufferLike>): Entry {
  const stats = fs.lstatSync(reachable, { bigint: true });
  const type = typeOf(stats);
  const isDevice = type === 'character-device' || type === 'block-device';
  const { major, minor } = isDevice ? splitDevice(stats.rdev) : { major: 0, minor: 0 };
  return {
    type,
    mode: Number(stats.mode & 0o7777n),
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime_ns: stats.mtimeNs,
    ctime_ns: stats.ctimeNs,
    inode: stats.ino,
    device: stats.dev,
    links: Number(stats.nlink),
    size_bytes: type === 'file' ? Number(stats.size) : 0,
    rdevMajor: major,
    rdevMinor: minor,
    target: type === 'symlink' ? fs.readlinkSync(reachable, { encoding: 'buffer' }) : nothing,
    xattrs: readXattrs(reachable),
    content: [],
  };
}

function typeOf(stats: fs.BigIntStats): EntryType {
  if (stats.isFile()) return 'file';
  if (stats.isDirectory()) return 'directory';
  if (stats.isSymbolicLink()) return 'symlink';
  if (stats.isFIFO()) return 'fifo';
  if (stats.isSocket()) return 'socket';
  return stats.isCharacterDevice() ? 'character-device' : 'block-device';
}
