// A directory held open for whoever walks a tree: its names, and status, content and attributes of what lies in it, by way of
// its descriptor. On Linux each question is one system call through koffi, a quarter of what node:fs takes, and no symlink is
// followed anywhere below the tree's root; elsewhere node:fs answers, which follows none in the last place. Paths of any length.

import fs from 'node:fs';
import os from 'node:os';
import { systemClock } from '../clock.js';
import { blocksFetched } from './disk-reads.js';
import {
  addressOf,
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  bind,
  check,
  lastErrno,
  type Native,
  O_CLOEXEC,
  SystemCallError,
} from './libc.js';
import { closeNative, openBeneath, openFollowing, type PassedLink, readlinkOf } from './beneath.js';
import { heldBy } from './inode.js';
import { canAnchor, O_PATH, openLong } from './long-path.js';
import { NameList } from './name-list.js';
import { FileStatus } from './status.js';
import { STATX_BASIC_STATS, statx_bytes } from './status.js';
import { type ExtendedAttribute, readXattrs } from './xattr.js';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = fs.constants;
const AT_EMPTY_PATH = 0x1000;
const { EINTR, ENOENT } = os.constants.errno;

/** An empty string and a struct statx, at places that the kernel is told. */
const memory = Buffer.allocUnsafeSlow(4096).fill(0);
const emptyAt = 512;
const statx = new DataView(memory.buffer, memory.byteOffset, statx_bytes);

interface FastCalls {
  readonly statx: Native;
  readonly openat: Native;
  readonly pread: Native;
  readonly close: Native;
  /** Of `memory`. */
  readonly address: number;
}

/** Undefined until somebody has asked; null where node:fs has to do. */
let calls: FastCalls | null | undefined;

/** The fast way: Linux with a C library that has statx(2), and /proc. */
function fastCalls(): FastCalls | null {
  if (calls === undefined) calls = process.platform === 'linux' ? bindCalls() : null;
  return calls;
}

function bindCalls(): FastCalls | null {
  try {
    const bound = {
      statx: bind('int statx(int fd, uintptr_t path, int flags, unsigned int mask, uintptr_t status)'),
      openat: bind('int openat(int fd, uintptr_t path, int flags)'),
      pread: bind('int64_t pread(int fd, uintptr_t into, size_t size, int64_t position)'),
      close: bind('int close(int fd)'),
      address: addressOf(memory),
    };
    const result = bound.statx(
      AT_FDCWD,
      bound.address + emptyAt,
      AT_EMPTY_PATH,
      STATX_BASIC_STATS,
      bound.address,
    );
    // Sandboxes refuse it with errors of all kinds.
    return result === 0 && canAnchor() ? bound : null;
  } catch {
    return null;
  }
}

/** The root of a tree, held open. Plain data: a descriptor means the same in every thread of the process. */
export interface HeldRoot {
  readonly descriptor: number;
  /** Absolute, as it was given: for messages, and where there are no descriptors to go by. */
  readonly path: Buffer;
}

/**
 * Opens the directory at an absolute path, symlinks followed and told of (elsewhere than on Linux: none is told of). To be closed by
 * closeFile. Throws what open(2) says.
 */
export function holdRoot(path: Buffer): { readonly root: HeldRoot; readonly links: readonly PassedLink[] } {
  if (fastCalls() === null)
    return { root: { descriptor: openLong(path, O_RDONLY | O_DIRECTORY), path }, links: [] };
  const { fd, links } = openFollowing(path);
  return { root: { descriptor: fd, path }, links };
}

export class OpenDirectory {
  readonly #fd: number;
  readonly #isRoot: boolean;
  /** A short path to it. */
  readonly #path: string;
  readonly #absolute: Buffer;

