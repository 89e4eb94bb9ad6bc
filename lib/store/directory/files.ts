// Files as a directory store writes and reads them: whole and durable, or not there at all. Knows paths, not keys.

import { constants } from 'node:fs';
import { link, mkdir, open, rename, rm, type FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RrbackupError } from '../../errors/index.js';
import { makeDirectories } from '../../posix/new-directory.js';
import { throwIfAborted } from '../failures.js';
import { errnoOf } from './failure.js';

/** Makes names that were created in a directory, or removed from it, survive a power cut. */
export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    await handle.sync();
  } catch (error) {
    // Some network and FUSE file systems know no fsync of directories.
    if (!['EINVAL', 'ENOTSUP', 'EOPNOTSUPP'].includes(errnoOf(error) ?? '')) throw error;
  } finally {
    await handle.close();
  }
}

/** Directories that this process has seen to it are there and stay there. */
export class DurableDirectories {
  readonly #root: string;
  readonly #known = new Set<string>();

  constructor(root: string) {
    this.#root = root;
  }

  /** Makes the root and what is missing above it. Only ever asked for: an unplugged disk is no reason to make it anew. */
  async makeRoot(): Promise<void> {
    makeDirectories(this.#root);
    await syncDirectory(dirname(this.#root)).catch((error: unknown) => {
      // The parent may be one that this user cannot read: then it is not ours to make durable.
      if (errnoOf(error) !== 'EACCES') throw error;
    });
  }

  /** `path` is below the root. Also syncs what another process may have made a moment ago. */
  async ensure(path: string): Promise<void> {
    if (path === this.#root || this.#known.has(path)) return;
    const parent = dirname(path);
    await this.ensure(parent);
    await mkdir(path, { mode: 0o700 }).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
    });
    await syncDirectory(parent);
    this.#known.add(path);
  }

  forget(path: string): void {
    this.#known.delete(path);
  }
}

/** Writes a new file and syncs its content; nothing is left behind when that fails. */
export async function writeTemporary(
  path: string,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    for (let at = 0; at < bytes.length;) {
      throwIfAborted(signal);
      at += (await handle.write(bytes, at, Math.min(bytes.length - at, 4 << 20))).bytesWritten;
    }
    throwIfAborted(signal);
    await handle.sync();
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
  if (signal?.aborted === true) await rm(path, { force: true });
  throwIfAborted(signal);
}

/** Gives the temporary file its name unless that is taken; false if it is. The temporary name goes away. */
export async function publishNew(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    const errno = errnoOf(error) ?? '';
    if (errno === 'EEXIST') return false;
    if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errno)) {
      throw new RrbackupError({
        code: 'store.failed',
        kind: 'store',
        message: `the file system of ${path} has no hard links (${errno})`,
        guidance:
          'use a file system with hard links (ext4, XFS, Btrfs, NFS, …) for a repository that was made on one',
        cause: error,
      });
    }
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** Gives the temporary file its name, replacing what has it. */
export async function publish(temporary: string, path: string): Promise<void> {
  try {
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Opens a regular file for reading; undefined if there is none. Follows no symlink and waits for no fifo. */
export async function openFile(
  path: string,
): Promise<{ handle: FileHandle; size_bytes: number } | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
  try {
    const status = await handle.stat();
    if (status.isFile()) return { handle, size_bytes: status.size };
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return undefined;
}

/** The bytes from `offset` on, at most `length`; fewer only where the file ends. */
export async function readFully(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}
