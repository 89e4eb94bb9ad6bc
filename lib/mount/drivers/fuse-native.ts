// The driver on top of the npm package fuse-native (libfuse 2; macOS, or by choice): the same tree, asked for by path. It knows
// less than the kernel's protocol: times in milliseconds, names as UTF-8 (other bytes stand as \xNN), no inode numbers, so
// that hard links are not recognised, no holes, and no ACLs that are enforced: only the user who mounts is let in. The package is optional and loaded only when asked for.

import { isUtf8 } from 'node:buffer';
import { LRUCache } from 'lru-cache';
import { printable } from '../../bytes/path.js';
import { RrbackupError } from '../../errors/index.js';
import { mountAt, unmountFuse } from '../../posix/mount.js';
import { errno, page_bytes } from '../protocol/constants.js';
import { isDirectory, type Attributes } from '../tree/attributes.js';
import { Tree, type Found } from '../tree/index.js';
import { nodeKinds, rootNode } from '../tree/node.js';
import type { MountOptions } from '../types.js';
import { readFailure } from './content-replies.js';
import type { Driver } from './driver.js';

type Callback = (error: number, ...values: unknown[]) => void;

interface Fuse {
  mount(callback: (error: Error | null) => void): void;
  unmount(callback: (error: Error | null) => void): void;
}

interface FuseConstructor {
  new (
    mountpoint: string,
    operations: Record<string, (...args: never[]) => void>,
    options: Record<string, unknown>,
  ): Fuse;
  /** What an instance detaches its mount with, before it ends its thread. */
  unmount(mountpoint: string, callback: (error: unknown) => void): void;
}

/** How often to look whether somebody else has unmounted: the package does not say. */
const watch_ms = 500;
const keptDirectories = 1024;

export async function mountByFuseNative(options: MountOptions): Promise<Driver> {
  const Native = await loadFuseNative();
  const driver = new FuseNativeDriver(options, Native);
  await driver.start();
  return driver;
}

async function loadFuseNative(): Promise<FuseConstructor> {
  const name = 'fuse-native';
  try {
    const Native = ((await import(name)) as { default: FuseConstructor }).default;
    // Its own way goes through a shell, and fails where the mount is gone already, without ending its thread.
    Native.unmount = (mountpoint, callback) => {
      detach(mountpoint).then(() => {
        callback(null);
      }, callback);
    };
    return Native;
  } catch (error) {
    throw new RrbackupError({
      code: 'mount.no_fuse_native',
      kind: 'failure',
      message:
        'the driver fuse-native cannot be loaded: the npm package or the library libfuse2 is not installed',
      guidance: 'use the driver kernel, or install the package fuse-native and libfuse2',
      cause: error,
    });
  }
}

/** The package's threads may go on after the mount has gone, in memory that a Node which is taken down frees under them. */
function endAtOnce(): void {
  process.exit();
}

class FuseNativeDriver implements Driver {
  readonly closed: Promise<void>;
  readonly #options: MountOptions;
  readonly #tree: Tree;
  readonly #fuse: Fuse;
  readonly #abort = new AbortController();
  /** By path: directories inside versions, which stay what they are while no version comes. */
  readonly #directories = new LRUCache<string, Found>({ max: keptDirectories });
  #onClosed: (() => void) | undefined;
  #watch: NodeJS.Timeout | undefined;

  constructor(options: MountOptions, Native: FuseConstructor) {
    this.#options = options;
    this.#tree = new Tree(options.catalog, options.tree);
    this.closed = new Promise((resolve) => (this.#onClosed = resolve));
    this.#fuse = new Native(options.mountpoint, this.#operations(), {
      // The package has no options of its own for these; what stands here is joined with commas as it is.
      fsname: `${options.fsname ?? 'rrbackup'},ro,nosuid,nodev${options.noExec === true ? ',noexec' : ''}`,
      subtype: 'rrbackup',
      timeout: false,
    });
  }

