// Walks a source depth first with names in byte order and says what is there, without reading any file. Memory is bounded
// by the names of one directory per level. An entry that vanishes is gone; one that cannot be read is said to be so, never
// passed over: what is not known may not look like what is not there.

import fs from 'node:fs';
import { printable } from '../bytes/path.js';
import { RrbackupError } from '../errors/index.js';
import type { Entry, EntryType } from '../manifest/types.js';
import { errorCode, reasonOf } from '../posix/libc.js';
import { type Anchor, needsAnchor, openAnchor, withReachable } from '../posix/long-path.js';
import { splitDevice } from '../posix/nodes.js';
import { readXattrs } from '../posix/xattr.js';
import type { Run } from '../progress.js';
import type { Excludes } from './exclude.js';

export interface ScanOptions extends Pick<Run, 'onWarning'> {
  /** Absolute path of the source. */
  readonly root: Uint8Array;
  readonly excludes: Excludes;
  /** Stay on the root's file system: a mount point below is kept as an empty directory. */
  readonly oneFileSystem: boolean;
  /** Of a directory with a valid CACHEDIR.TAG keep the directory and the tag only. */
  readonly excludeCaches: boolean;
  /** Absolute paths that are ours (repository, catalog, state) and never part of a backup, whatever way leads to them. */
  readonly skip: readonly Uint8Array[];
}

export type Scanned =
  | ScannedEntry
  /**
   * `what` 'entry': something is there, nothing else is known of it. 'contents': comes right after the entry of a directory
   * whose names cannot be read.
   */
  | {
      readonly kind: 'unreadable';
      readonly what: 'entry' | 'contents';
      readonly path: Buffer;
      readonly reason: string;
    };

const slash = 0x2f;
const nothing = Buffer.alloc(0);
const empty: readonly never[] = [];
const cacheTag = Buffer.from('CACHEDIR.TAG');
const cacheSignature = Buffer.from('Signature: 8a477f597d28d172789f06886806bc55');

/** One entry as lstat shows it: `entry` has no xattrs, symlink target or content yet. */
export class ScannedEntry {
  readonly kind = 'entry';
  readonly #access: Buffer;
  readonly #onWarning: ScanOptions['onWarning'];

  constructor(
    /** Relative to the source; '' is its root. */
    readonly path: Buffer,
    readonly entry: Entry,
    access: Buffer,
    onWarning: ScanOptions['onWarning'],
  ) {
    this.#access = access;
    this.#onWarning = onWarning;
  }

