// The directories of a store, held open. A store may lie on a disk that others write to, so whatever lies below its root is
// reached from the root's descriptor, one name at a time, never through a symlink: an exchange between two calls leads nowhere
// else. The root itself is what the user has named, symlinks included, and stays what it was when it was first used.

import fs, { constants } from 'node:fs';
import { lstat, mkdir, open, realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { printable } from '../../bytes/path.js';
import { RrbackupError } from '../../errors/index.js';
import { canAnchor } from '../../posix/long-path.js';
import { makeDirectories } from '../../posix/new-directory.js';
import { errorCode } from '../../posix/reason.js';
import { pathOfOpen, stepFlags } from '../../posix/step.js';

// Numbers: a store that nobody closes keeps them, where Node complains of objects.
const openDescriptor = promisify(fs.open);
const closeDescriptor = promisify(fs.close);
const statusOf = promisify(fs.fstat);

/** More are closed, those used longest ago first. A call that is under way holds two more. */
const mostHeld = 64;
/** Without a call for so long all are closed: a disk that nobody uses can be unmounted. */
const idle_ms = 100;

interface Held {
  readonly descriptor: number;
  /** Names are put behind it. */
  readonly path: string;
  readonly device: bigint;
  readonly inode: bigint;
  users: number;
  /** To be closed by its last user. */
  isForgotten: boolean;
}

/** Makes names that were created in a directory, or removed from it, survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(join(path, '/'), constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } catch (error) {
    // Some network and FUSE file systems know no fsync of directories.
    if (!['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].includes(errorCode(error) ?? '')) throw error;
  } finally {
    await handle.close();
  }
}

/** 'a/b' and 'c' of 'a/b/c'; '' is the root. */
export function splitKey(key: string): { directory: string; name: string } {
  const slash = key.lastIndexOf('/');
  return { directory: key.slice(0, Math.max(0, slash)), name: key.slice(slash + 1) };
}

export class HeldDirectories {
  readonly #root: string;
  readonly #location: string;
  /** The root's path without symlinks, once the root was opened. */
  #resolved: string | undefined;
  /** By their path below the root, '' for the root; used last, last. */
  readonly #held = new Map<string, Held>();
  /** That this process has seen to it are there and stay there. */
  readonly #durable = new Set<string>();
  #calls = 0;
  #idle: NodeJS.Timeout | undefined;

  constructor(root: string, location: string) {
    this.#root = root;
    this.#location = location;
  }

  /**
   * Runs `use` with a path of the directory, for names to be put behind, that means this directory until `use` is done.
   * `directory` is a key, '' for the root. Throws 'store.symlink' if there is a symlink in its place or on the way, and what
   * open(2) says.
   */
  async in<T>(directory: string, use: (path: string) => Promise<T>): Promise<T> {
    this.#calls++;
    try {
      const held = await this.#hold(directory);
      try {
        return await use(held.path);
      } finally {
        await this.#release(held);
      }
    } finally {
      this.#calls--;
      if (this.#calls === 0) this.#waitForMore();
    }
  }

  /** Makes the root and what is missing above it. Only ever asked for: an unplugged disk is no reason to make it anew. */
  async makeRoot(): Promise<void> {
    makeDirectories(this.#root);
    await syncDirectory(dirname(this.#root)).catch((error: unknown) => {
      // The parent may be one that this user cannot read: then it is not ours to make durable.
      if (errorCode(error) !== 'EACCES') throw error;
    });
  }

  /** Makes a directory below the root. Also syncs what another process may have made a moment ago. */
  async ensure(directory: string): Promise<void> {
    if (directory === '' || this.#durable.has(directory)) return;
    const { directory: above, name } = splitKey(directory);
    await this.ensure(above);
    await this.in(above, async (path) => {
      await mkdir(join(path, name), { mode: 0o700 }).catch((error: unknown) => {
        if (errorCode(error) !== 'EEXIST') throw error;
      });
      await syncDirectory(path);
    });
    this.#durable.add(directory);
  }

  /** Somebody has removed a directory that was there: `ensure` makes them all again. */
  forgetDurable(): void {
    this.#durable.clear();
  }

  #waitForMore(): void {
    this.#idle ??= setTimeout(() => {
      if (this.#calls === 0) this.close().catch(() => undefined);
    }, idle_ms).unref();
    this.#idle.refresh();
  }

  /** What is used after this is opened anew. */
  async close(): Promise<void> {
    clearTimeout(this.#idle);
    this.#idle = undefined;
    for (const [directory, held] of [...this.#held]) await this.#forget(directory, held);
  }

  async #hold(directory: string): Promise<Held> {
    const known = this.#held.get(directory);
    if (known !== undefined) {
      known.users++;
      this.#held.delete(directory);
      this.#held.set(directory, known);
      if (await this.#isInPlace(directory, known)) return known;
      await this.#forget(directory, known);
      await this.#release(known);
    }
    const held = directory === '' ? await this.#openRoot() : await this.#openBelow(directory);
    const other = this.#held.get(directory);
    if (other !== undefined) await this.#forget(directory, other);
    this.#held.set(directory, held);
    for (const [oldest, of] of this.#held) {
      if (this.#held.size <= mostHeld) break;
      await this.#forget(oldest, of);
    }
    return held;
  }

  /**
   * False if its name stands for another directory by now. Asked by the whole path, in one call: whatever that leads through,
   * what is used is what was opened step by step.
   */
  async #isInPlace(directory: string, { device, inode }: Held): Promise<boolean> {
    try {
      const status = await stat(join(this.#resolved!, directory), { bigint: true });
      return status.dev === device && status.ino === inode;
    } catch {
      // Opening it says why.
      return false;
    }
  }

  async #openBelow(directory: string): Promise<Held> {
    const { directory: above, name } = splitKey(directory);
    return this.in(above, async (path) =>
      this.#identified(await this.#step(join(path, name), `its directory ${directory}`), join(path, name)),
    );
  }

  async #openRoot(): Promise<Held> {
    const isFirst = this.#resolved === undefined;
    this.#resolved ??= await realpath(this.#root);
    // Has an automounter bring the disk, which a step into the place where it will be does not do.
    if (isFirst) await stat(join(this.#resolved, '/'));
    return this.#identified(await this.#walkToRoot(this.#resolved), this.#resolved);
  }

  /** From the top without symlinks: were one put into the path while a command runs, it would lead elsewhere. */
  async #walkToRoot(resolved: string): Promise<number> {
    if (!canAnchor()) return this.#step(resolved, 'itself');
    let at = await openDescriptor('/', stepFlags());
    for (const name of resolved.split('/').filter((part) => part !== '')) {
      const above = at;
      try {
        at = await this.#step(
          join(pathOfOpen(above, ''), name),
          `${printable(Buffer.from(name))} on the way to it`,
        );
      } finally {
        await closeDescriptor(above);
      }
    }
    return at;
  }

  /** `what` of the store it is, for the message. */
  async #step(path: string, what: string): Promise<number> {
    try {
      return await openDescriptor(path, stepFlags());
    } catch (error) {
      const errno = errorCode(error);
      if ((errno === 'ENOTDIR' || errno === 'ELOOP') && (await isSymlink(path)))
        throw new RrbackupError({
          code: 'store.symlink',
          kind: 'store',
          message: `${this.#location}: there is a symbolic link in the place of ${what}`,
          guidance:
            'find out who has put it there; a repository is used only where all of its directories are real ones: put the directory back there, or mount it there (mount --bind)',
          cause: error,
        });
      throw error;
    }
  }

  async #identified(descriptor: number, path: string): Promise<Held> {
    try {
      const { dev, ino } = await statusOf(descriptor, { bigint: true });
      return {
        descriptor,
        path: pathOfOpen(descriptor, path),
        device: dev,
        inode: ino,
        users: 1,
        isForgotten: false,
      };
    } catch (error) {
      await closeDescriptor(descriptor);
      throw error;
    }
  }

  async #forget(directory: string, held: Held): Promise<void> {
    if (this.#held.get(directory) === held) this.#held.delete(directory);
    if (held.isForgotten) return;
    held.isForgotten = true;
    if (held.users === 0) await closeDescriptor(held.descriptor);
  }

  async #release(held: Held): Promise<void> {
    held.users--;
    if (held.users === 0 && held.isForgotten) await closeDescriptor(held.descriptor);
  }
}

async function isSymlink(path: string): Promise<boolean> {
  return lstat(path).then(
    (status) => status.isSymbolicLink(),
    () => false,
  );
}