  async start(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#fuse.mount((error) => {
        if (error === null) resolve();
        else reject(mountFailed(this.#options.mountpoint, error));
      });
    });
    if (!process.listeners('beforeExit').includes(endAtOnce)) process.on('beforeExit', endAtOnce);
    this.#watch = setInterval(() => {
      if (mountAt(this.#options.mountpoint) === undefined) void this.unmount();
    }, watch_ms);
  }

  nudge(): void {
    this.#directories.clear();
    this.#tree.refresh();
  }

  async unmount(): Promise<void> {
    if (this.#abort.signal.aborted) return this.closed;
    this.#abort.abort();
    clearInterval(this.#watch);
    await new Promise<void>((resolve) => {
      this.#fuse.unmount(() => {
        resolve();
      });
    });
    this.#onClosed?.();
  }

  #operations(): Record<string, (...args: never[]) => void> {
    return {
      getattr: (file: string, callback: Callback) => {
        this.#with(file, callback, (found) => [0, statOf(found.attributes)]);
      },
      readdir: (file: string, callback: Callback) => {
        this.#with(file, callback, ({ node }) => {
          const entries = this.#tree.readdir(node, 0);
          return entries === undefined
            ? [-errno.ENOTDIR]
            : [0, Array.from(entries, ({ name }) => toText(name))];
        });
      },
      readlink: (file: string, callback: Callback) => {
        this.#with(file, callback, ({ node }) => {
          const target = this.#tree.readlink(node);
          return target === undefined ? [-errno.EINVAL] : [0, Buffer.from(target).toString('utf8')];
        });
      },
      listxattr: (file: string, callback: Callback) => {
        this.#with(file, callback, ({ node }) => [
          0,
          (this.#tree.xattrs(node) ?? []).map(({ name }) => Buffer.from(name).toString('utf8')),
        ]);
      },
      getxattr: (file: string, name: string, _position: number, callback: Callback) => {
        this.#with(file, callback, ({ node }) => {
          const xattr = this.#tree
            .xattrs(node)
            ?.find((candidate) => Buffer.from(name).equals(candidate.name));
          return xattr === undefined ? [-errno.ENODATA] : [0, Buffer.from(xattr.value)];
        });
      },
      statfs: (_file: string, callback: Callback) => {
        const { bytes, files } = this.#tree.totals();
        const blocks = Math.ceil(bytes / page_bytes);
        callback(0, { bsize: page_bytes, frsize: page_bytes, blocks, files, namemax: 255 });
      },
      read: (
        file: string,
        _handle: number,
        buffer: Buffer,
        size: number,
        offset: number,
        callback: Callback,
      ) => {
        void this.#read(file, buffer, size, offset, callback);
      },
    };
  }

  async #read(file: string, buffer: Buffer, size: number, offset: number, callback: Callback): Promise<void> {
    try {
      const found = this.#walk(file);
      const entry = found && this.#tree.entry(found.node);
      if (found === undefined || (entry === undefined && isDirectory(found.attributes))) {
        callback(-errno.ENOENT);
        return;
      }
      const signal = this.#abort.signal;
      const bytes = entry && (await this.#options.content.read(entry, offset, size, signal));
      callback(bytes?.copy(buffer) ?? 0);
    } catch (error) {
      this.#options.onWarning(readFailure(Buffer.from(file), error));
      callback(-errno.EIO);
    }
  }

  #with(file: string, callback: Callback, answer: (found: Found) => [number, ...unknown[]]): void {
    let values: [number, ...unknown[]];
    try {
      const found = this.#walk(file, (node) => (values = answer(node)));
      values = found === undefined ? [-errno.ENOENT] : values!;
    } catch (error) {
      this.#options.onWarning(readFailure(Buffer.from(file), error));
      values = [-errno.EIO];
    }
    callback(...values);
  }

  #root(): Found | undefined {
    const attributes = this.#tree.getattr(rootNode);
    return attributes && { node: rootNode, attributes };
  }

  /** Follows a path from the root, and gives the nodes below history/ back once `use` is done with the last one. */
  #walk(file: string, use?: (found: Found) => void): Found | undefined {
    const parentEnd = file.lastIndexOf('/');
    const known = this.#directories.get(file.slice(0, parentEnd));
    const names = (known === undefined ? file : file.slice(parentEnd))
      .split('/')
      .filter((name) => name !== '');
    let found = known ?? this.#root();
    const visited: Found[] = [];
    for (const name of names) {
      const parent: Found | undefined = found;
      found =
        parent &&
        toNames(name)
          .map((bytes) => this.#tree.lookup(parent.node, bytes))
          .find(Boolean);
      if (found !== undefined) visited.push(found);
    }
    if (found?.node.kind === nodeKinds.directory) this.#directories.set(file, found);
    try {
      if (found !== undefined) use?.(found);
    } finally {
      for (const { node } of visited) this.#tree.history.forget(node, 1);
    }
    return found;
  }
}

async function detach(mountpoint: string): Promise<void> {
  if (mountAt(mountpoint) !== undefined) await unmountFuse(mountpoint, { lazy: true });
}

function statOf(attributes: Attributes): Record<string, unknown> {
  const mtime = toMilliseconds(attributes.mtime_s, attributes.mtimeRest_ns);
  return {
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.size_bytes,
    nlink: attributes.links,
    rdev: ((attributes.rdevMajor << 8) | (attributes.rdevMinor & 0xff)) >>> 0,
    blksize: page_bytes,
    blocks: attributes.blocks,
    atime: mtime,
    mtime,
    ctime: toMilliseconds(attributes.ctime_s, attributes.ctimeRest_ns),
  };
}

const toMilliseconds = (time_s: number, rest_ns: number): number =>
  time_s * 1000 + Math.floor(rest_ns / 1_000_000);

function toText(name: Buffer): string {
  return isUtf8(name) ? name.toString('utf8') : printable(name);
}

/** What a name may have been: itself, or the bytes behind its \xNN. */
function toNames(text: string): Buffer[] {
  const itself = Buffer.from(text, 'utf8');
  if (!text.includes('\\x')) return [itself];
  const escaped = text.replaceAll(/\\x([0-9a-f]{2})/g, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return [itself, Buffer.from(escaped, 'latin1')];
}

function mountFailed(mountpoint: string, error: Error): RrbackupError {
  return new RrbackupError({
    code: 'mount.failed',
    kind: 'failure',
    message: `${mountpoint} cannot be mounted: ${error.message}`,
    cause: error,
  });
}
