// Many schedules in a process of their own: what tap adds to every promise, to know whose it is, would double the time.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Test } from 'tap';

const soak = fileURLToPath(new URL('./soak.js', import.meta.url));

/** Fails with the seed and all that led there. */
export async function nothingFound(
  t: Test,
  level: 'chain' | 'repository',
  first: number,
  count: number,
): Promise<void> {
  const { stdout, failed } = await promisify(execFile)(process.execPath, [
    soak,
    level,
    `${first}`,
    `${count}`,
  ]).then(
    ({ stdout }) => ({ stdout, failed: false }),
    (error: { stdout: string; stderr: string }) => ({ stdout: error.stdout + error.stderr, failed: true }),
  );
  t.notOk(failed, failed ? stdout : `${count} schedules`);
}
