// Mounts under measurement: knowing when one is there, and ending it and its server whatever state they are in.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { processStart, waitForExit } from './session.mjs';

const ready_ms = 10 * 60_000;

function isMounted(mountpoint) {
  return readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .some((line) => line.split(' ')[1] === mountpoint);
}

/** Until the kernel has the mount; its first request may still be waiting for an answer. */
async function mounted(mountpoint, child) {
  const until_ms = performance.now() + ready_ms;
  while (!isMounted(mountpoint)) {
    if (child.exitCode !== null) throw new Error(`${child.spawnfile} ended with status ${child.exitCode}`);
    if (performance.now() > until_ms)
      throw new Error(`${mountpoint} is not mounted after ${ready_ms / 1000} s`);
    await sleep(2);
  }
}

/** False: it would not go within some seconds. */
async function unmount(mountpoint) {
  for (let times = 0; isMounted(mountpoint); times++) {
    try {
      execFileSync('umount', [mountpoint], { stdio: 'ignore', timeout: 10_000 });
    } catch (error) {
      // Busy for a moment after its last reader was killed; not answering at all is for good.
      if (times >= 30 || error.code === 'ETIMEDOUT') return false;
      await sleep(100);
    }
  }
  return true;
}

/**
 * Mounts at `mountpoint`. `start` gives the server's process: a child that stays (then the mount is waited for), or
 * { pid } once it serves. Answers { mountpoint, pid, release }.
 */
export async function mountAt(session, mountpoint, start) {
  mkdirSync(mountpoint, { recursive: true });
  let server;
  let since;
  const release = session.defer(async () => {
    const isOrderly = await unmount(mountpoint);
    if (server !== undefined && !(await waitForExit(server.pid, since, isOrderly ? 10_000 : 0)))
      process.kill(server.pid, 'SIGKILL');
    if (!isOrderly) execFileSync('umount', ['-l', mountpoint], { stdio: 'ignore' });
    rmdirSync(mountpoint);
  });
  try {
    server = await start(mountpoint);
    since = processStart(server.pid);
    if (server.spawnfile !== undefined) await mounted(mountpoint, server);
  } catch (error) {
    await release();
    throw error;
  }
  return { mountpoint, pid: server.pid, release };
}
