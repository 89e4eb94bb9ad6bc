// Puts owner, mode, times, extended attributes and ACLs of one entry back. What this user or this file system cannot do is a
// warning, never a failure. Never follows a symlink.

import fs from 'node:fs';
import { printable } from '../bytes/path.js';
import type { Entry } from '../manifest/types.js';
import { setMode, setModeOf, setModified, setModifiedOf, setOwnerOf } from '../posix/attributes.js';
import { errorCode, reasonOf } from '../posix/libc.js';
import { listXattrs, removeXattr, setXattr } from '../posix/xattr.js';
import type { WriterSettings } from './messages.js';

const setuidBits = 0o6000;
const permissionBits = 0o777;
const modeBits = 0o7777n;

/** Takes what could not be done; the first message of each group is the one that is told. */
export interface WarningSink {
  add(group: string, message: string): void;
}

export interface Made {
  /** Reaches the entry. */
  readonly access: Buffer;
  /** Names it in warnings. */
  readonly path: Uint8Array;
  readonly entry: Entry;
  /** Of a file that is open. */
  readonly descriptor?: number;
  /** It was made just now in a directory where new entries are this user's and have no attributes. */
  readonly isPlain: boolean;
  /** Of something that stood there before: what is right already is left alone. */
  readonly stats?: fs.BigIntStats | undefined;
}

export class Attributes {
  readonly #warnings: WarningSink;
  readonly #umask: number;
  readonly #isRoot = process.geteuid?.() === 0;
  readonly #keepsSetuid: boolean;
  readonly #uid = process.geteuid?.();
  readonly #gid = process.getegid?.();
  readonly #groups = new Set([...(process.getgroups?.() ?? []), process.getegid?.()]);

  constructor(warnings: WarningSink, { umask, setuid }: Pick<WriterSettings, 'umask' | 'setuid'>) {
    this.#warnings = warnings;
    this.#umask = umask;
    this.#keepsSetuid = setuid || this.#isRoot;
  }

  /**
   * The mode to make a file with in a plain directory, if then only its time is left to be put right; undefined if more is. Who
   * may read the file later may read it then.
   */
  finalMode(entry: Entry): number | undefined {
    const { mode } = entry;
    return this.isOurs(entry) && (mode & ~permissionBits) === 0 && (mode & this.#umask) === 0
      ? mode
      : undefined;
  }

  /** Throws only where permission bits or times are refused. */
  apply(made: Made): void {
    const { access, entry, descriptor, isPlain, stats } = made;
    const hasOwner =
      stats !== undefined && stats.uid === BigInt(entry.uid) && stats.gid === BigInt(entry.gid);
    // A change of owner takes setuid bits and capabilities away, and a file without write permission takes no attributes.
    this.#xattrs(made, false);
    const isOwned = hasOwner || (isPlain && this.#hasOurOwner(entry)) || this.#owner(made);
    this.#xattrs(made, true);
    const mode = this.#mode(made, isOwned);
    if (descriptor !== undefined) {
      setModeOf(descriptor, mode);
      setModifiedOf(descriptor, entry.mtime_ns);
      return;
    }
    const hasMode = hasOwner && entry.xattrs.length === 0 && Number(stats.mode & modeBits) === mode;
    if (entry.type !== 'symlink' && !hasMode) setMode(access, mode);
    if (stats?.mtimeNs !== entry.mtime_ns) setModified(access, entry.mtime_ns);
  }

  /** With setuid bits only for its own user, and where somebody meant that: a version may come from another machine. */
  #mode({ entry: { type, mode }, path }: Made, isOwned: boolean): number {
    if ((mode & setuidBits) === 0) return mode;
    if (isOwned && (this.#keepsSetuid || type === 'directory')) return mode;
    if (isOwned)
      this.#warnings.add(
        'setuid',
        `the setuid and setgid bits of ${printable(path)} are not put back, which root does, or --setuid`,
      );
    return mode & ~setuidBits;
  }

  /** Whether it has what a new entry of a plain directory has: only mode and time may be left to be put right. */
  isOurs(entry: Entry): boolean {
    return this.#hasOurOwner(entry) && entry.xattrs.length === 0;
  }

  #hasOurOwner({ uid, gid }: Entry): boolean {
    return uid === this.#uid && gid === this.#gid;
  }

  /** True if owner and group are now the recorded ones. */
  #owner({ access, descriptor, entry: { uid, gid } }: Made): boolean {
    const mayGive = this.#isRoot || this.#groups.has(gid);
    const owner = this.#isRoot ? uid : this.#uid!;
    try {
      if (mayGive && descriptor !== undefined) setOwnerOf(descriptor, owner, gid);
      else if (mayGive) fs.lchownSync(access, owner, gid);
    } catch (error) {
      this.#warnings.add('owner', `owners are not put back: ${reasonOf(error)}`);
      return false;
    }
    if (this.#isRoot || (mayGive && uid === this.#uid)) return true;
    this.#warnings.add('owner', 'owners are not put back, as only root can do that: everything is yours');
    return false;
  }

  #xattrs({ access, path, entry, isPlain }: Made, isAfterOwner: boolean): void {
    if (!isAfterOwner && !isPlain) this.#removeOthers(access, entry);
    if (entry.xattrs.length === 0) return;
    for (const { name, value } of entry.xattrs) {
      if (startsWith(name, 'security.') !== isAfterOwner) continue;
      try {
        setXattr(access, name, value);
      } catch (error) {
        const [namespace] = printable(name).split('.');
        this.#warnings.add(
          `xattr ${namespace} ${errorCode(error)}`,
          `the attribute ${printable(name)} of ${printable(path)} is not put back: ${reasonOf(error)}`,
        );
      }
    }
  }

  /** What the entry has and should not have: inherited from a default ACL, or of an earlier state. */
  #removeOthers(access: Buffer, { xattrs }: Entry): void {
    let present: readonly Buffer[];
    try {
      present = listXattrs(access);
    } catch {
      return;
    }
    for (const name of present) {
      const isOurs = startsWith(name, 'user.') || startsWith(name, 'system.posix_acl_');
      if (!isOurs || xattrs.some((wanted) => name.equals(wanted.name))) continue;
      try {
        removeXattr(access, name);
      } catch (error) {
        this.#warnings.add(
          'xattr remove',
          `the attribute ${printable(name)} cannot be removed: ${reasonOf(error)}`,
        );
      }
    }
  }
}

function startsWith(name: Uint8Array, prefix: string): boolean {
  return Buffer.from(name.buffer, name.byteOffset, Math.min(name.length, prefix.length)).equals(
    Buffer.from(prefix),
  );
}