  /**
   * The entry with xattrs and symlink target; undefined if it has vanished. Only before the scan is asked for its next
   * entry: these calls are what an unchanged entry can be spared.
   */
  complete(): Entry | undefined {
    try {
      const target =
        this.entry.type === 'symlink' ? fs.readlinkSync(this.#access, { encoding: 'buffer' }) : nothing;
      return { ...this.entry, target, xattrs: this.#xattrs() };
    } catch (error) {
      // EINVAL: no longer a symlink, so the one that was scanned is gone.
      if (isGone(error) || errorCode(error) === 'EINVAL') return undefined;
      throw error;
    }
  }

  #xattrs(): Entry['xattrs'] {
    try {
      return readXattrs(this.#access);
    } catch (error) {
      if (isGone(error)) throw error;
      this.#onWarning?.(
        `the extended attributes of ${printable(this.path)} cannot be read: ${reasonOf(error)}`,
      );
      return empty;
    }
  }
}

interface Level {
  /** Absolute path of the directory, and the way to it that the kernel takes. */
  readonly absolute: Buffer;
  readonly access: Buffer;
  readonly anchor: Anchor | undefined;
  readonly names: readonly Buffer[];
  next: number;
  readonly device: bigint;
  /** The source's root, or a mount point below it. */
  readonly isTop: boolean;
}

/**
 * Everything below and with the root, in path order, one at a time. Throws kind not_found if the source is not there or
 * cannot be listed, so that no empty version comes of it, and 'backup.source_went_away' (failure) if a file system of it was
 * no longer the same when all of it had been seen: what vanished with it was not deleted.
 */
export function* scan(options: ScanOptions): Generator<Scanned, void, undefined> {
  const { onWarning, excludes } = options;
  const root = withoutTrailingSlash(options.root);
  const rootStats = statRoot(root);
  const skipped = new Skipped(options);
  if (skipped.has(root, rootStats)) throw sourceIsOurs(root);
  // By way of '.', as the root may be reached through a symlink whose own attributes do not matter.
  yield new ScannedEntry(nothing, toEntry(rootStats), join(root, Buffer.from('.')), onWarning);

  // Of the root directory '/' the path of a child begins at byte 1 as well.
  const prefix_bytes = root.length === 1 ? 1 : root.length + 1;
  const levels: Level[] = [openRoot(root, options)];
  const bottom = levels[0];
  try {
    for (let level = levels.at(-1); level; level = levels.at(-1)) {
      const name = level.names[level.next++];
      if (name === undefined) {
        levels.pop()?.anchor?.close();
        if (level.isTop && deviceAt(level.absolute, level === bottom) !== level.device)
          throw wentAway(level.absolute);
        continue;
      }
      const absolute = join(level.absolute, name);
      const access = level.access === level.absolute ? absolute : join(level.access, name);
      const path = absolute.subarray(prefix_bytes);
      let stats: fs.BigIntStats | undefined;
      try {
        stats = fs.lstatSync(access, { bigint: true, throwIfNoEntry: false });
      } catch (error) {
        if (!excludes.excludes(path, false) && !excludes.excludes(path, true))
          yield { kind: 'unreadable', what: 'entry', path, reason: reasonOf(error) };
        continue;
      }
      if (stats === undefined) continue;
      const isDirectory = stats.isDirectory();
      if (excludes.excludes(path, isDirectory) || skipped.has(absolute, stats)) continue;
      yield new ScannedEntry(path, toEntry(stats), access, onWarning);
      if (!isDirectory || (options.oneFileSystem && stats.dev !== rootStats.dev)) continue;
      try {
        const opened = openLevel(absolute, access, options);
        const isTop = stats.dev !== level.device;
        // Opening may have mounted what is mounted on demand.
        const device = isTop ? (deviceAt(absolute, false) ?? stats.dev) : stats.dev;
        levels.push({ ...opened, device, isTop });
      } catch (error) {
        if (!isGone(error)) yield { kind: 'unreadable', what: 'contents', path, reason: reasonOf(error) };
      }
    }
  } finally {
    for (const level of levels) level.anchor?.close();
  }
}

/** Undefined if nothing is there. A source that is itself a symlink means what it points to. */
function deviceAt(absolute: Buffer, isRoot: boolean): bigint | undefined {
  const stat = isRoot ? fs.statSync : fs.lstatSync;
  try {
    return withReachable(absolute, (reachable) => stat(reachable, { bigint: true }).dev);
  } catch {
    return undefined;
  }
}

/** An unmounted disk leaves an empty directory behind: what is not found there was not deleted. */
function wentAway(absolute: Buffer): RrbackupError {
  return new RrbackupError({
    code: 'backup.source_went_away',
    kind: 'failure',
    message: `${printable(absolute)} went away while it was backed up, so no version was made`,
    guidance: 'is its disk still mounted? Run the backup again',
  });
}

function openRoot(root: Buffer, options: ScanOptions): Level {
  try {
    const opened = openLevel(root, root, options);
    return { ...opened, device: fs.statSync(opened.access, { bigint: true }).dev, isTop: true };
  } catch (error) {
    throw new RrbackupError({
      code: 'backup.source_unreadable',
      kind: 'failure',
      message: `the source ${printable(root)} cannot be listed: ${reasonOf(error)}`,
      guidance: 'run the backup as a user who may read it',
      cause: error,
    });
  }
}

function openLevel(
  absolute: Buffer,
  access: Buffer,
  { excludeCaches }: ScanOptions,
): Omit<Level, 'device' | 'isTop'> {
  const anchor = needsAnchor(access) ? openAnchor(access) : undefined;
  const reach = anchor?.path ?? access;
  try {
    let names = fs.readdirSync(reach, { encoding: 'buffer' }).sort(Buffer.compare);
    if (excludeCaches && names.some((name) => name.equals(cacheTag)) && isCache(join(reach, cacheTag)))
      names = [cacheTag];
    return { absolute, access: reach, anchor, names, next: 0 };
  } catch (error) {
    anchor?.close();
    throw error;
  }
}

/** Whether the tag is a regular file with the signature of https://bford.info/cachedir/ */
function isCache(tag: Buffer): boolean {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
  let fd: number;
  try {
    fd = fs.openSync(tag, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    const start = Buffer.alloc(cacheSignature.length);
    return (
      fs.fstatSync(fd).isFile() &&
      fs.readSync(fd, start, 0, start.length, 0) > 0 &&
      start.equals(cacheSignature)
    );
  } finally {
    fs.closeSync(fd);
  }
}

/** Our own files by path and, as many paths lead to one place, by what stands there. */
class Skipped {
  readonly #paths: readonly Buffer[];
  readonly #inodes = new Map<bigint, bigint>();

  constructor({ skip }: ScanOptions) {
    this.#paths = skip.map(withoutTrailingSlash);
    for (const path of this.#paths) {
      const stats = statIfPossible(path);
      if (stats) this.#inodes.set(stats.ino, stats.dev);
    }
  }

  has(absolute: Buffer, stats: fs.BigIntStats): boolean {
    return this.#inodes.get(stats.ino) === stats.dev || this.#paths.some((path) => path.equals(absolute));
  }
}

/** Another user's mount, or a dead one, does not answer: its path is known all the same. */
function statIfPossible(path: Buffer): fs.BigIntStats | undefined {
  try {
    return fs.statSync(path, { bigint: true });
  } catch {
    return undefined;
  }
}

function statRoot(root: Buffer): fs.BigIntStats {
  const guidance = 'mount the disk, or correct the path of the source in the configuration';
  try {
    // A source that is itself a symlink means what it points to.
    const stats = withReachable(root, (reachable) => fs.statSync(reachable, { bigint: true }));
    if (stats.isDirectory()) return stats;
  } catch (error) {
    throw new RrbackupError({
      code: 'backup.source_missing',
      kind: 'not_found',
      message: `the source ${printable(root)} is not there: ${reasonOf(error)}`,
      guidance,
      cause: error,
    });
  }
  throw new RrbackupError({
    code: 'backup.source_not_directory',
    kind: 'not_found',
    message: `the source ${printable(root)} is not a directory`,
    guidance,
  });
}

function sourceIsOurs(root: Buffer): RrbackupError {
  return new RrbackupError({
    code: 'backup.source_is_repository',
    kind: 'usage',
    message: `the source ${printable(root)} is where rrbackup keeps its own data`,
    guidance: 'name another directory as the source',
  });
}

function toEntry(stats: fs.BigIntStats): Entry {
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
    target: nothing,
    xattrs: empty,
    content: empty,
  };
}

const typeMask = BigInt(fs.constants.S_IFMT);
const types = new Map<bigint, EntryType>([
  [BigInt(fs.constants.S_IFREG), 'file'],
  [BigInt(fs.constants.S_IFDIR), 'directory'],
  [BigInt(fs.constants.S_IFLNK), 'symlink'],
  [BigInt(fs.constants.S_IFIFO), 'fifo'],
  [BigInt(fs.constants.S_IFSOCK), 'socket'],
  [BigInt(fs.constants.S_IFCHR), 'character-device'],
  [BigInt(fs.constants.S_IFBLK), 'block-device'],
]);

function typeOf(stats: fs.BigIntStats): EntryType {
  const type = types.get(stats.mode & typeMask);
  if (type === undefined) throw new RangeError(`unknown file type ${stats.mode.toString(8)}`);
  return type;
}

function isGone(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function withoutTrailingSlash(path: Uint8Array): Buffer {
  let end = path.length;
  while (end > 1 && path[end - 1] === slash) end--;
  return Buffer.from(path.subarray(0, end));
}

function join(directory: Buffer, name: Buffer): Buffer {
  const at = directory.length === 1 ? 0 : directory.length;
  const joined = Buffer.allocUnsafe(at + 1 + name.length);
  directory.copy(joined);
  joined[at] = slash;
  name.copy(joined, at + 1);
  return joined;
}
