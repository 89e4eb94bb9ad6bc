// A file that was not there before, its owner's alone: with all of its text on the disk, or not at all.

import { open, unlink } from 'node:fs/promises';

/** Rejects as the system does: EEXIST for one that is there, which is never touched. */
export async function writeNewFile(file: string, text: string): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } catch (error) {
    await unlink(file);
    throw error;
  } finally {
    await handle.close();
  }
}
