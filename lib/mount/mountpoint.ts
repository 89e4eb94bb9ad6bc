// Whether a mount can stand where it is wanted; every reason against it is a sentence of its own. Clears away what a killed
// server left behind.

import fs from 'node:fs/promises';
import path from 'node:path';
import { RrbackupError, type ErrorKind } from '../errors/index.js';
import { printable } from '../bytes/path.js';
import { errorCode } from '../posix/libc.js';
import { mountUsers } from '../posix/mount-users.js';
import { findFusermount, fuseDevice, listMounts, mountAt, mountType, unmountFuse } from '../posix/mount.js';

/** A live file system answers at once; one that does not is not ours to wait for. */
const answer_ms = 5000;
/** Who looks in on his way (df, a search over all files) is gone again soon. */
const grace_ms = 1000;
const retry_ms = 50;
const namedUsers = 5;

function refuse(code: string, kind: ErrorKind, message: string, guidance?: string): never {
  throw new RrbackupError({ code, kind, message, ...(guidance === undefined ? {} : { guidance }) });
}

/** The mount point as the kernel names it: absolute, without symlinks. Throws where nothing can be mounted. */
export async function prepareMountpoint(wanted: string, forbidden: readonly string[]): Promise<string> {
  const mountpoint = await canonical(wanted);
  if (mountpoint === undefined) {
    const guidance = `make it first: mkdir -p ${wanted}`;
    refuse('mount.missing', 'usage', `the mount point does not exist: ${wanted}`, guidance);
  }
  await clearDead(mountpoint);
  const mounted = mountAt(mountpoint);
  if (mounted?.type === mountType) {
    const guidance = `look into it, or end it first: rrbackup umount ${wanted}`;
    refuse('mount.already_mounted', 'busy', `an rrbackup mount is already there: ${wanted}`, guidance);
  }
  if (mounted !== undefined) {
    refuse(
      'mount.busy',
      'busy',
      `something else is mounted on ${wanted} (${mounted.type})`,
      'choose another directory',
    );
  }
  const stat = await fs.stat(mountpoint);
  if (!stat.isDirectory()) {
    refuse(
      'mount.not_a_directory',
      'usage',
      `the mount point is not a directory: ${wanted}`,
      'choose an empty directory',
    );
  }
  if ((await fs.readdir(mountpoint)).length > 0) {
    refuse(
      'mount.not_empty',
      'usage',
      `the mount point is not empty: ${wanted}`,
      'choose an empty directory',
    );
  }
  for (const directory of forbidden) {
    const other = await fs.realpath(directory).catch(() => path.resolve(directory));
    if (isInside(mountpoint, other) || isInside(other, mountpoint)) {
      const message = `the mount point ${wanted} and ${directory}, which the mount is made from, lie within each other`;
      refuse('mount.forbidden', 'usage', message, 'choose a directory elsewhere');
    }
  }
  return mountpoint;
}

/** Whether this machine and this user can have FUSE at all. */
export async function checkFuse(): Promise<void> {
  if (process.platform !== 'linux') {
    refuse('mount.not_linux', 'usage', 'the kernel driver needs Linux', 'use --driver fuse-native');
  }
  try {
    await fs.access(fuseDevice, fs.constants.R_OK | fs.constants.W_OK);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') {
      const guidance = 'load the kernel module (modprobe fuse); a container needs --device /dev/fuse';
      refuse('mount.no_device', 'failure', 'this machine has no /dev/fuse', guidance);
    }
    const guidance = 'let root run chmod 666 /dev/fuse, or run the command as root';
    refuse('mount.device_denied', 'failure', 'this user may not open /dev/fuse', guidance);
  }
  if (process.geteuid?.() !== 0 && findFusermount() === undefined) {
    const message = 'fusermount3 is not installed, and only root can mount without it';
    refuse('mount.no_helper', 'failure', message, 'install the package fuse3, or run the command as root');
  }
}

/** Ends the rrbackup mount at a path: what `rrbackup umount` does. A dead one is cleared. 'mount.in_use' names who uses it. */
export async function unmountAt(wanted: string, { lazy = false } = {}): Promise<void> {
  const mountpoint = await canonical(wanted);
  if (mountpoint === undefined || mountAt(mountpoint)?.type !== mountType) {
    const what = mountpoint === undefined ? 'there is no such directory' : 'no rrbackup mount is there';
    const others = listMounts().filter(({ type }) => type === mountType);
    const where = others.map((mount) => printable(Buffer.from(mount.mountpoint, 'latin1'))).join(', ');
    const guidance = where === '' ? 'no rrbackup mount is anywhere' : `rrbackup mounts are at ${where}`;
    refuse('mount.not_mounted', 'usage', `${what}: ${wanted}`, guidance);
  }
  for (let waited_ms = 0; ; waited_ms += retry_ms) {
    try {
      return await unmountFuse(mountpoint, { lazy });
    } catch (error) {
      if (!(error instanceof RrbackupError) || error.code !== 'mount.in_use') throw error;
      if (waited_ms >= grace_ms) return await clearOrName(mountpoint, error);
      await new Promise((resolve) => setTimeout(resolve, retry_ms));
    }
  }
}

/** A dead one that is in use goes all the same. Not asked before: whoever asks one that hangs is in it himself. */
async function clearOrName(mountpoint: string, inUse: RrbackupError): Promise<void> {
  const users = mountUsers(mountpoint).map(
    ({ pid, name }) => `${printable(Buffer.from(name))} (process ${pid})`,
  );
  if (await isDead(mountpoint)) return unmountFuse(mountpoint, { lazy: true });
  const others = users.length > namedUsers ? ` and ${users.length - namedUsers} more` : '';
  refuse(
    inUse.code,
    inUse.kind,
    inUse.message,
    users.length === 0
      ? inUse.guidance
      : `close what uses it: ${users.slice(0, namedUsers).join(', ')}${others}`,
  );
}

/**
 * Undefined for what is not there. The parent is resolved, the mount point itself is not touched: a dead mount answers
 * nothing.
 */
async function canonical(wanted: string): Promise<string | undefined> {
  const absolute = path.resolve(wanted);
  if (mountAt(absolute) !== undefined) return absolute;
  try {
    return await fs.realpath(absolute);
  } catch (error) {
    if (errorCode(error) === 'ENOTCONN') {
      return path.join(await fs.realpath(path.dirname(absolute)), path.basename(absolute));
    }
    if (errorCode(error) === 'ENOENT' || errorCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

async function clearDead(mountpoint: string): Promise<void> {
  if (mountAt(mountpoint)?.type === mountType && (await isDead(mountpoint))) {
    await unmountFuse(mountpoint, { lazy: true });
  }
}

/** Nobody serves it any more: its server was killed. */
async function isDead(mountpoint: string): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<false>((resolve) => {
    timer = setTimeout(() => {
      resolve(false);
    }, answer_ms);
  });
  const answer = fs.statfs(mountpoint).then(
    () => false,
    (error: unknown) => errorCode(error) === 'ENOTCONN',
  );
  const isGone = await Promise.race([answer, silence]);
  clearTimeout(timer);
  return isGone;
}

function isInside(inner: string, outer: string): boolean {
  const relative = path.relative(outer, inner);
  return relative === '' || (relative !== '..' && !relative.startsWith(`..${path.sep}`));
}
