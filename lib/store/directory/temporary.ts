// The files that are being written: their names, and the removal of those that a crash has left behind.

import type { Stats } from 'node:fs';
import { lstat, opendir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { createFile, removeFile } from './files.js';

const day_ms = 24 * 60 * 60 * 1000;
/** Crashes leave a few. The rest of a directory that somebody has filled stays. */
const mostLookedAt = 100_000;

const temporaryPattern = /^\d+-\d+-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

let count = 0;

/** A name that nobody can know before it is used. */
export function newTemporaryName(): string {
  count++;
  return `${process.pid}-${count}-${globalThis.crypto.randomUUID()}`;
}

/**
 * Removes what is a day old by the file system's own clock, so that no writer loses its file. Only what this user's processes
 * have made: the names are theirs, and so are the files. `directory` is the path of a held one.
 */
export async function sweep(directory: string): Promise<void> {
  const own = await newFile(join(directory, newTemporaryName()));
  let left = mostLookedAt;
  for await (const { name } of await opendir(directory)) {
    if (left-- === 0) return;
    if (!temporaryPattern.test(name)) continue;
    const path = join(directory, name);
    const status = await lstat(path).catch(() => undefined);
    if (status?.isFile() !== true || !isOfSameUser(status, own)) continue;
    // One that does not go is litter, and no reason not to store.
    if (own.mtimeMs - status.mtimeMs > day_ms) await unlink(path).catch(() => undefined);
  }
}

/** A server may have files belong to another user than the one who makes them: what it does to a new one counts. */
function isOfSameUser(status: Stats, own: Stats): boolean {
  return status.uid === own.uid;
}

async function newFile(path: string): Promise<Stats> {
  const handle = await createFile(path);
  try {
    return await handle.stat();
  } finally {
    await handle.close();
    await removeFile(path);
  }
}
