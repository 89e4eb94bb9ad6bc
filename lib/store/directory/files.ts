// Files as a directory store writes and reads them: whole and durable, or not there at all. Knows paths, not keys; their last
// name is followed nowhere.

import { constants } from 'node:fs';
import { type FileHandle, link, lstat, open, rename, unlink } from 'node:fs/promises';
import { RrbackupError } from '../../errors/index.js';
import { errorCode } from '../../posix/reason.js';
import { readFlags } from '../../posix/step.js';
import { throwIfAborted } from '../failures.js';

/** A temporary file that is complete. While it is open no other file can have its inode. */
export interface Written {
  readonly path: string;
  readonly handle: FileHandle;
  readonly bytes: Uint8Array;
}

/** Makes a file of our own where nothing was. */
export function createFile(path: string): Promise<FileHandle> {
  const { O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW } = constants;
  return open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
}

/** Writes a new file, syncs its content and has it published, whatever the answer is; its temporary name goes away. */
export async function writeTemporary<T>(
  path: string,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
  publishing: (written: Written) => Promise<T>,
): Promise<T> {
  const handle = await createFile(path);
  try {
    for (let at = 0; at < bytes.length;) {
      throwIfAborted(signal);
      at += (await handle.write(bytes, at, Math.min(bytes.length - at, 4 << 20))).bytesWritten;
    }
    throwIfAborted(signal);
    await handle.sync();
    throwIfAborted(signal);
    return await publishing({ path, handle, bytes });
  } finally {
    await handle.close();
    await removeFile(path);
  }
}

/** Fine if it is not there. */
export async function removeFile(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (errorCode(error) !== 'ENOENT') throw error;
  });
}

/**
 * Gives the temporary file its name unless that is taken; false if it is. Who may write to the directory could have put
 * another file into its place before it had its name: so what has the name is looked at. `what` it is, for messages.
 */
export async function publishNew(written: Written, path: string, what: string): Promise<boolean> {
  try {
    await link(written.path, path);
  } catch (error) {
    const errno = errorCode(error) ?? '';
    if (errno === 'EEXIST') return false;
    if (['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errno)) {
      throw new RrbackupError({
        code: 'store.failed',
        kind: 'store',
        message: `the file system of ${what} has no hard links (${errno})`,
        guidance:
          'use a file system with hard links (ext4, XFS, Btrfs, NFS, …) for a repository that was made on one',
        cause: error,
      });
    }
    throw error;
  }
  if (!(await isWhatWasWritten(path, written))) throw exchanged(what);
  return true;
}

/** Gives the temporary file its name, replacing what has it. Another writer may do so a moment later: looked at before. */
export async function publish(written: Written, path: string, what: string): Promise<boolean> {
  if (!(await isWhatWasWritten(written.path, written))) throw exchanged(what);
  await rename(written.path, path);
  return true;
}

/** The same file or, where a file system gives one file several numbers, the same bytes. */
async function isWhatWasWritten(path: string, { handle, bytes }: Written): Promise<boolean> {
  const [written, found] = [await handle.stat({ bigint: true }), await lstat(path, { bigint: true })];
  if (found.dev === written.dev && found.ino === written.ino) return true;
  const file = await openFile(path);
  if (file === undefined) return false;
  try {
    return file.size_bytes === bytes.length && (await readFully(file.handle, 0, bytes.length)).equals(bytes);
  } finally {
    await file.handle.close();
  }
}

function exchanged(what: string): RrbackupError {
  return new RrbackupError({
    code: 'store.exchanged',
    kind: 'store',
    message: `somebody else has put another file in the place of ${what} while it was being stored`,
    guidance: 'find out who else writes to the repository, then run the command again',
  });
}

/** Opens a regular file for reading; undefined if there is none. Follows no symlink and waits for no fifo. */
export async function openFile(
  path: string,
): Promise<{ handle: FileHandle; size_bytes: number } | undefined> {
  let handle: FileHandle;
  try {
    handle = await open(path, readFlags);
  } catch (error) {
    // A socket or a device without a driver is ENXIO.
    if (['ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO'].includes(errorCode(error) ?? '')) return undefined;
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
