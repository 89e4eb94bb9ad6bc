// Has the catalog read from a cold disk in one go, before somebody lists directories out of it page by page. Only what is likely
// to be of use; nothing depends on it.

import { open } from 'node:fs/promises';
import { setImmediate as turn } from 'node:timers/promises';
import { willNeed } from '../posix/read-ahead.js';

/** Of a larger catalog most is not needed, and other things in memory are. */
const largest_bytes = 256 * 2 ** 20;
const step_bytes = 4 * 2 ** 20;

export async function warmUp(catalogPath: string): Promise<void> {
  const file = await open(catalogPath, 'r');
  try {
    const { size } = await file.stat();
    for (let at = 0; at < size && size <= largest_bytes; at += step_bytes) {
      willNeed(file.fd, at, Math.min(step_bytes, size - at));
      await turn();
    }
  } finally {
    await file.close();
  }
}