  /**
   * Opens the directory at `path` below the root; '' is the root itself. Its own status goes into `status`. Throws what open(2)
   * and stat(2) say; see openBeneath.
   */
  constructor(root: HeldRoot, path: Uint8Array = nothing, status?: FileStatus) {
    this.#isRoot = path.length === 0;
    this.#absolute = joinAbsolute(root.path, path);
    this.#fd = this.#isRoot ? root.descriptor : openDirectory(root, path, this.#absolute);
    this.#path = `/proc/self/fd/${this.#fd}`;
    try {
      if (status !== undefined) this.status(status);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** For whoever must close it when this thread is ended meanwhile; undefined for the root. */
  get descriptor(): number | undefined {
    return this.#isRoot ? undefined : this.#fd;
  }

  close(): void {
    if (!this.#isRoot) closeFile(this.#fd);
  }

  /** All names but '.' and '..'. Throws what readdir(3) says. */
  names(): NameList {
    return NameList.from(fs.readdirSync(fastCalls() ? this.#path : this.#absolute, { encoding: 'latin1' }));
  }

  isEmpty(): boolean {
    const directory = fs.opendirSync(fastCalls() ? this.#path : this.#absolute);
    try {
      return directory.readSync() === null;
    } finally {
      directory.closeSync();
    }
  }

  /** Whether its file system gives an entry another inode number when it has forgotten it for a while. */
  hasPassingInodes(): boolean {
    return passingInodes.has(fs.statfsSync(fastCalls() ? this.#path : this.#absolute).type);
  }

  /** Of the directory itself. */
  status(into: FileStatus): void {
    statusOfFile(this.#fd, into);
  }

  /** Status of an entry; false if it is not there (any more). Throws what stat(2) says. */
  look(names: NameList, index: number, into: FileStatus): boolean {
    const fast = fastCalls();
    if (fast === null) {
      const stats = fs.lstatSync(this.reach(names.name(index)), { bigint: true, throwIfNoEntry: false });
      if (stats !== undefined) into.setStats(stats);
      return stats !== undefined;
    }
    const at = addressOfName(names, index);
    const result = fast.statx(this.#fd, at, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, fast.address);
    if (result === 0) {
      into.setStatx(statx);
      return true;
    }
    const errno = lastErrno();
    if (errno === ENOENT) return false;
    throw new SystemCallError(errno, 'statx', names.name(index));
  }

  /** A descriptor for reading; never waits for a fifo's writer. Throws what open(2) says. */
  open(names: NameList, index: number): number {
    const fast = fastCalls();
    if (fast === null) return fs.openSync(this.reach(names.name(index)), fileFlags);
    const fd = fast.openat(this.#fd, addressOfName(names, index), fileFlags | O_CLOEXEC);
    if (fd === -1) throw new SystemCallError(lastErrno(), 'openat', names.name(index));
    return Number(fd);
  }

  /** The same by name alone. */
  openNamed(name: Buffer): number {
    return fastCalls() === null
      ? fs.openSync(this.reach(name), fileFlags)
      : openBeneath(this.#fd, name, fileFlags);
  }

  /**
   * An entry that is no file, for its target and its attributes; undefined if it is no longer what has this status. To be closed.
   * Throws what open(2) says.
   */
  hold(names: NameList, index: number, seen: FileStatus): HeldEntry | undefined {
    const fast = fastCalls();
    if (fast === null) {
      const isThere = this.look(names, index, heldStatus);
      return isThere && heldStatus.isSameInode(seen)
        ? new EntryByPath(this.reach(names.name(index)))
        : undefined;
    }
    const flags = O_PATH | O_NOFOLLOW | O_CLOEXEC;
    const fd = Number(fast.openat(this.#fd, addressOfName(names, index), flags));
    if (fd === -1) throw new SystemCallError(lastErrno(), 'openat', names.name(index));
    const held = new EntryByDescriptor(fd);
    try {
      statusOfFile(fd, heldStatus);
      if (heldStatus.isSameInode(seen)) return held;
    } catch (error) {
      held.close();
      throw error;
    }
    held.close();
    return undefined;
  }

  /** As readXattrs: its own. */
  xattrs(most_bytes = Infinity): readonly ExtendedAttribute[] {
    return readXattrs(this.#fd, most_bytes);
  }

  /** A path to an entry of it, for calls that take one; valid while this is open. */
  reach(name: Buffer): Buffer {
    const directory = fastCalls() ? Buffer.from(this.#path) : this.#absolute;
    return Buffer.concat([directory, slash, name]);
  }
}

/** File systems by their magic numbers (statfs(2)): FUSE, SMB and CIFS, FAT and exFAT. */
const passingInodes = new Set([0x6573_5546, 0xfe53_4d42, 0xff53_4d42, 0x4d44, 0x2011_bab0]);

/** No terminal becomes the process's own, whatever stands where a file stood. */
const fileFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
const directoryFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK;
const nothing: Buffer = Buffer.alloc(0);
const heldStatus = new FileStatus();

function openDirectory(root: HeldRoot, path: Uint8Array, absolute: Buffer): number {
  return fastCalls() === null
    ? openLong(absolute, directoryFlags)
    : openBeneath(root.descriptor, path, directoryFlags);
}

/** The absolute path of what lies at `path` below the directory; '' is the directory itself. */
export function joinAbsolute(root: Buffer, path: Uint8Array): Buffer {
  if (path.length === 0) return root;
  return Buffer.concat(root.length === 1 ? [root, path] : [root, slash, path]);
}

/** An entry that stays the same one while it is held, whatever its name means by now. */
export interface HeldEntry {
  /** Target of a symlink. */
  readlink(): Buffer;
  /** As readXattrs. */
  xattrs(most_bytes?: number): readonly ExtendedAttribute[];
  close(): void;
}

class EntryByDescriptor implements HeldEntry {
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
  }

  readlink(): Buffer {
    return readlinkOf(this.#fd);
  }

  xattrs(most_bytes = Infinity): readonly ExtendedAttribute[] {
    return readXattrs(heldBy(this.#fd), most_bytes);
  }

  close(): void {
    closeNative(this.#fd);
  }
}

/** Where nothing can be held: as good as its path. */
class EntryByPath implements HeldEntry {
  readonly #path: Buffer;

  constructor(path: Buffer) {
    this.#path = path;
  }

  readlink(): Buffer {
    return fs.readlinkSync(this.#path, { encoding: 'buffer' });
  }

  xattrs(most_bytes = Infinity): readonly ExtendedAttribute[] {
    return readXattrs(this.#path, most_bytes);
  }

  close(): void {
    // Nothing is open.
  }
}

const slash = Buffer.of(0x2f);

/** The list that was pointed into last: where it lies does not change. */
let pointed: { readonly names: NameList; readonly address: number } | undefined;

function addressOfName(names: NameList, index: number): number {
  if (pointed?.names !== names) pointed = { names, address: addressOf(names.bytes) };
  return pointed.address + names.start(index);
}

export function statusOfFile(fd: number, into: FileStatus): void {
  const fast = fastCalls();
  if (fast === null) {
    into.setStats(fs.fstatSync(fd, { bigint: true }));
    return;
  }
  const path = fast.address + emptyAt;
  check(fast.statx(fd, path, AT_EMPTY_PATH, STATX_BASIC_STATS, fast.address), 'statx');
  into.setStatx(statx);
}

/** Of a descriptor that OpenDirectory.open gave; one that Node opened is for Node to close, which keeps account of them. */
export function closeFile(fd: number): void {
  const fast = fastCalls();
  if (fast === null) fs.closeSync(fd);
  else fast.close(fd);
}

/** The same of a thread that has been ended; what Node opened there it has closed itself. */
export function closeAbandoned(fd: number): void {
  fastCalls()?.close(fd);
}

/** What is in memory is there sooner, and copied faster. */
const patience_ms = 0.1;
const memory_bytesPerMs = 1_000_000;

/** Memory that files are read into, at an address that is looked up once. */
export class ReadBuffer {
  readonly bytes: Buffer;
  readonly #address: number;
  /** Reads that took so long that they must have waited for a disk. */
  waits = 0;
  #fetched = blocksFetched();

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.#address = fastCalls() ? addressOf(bytes) : 0;
  }

  /** Reads up to `size_bytes` to `offset`; 0 at the end of the file. Throws what read(2) says. */
  read(fd: number, offset: number, size_bytes: number, position: number): number {
    const began_ms = systemClock.monotonic_ms();
    const count = this.#read(fd, offset, size_bytes, position);
    const took_ms = systemClock.monotonic_ms() - began_ms;
    if (took_ms > patience_ms + count / memory_bytesPerMs) this.#tookLong();
    return count;
  }

  /** Where nothing came from a disk the thread only had no core. */
  #tookLong(): void {
    const fetched = blocksFetched();
    if (fetched > this.#fetched) this.waits++;
    this.#fetched = fetched;
  }

  #read(fd: number, offset: number, size_bytes: number, position: number): number {
    const fast = fastCalls();
    if (fast === null) return fs.readSync(fd, this.bytes, offset, size_bytes, position);
    if (offset + size_bytes > this.bytes.length) throw new RangeError('reading beyond the buffer');
    for (;;) {
      const count = Number(fast.pread(fd, this.#address + offset, size_bytes, position));
      if (count >= 0) return count;
      const errno = lastErrno();
      if (errno !== EINTR) throw new SystemCallError(errno, 'read');
    }
  }
}
