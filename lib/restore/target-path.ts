// The way to the target: walked from the root down, each directory opened in the one before, so that nobody on this machine leads
// it elsewhere. A symlink is followed only if root or this user made it. What is missing is made.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { printable, splitPath } from '../bytes/path.js';
import { closeDescriptor, type HeldDirectory, makeDirectoryIn, openIn, pathIn } from '../posix/at.js';
import { holdIn, release, statusOf, symlinkTargetOf } from '../posix/inode.js';
import { errorCode, SystemCallError } from '../posix/libc.js';
import { canAnchor, O_PATH } from '../posix/long-path.js';
import { foreignSymlink } from './failure.js';

const { O_DIRECTORY, O_NOFOLLOW } = fs.constants;
const { ELOOP, ENOTDIR } = os.constants.errno;
const mostSymlinks = 40;
const parentMode = 0o777;
const targetMode = 0o700;
const slash = 0x2f;

export interface ReachedTarget {
  /** By O_PATH. Where there is no /proc it has a path only, which was looked at on the way. */
  readonly held: HeldDirectory;
  /** Made just now. */
  readonly isNew: boolean;
}

/** Close it with `closeTarget`. Throws what the system says, or code restore.foreign_symlink. */
export function reachTarget(target: string, { intoForeign }: { intoForeign: boolean }): ReachedTarget {
  const left = splitPath(Buffer.from(path.resolve(target)));
  let at = openRoot();
  let isNew = false;
  let symlinks = 0;
  try {
    for (let name = left.shift(); name !== undefined; name = left.shift()) {
      const below = enter(at, name, left.length === 0 ? targetMode : parentMode);
      if (below !== undefined) {
        closeTarget(at);
        at = below.held;
        isNew = below.isNew;
        continue;
      }
      if (++symlinks > mostSymlinks) throw new SystemCallError(ELOOP, 'openat', name);
      const to = readSymlink(at, name, { target, intoForeign });
      left.unshift(...splitPath(to));
      if (to[0] !== slash) continue;
      closeTarget(at);
      at = openRoot();
    }
    return { held: at, isNew };
  } catch (error) {
    closeTarget(at);
    throw error;
  }
}

export function closeTarget({ descriptor }: HeldDirectory): void {
  if (descriptor >= 0) closeDescriptor(descriptor);
}

function openRoot(): HeldDirectory {
  if (!canAnchor()) return { descriptor: -1, path: Buffer.alloc(0) };
  return openBelow({ descriptor: -1, path: Buffer.alloc(0) }, Buffer.from('.'));
}

/** The directory of that name, made if nothing has it; undefined if it is a symlink. */
function enter(at: HeldDirectory, name: Buffer, mode: number): ReachedTarget | undefined {
  const made = makeIfMissing(at, name, mode);
  try {
    return { held: openBelow(at, name), isNew: made };
  } catch (error) {
    if (!['ENOTDIR', 'ELOOP'].includes(errorCode(error) ?? '')) throw error;
    return undefined;
  }
}

function makeIfMissing(at: HeldDirectory, name: Buffer, mode: number): boolean {
  const inode = holdIn(at, name);
  if (inode !== undefined) {
    release(inode);
    return false;
  }
  try {
    makeDirectoryIn(at, name, mode);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

function openBelow(at: HeldDirectory, name: Buffer): HeldDirectory {
  if (canAnchor()) {
    const descriptor = openIn(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    return { descriptor, path: Buffer.from(`/proc/self/fd/${descriptor}`) };
  }
  const below = pathIn(at, name);
  if (!fs.lstatSync(below).isDirectory()) throw new SystemCallError(ENOTDIR, 'open', below);
  return { descriptor: -1, path: below };
}

function readSymlink(
  at: HeldDirectory,
  name: Buffer,
  { target, intoForeign }: { readonly target: string; readonly intoForeign: boolean },
): Buffer {
  const inode = holdIn(at, name);
  if (inode === undefined) throw new SystemCallError(os.constants.errno.ENOENT, 'openat', name);
  try {
    const stats = statusOf(inode);
    if (!stats.isSymbolicLink()) throw new SystemCallError(ENOTDIR, 'openat', name);
    if (!intoForeign && !isTrustedUser(stats.uid)) throw foreignSymlink(target, printable(name), stats.uid);
    return symlinkTargetOf(inode);
  } finally {
    release(inode);
  }
}

/** This user, and root, who can do everything anyway. */
export function isTrustedUser(uid: bigint): boolean {
  return uid === 0n || uid === BigInt(process.geteuid?.() ?? -1);
}
