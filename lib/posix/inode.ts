// An inode held by a descriptor: what is asked of it and done to it stays with it, whoever exchanges its name meanwhile. On Linux
// any type can be held without being opened (O_PATH): no device notices, and no fifo waits. Elsewhere files and directories are
// opened, and other types have only their path, whose last symlink is never followed.

import fs from 'node:fs';
import os from 'node:os';
import { closeDescriptor, type HeldDirectory, openAt, openIn, pathIn } from './at.js';
import { readlinkOf } from './beneath.js';
import { AT_FDCWD, check, cString, declare, errorCode, SystemCallError } from './libc.js';
import { O_PATH } from './long-path.js';

const linkat = declare(
  'int linkat(int fromDirectory, const void *from, int toDirectory, const void *to, int flags)',
);

const AT_SYMLINK_FOLLOW = 0x400;
const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
const terminator = Buffer.of(0);

export interface Inode {
  /** -1 where there is only the path. */
  readonly descriptor: number;
  /**
   * Undefined if the descriptor was opened for reading or writing. With an O_PATH descriptor: '/proc/self/fd/N', which is the inode
   * itself, a symlink's too. Without a descriptor: a path whose last symlink must not be followed.
   */
  readonly path: Buffer | undefined;
  /** Of what was opened by its name: where it was found. */
  readonly foundAt?: Buffer;
}

/** A file or directory that is open. */
export function opened(descriptor: number): Inode {
  return { descriptor, path: undefined };
}

/** What an O_PATH descriptor holds. */
export function heldBy(descriptor: number): Inode {
  return { descriptor, path: Buffer.from(`/proc/self/fd/${descriptor}`) };
}

/** What has this name now, undefined if nothing has. Give it back with `release`. Throws what open(2) says. */
export function holdIn(directory: HeldDirectory, name: Uint8Array): Inode | undefined {
  try {
    if (directory.descriptor >= 0) return heldBy(openIn(directory, name, O_PATH | O_NOFOLLOW));
    const path = pathIn(directory, name);
    const stats = fs.lstatSync(path);
    if (!stats.isFile() && !stats.isDirectory()) return { descriptor: -1, path };
    return { ...opened(fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)), foundAt: path };
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export function release({ descriptor }: Inode): void {
  if (descriptor >= 0) closeDescriptor(descriptor);
}

export function statusOf({ descriptor, path }: Inode): fs.BigIntStats {
  return descriptor >= 0 ? fs.fstatSync(descriptor, { bigint: true }) : fs.lstatSync(path!, { bigint: true });
}

/** The target of a symlink that is held. */
export function symlinkTargetOf({ descriptor, path }: Inode): Buffer {
  return descriptor < 0 ? fs.readlinkSync(path!, { encoding: 'buffer' }) : readlinkOf(descriptor);
}

/** Opens the regular file or directory that is held; close it with `closeDescriptor`. Throws what open(2) says. */
export function openHeld(inode: Inode, flags: number): number {
  if (inode.foundAt === undefined) return openAt(AT_FDCWD, inode.path!, flags | O_NONBLOCK);
  const descriptor = fs.openSync(inode.foundAt, flags | O_NOFOLLOW | O_NONBLOCK);
  if (isSameInode(statusOf(opened(descriptor)), statusOf(inode))) return descriptor;
  fs.closeSync(descriptor);
  throw new SystemCallError(os.constants.errno.ENOENT, 'open', inode.foundAt);
}

/** Gives what is held one more name. Throws 'EEXIST' if something has it. */
export function linkIn(inode: Inode, directory: HeldDirectory, name: Uint8Array): void {
  if (directory.descriptor < 0) {
    fs.linkSync(inode.foundAt ?? inode.path!, pathIn(directory, name));
    return;
  }
  const to = Buffer.concat([name, terminator]);
  check(linkat(AT_FDCWD, cString(inode.path!), directory.descriptor, to, AT_SYMLINK_FOLLOW), 'linkat', name);
}

export function isSameInode(one: fs.BigIntStats, other: fs.BigIntStats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}
