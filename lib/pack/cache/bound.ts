// What keeps the disk cache within its size: counts what its files really occupy and deletes whole ones, those first that were
// of no use for longest. Any process may do it at any time, others at once; a file that vanishes is one less to delete.

import type { Stats } from 'node:fs';
import { lstat, readdir, unlink } from 'node:fs/promises';
import path from 'node:path';
import { isAbsence } from '../../store/directory/failure.js';

/** Everything else in the directory is not ours to delete. */
const packName = /^[0-9a-f]{64}$/;
/** Of `st_blocks`, on every file system. */
const statBlock_bytes = 512;

interface CachedFile {
  readonly file: string;
  readonly used_ms: number;
  readonly allocated_bytes: number;
}

/**
 * Deletes until at most `target_bytes` are occupied, if more than `maximum_bytes` are. Returns what is occupied then. Throws as
 * node:fs, but never because something is not there.
 */
export async function enforceBound(
  directory: string,
  maximum_bytes: number,
  target_bytes: number,
): Promise<number> {
  const files = await cachedFiles(directory);
  let occupied_bytes = files.reduce((sum, file) => sum + file.allocated_bytes, 0);
  if (occupied_bytes <= maximum_bytes) return occupied_bytes;
  files.sort((a, b) => a.used_ms - b.used_ms);
  for (const { file, allocated_bytes } of files) {
    if (occupied_bytes <= target_bytes) break;
    await unlessAbsent(unlink(file));
    occupied_bytes -= allocated_bytes;
  }
  return occupied_bytes;
}

async function cachedFiles(directory: string): Promise<CachedFile[]> {
  const names = (await unlessAbsent(readdir(directory))) ?? [];
  const files: CachedFile[] = [];
  for (const name of names) {
    if (!packName.test(name)) continue;
    const file = path.join(directory, name);
    const status: Stats | undefined = await unlessAbsent(lstat(file));
    if (status === undefined || status.isDirectory()) continue;
    files.push({ file, used_ms: status.mtimeMs, allocated_bytes: status.blocks * statBlock_bytes });
  }
  return files;
}

async function unlessAbsent<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}
