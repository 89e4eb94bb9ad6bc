// umount(8), which says "target is busy" for as long as anybody on the machine looks in passing: df, or a search over all files.

import { execFile } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { mountUsers } from '../lib/posix/mount-users.js';

const run = promisify(execFile);
const patience_ms = 10_000;
const retry_ms = 50;

/** Rejects with who uses it where it stays in use. */
export async function umount(at: string): Promise<void> {
  for (let waited_ms = 0; ; waited_ms += retry_ms) {
    try {
      await run('umount', [at]);
      return;
    } catch (error) {
      if (waited_ms >= patience_ms) throw new Error(JSON.stringify(mountUsers(at)), { cause: error });
      await pause(retry_ms);
    }
  }
}
