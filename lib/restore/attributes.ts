// Puts owner, mode, times, extended attributes and ACLs of one entry back, on the inode that was written or compared and on no
// other. What this user or this file system cannot do is a warning, never a failure. Never follows a symlink.
//
// Says, too, which of what stands already may get attributes: nobody else's, nothing that has more names elsewhere, and nothing
// that would gain rights while somebody still has it open.

import type fs from 'node:fs';
import { printable } from '../bytes/path.js';
import type { Entry } from '../manifest/types.js';
import { setModeOf, setModifiedOf, setOwnerOf } from '../posix/attributes.js';
import { type Inode, statusOf } from '../posix/inode.js';
import { errorCode, reasonOf } from '../posix/libc.js';
import { getXattr, listXattrs, removeXattr, setXattr } from '../posix/xattr.js';
import { endsRestore, isOfFailingTarget } from './failure.js';
import type { WriterSettings } from './messages.js';

const setuidBits = 0o6000;
const permissionBits = 0o777;
const modeBits = 0o7777n;
const capability = Buffer.from('security.capability');

/** Takes what could not be done; the first message of each group is the one that is told. */
export interface WarningSink {
  add(group: string, message: string): void;
}

export interface Made {
  readonly inode: Inode;
  /** Names it in warnings. */
  readonly path: Uint8Array;
  readonly entry: Entry;
  /** It was made just now in a directory where new entries are this user's and have no attributes. */
  readonly isPlain: boolean;
  /** Its file system may keep another mode and time than it is given. */
  readonly isCoarse: boolean;
  /** Of something that stood there before: what is right already is left alone. */
  readonly stats?: fs.BigIntStats | undefined;
}

/** From 1980 on, where FAT begins, until 2038, where what keeps 32 bits ends: in between every file system keeps seconds. */
const safeTimes_ns = [315_532_800_000_000_000n, (1n << 31n) * 1_000_000_000n] as const;

/** Whether it has to be looked at whether an entry has got what it was given: without an error it may be something else. */
export function mayNotKeep({ isCoarse }: { readonly isCoarse: boolean }, { mtime_ns }: Entry): boolean {
  return isCoarse || mtime_ns < safeTimes_ns[0] || mtime_ns >= safeTimes_ns[1];
}

export class Attributes {
  readonly #warnings: WarningSink;
  readonly #umask: number;
  readonly #isRoot = process.geteuid?.() === 0;
  readonly #keepsSetuid: boolean;
  readonly #uid = process.geteuid?.();
  readonly #gid = process.getegid?.();
  readonly #groups = new Set([...(process.getgroups?.() ?? []), process.getegid?.()]);
  /** Groups of warnings about the entry at hand. */
  readonly #lacking = new Set<string>();

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

  /** Whether this user or the recorded one owns it: anybody else could go on changing what is taken for the version's. */
  isTrusted({ uid }: fs.BigIntStats, entry: Entry): boolean {
    return uid === BigInt(entry.uid) || uid === BigInt(this.#uid ?? -1);
  }

  /**
   * Whether what stands there, with the right content, may get the version's attributes. Its other names may be anybody's, and a
   * program that gains rights may still be open, or mapped, for writing: then only if there is nothing left to put right.
   */
  mayAdopt(inode: Inode, stats: fs.BigIntStats, entry: Entry): boolean {
    if (!this.isTrusted(stats, entry)) return false;
    return (stats.nlink === 1n && !this.givesRights(entry)) || this.#hasAttributes(inode, stats, entry);
  }

  /** Whether a file of nobody else's, and with no other name, may be written into where it stands. */
  mayChange(stats: fs.BigIntStats, entry: Entry): boolean {
    return this.isTrusted(stats, entry) && !this.givesRights(entry);
  }

  /** Whether who runs the file gets rights by it. */
  givesRights(entry: Entry): boolean {
    return (
      entry.type === 'file' &&
      ((this.#wantedMode(entry, this.#mayOwn(entry)) & setuidBits) !== 0 ||
        entry.xattrs.some(({ name }) => capability.equals(name)))
    );
  }

  #hasAttributes(inode: Inode, stats: fs.BigIntStats, entry: Entry): boolean {
    const { uid, gid, xattrs, mtime_ns, type } = entry;
    if (this.#isRoot && stats.uid !== BigInt(uid)) return false;
    if (this.#mayGive(gid) && stats.gid !== BigInt(gid)) return false;
    if (stats.mtimeNs !== mtime_ns) return false;
    const mode = this.#wantedMode(entry, this.#mayOwn(entry));
    if (type !== 'symlink' && Number(stats.mode & modeBits) !== mode) return false;
    try {
      if (this.#surplus(inode, entry).length > 0) return false;
      return xattrs
        .filter(({ name }) => this.#isRoot || isAnybodys(name))
        .every(({ name, value }) => getXattr(inode, name)?.equals(value) === true);
    } catch {
      return false;
    }
  }

  /**
   * True if it is now as the version has it; what is missing is told. Throws what ends the restore, or fails this entry: a
   * disk that does not answer.
   */
  apply(made: Made): boolean {
    const { inode, entry, isPlain, stats } = made;
    this.#lacking.clear();
    const hasOwner =
      stats !== undefined && stats.uid === BigInt(entry.uid) && stats.gid === BigInt(entry.gid);
    // A change of owner takes setuid bits and capabilities away, and a file without write permission takes no attributes.
    this.#xattrs(made, false);
    const isOwned = hasOwner || (isPlain && this.#hasOurOwner(entry)) || this.#owner(made);
    this.#xattrs(made, true);
    const mode = this.#mode(made, isOwned);
    const hasMode = hasOwner && entry.xattrs.length === 0 && Number(stats.mode & modeBits) === mode;
    if (entry.type !== 'symlink' && !hasMode)
      this.#try(made, 'mode', 'the permissions', () => setModeOf(inode, mode));
    if (stats?.mtimeNs !== entry.mtime_ns)
      this.#try(made, 'time', 'the time', () => setModifiedOf(inode, entry.mtime_ns));
    if (mayNotKeep(made, entry)) this.#verify(made, mode);
    return this.#lacking.size === 0;
  }

  #verify({ inode, entry, path }: Made, mode: number): void {
    const { mode: kept, mtimeNs } = statusOf(inode);
    const because = 'could not be put back: this file system keeps no such ones';
    if (entry.type !== 'symlink' && Number(kept & modeBits) !== mode)
      this.#lacks('mode', `the permissions of ${printable(path)} ${because}`);
    if (mtimeNs !== entry.mtime_ns) this.#lacks('time', `the exact time of ${printable(path)} ${because}`);
  }

  #try({ path }: Made, group: string, what: string, set: () => void): void {
    try {
      set();
    } catch (error) {
      if (endsRestore(error) || isOfFailingTarget(error)) throw error;
      this.#lacks(group, `${what} of ${printable(path)} could not be put back: ${reasonOf(error)}`);
    }
  }

  /** Counts each entry once in a group. */
  #lacks(group: string, message: string): void {
    if (this.#lacking.has(group)) return;
    this.#lacking.add(group);
    this.#warnings.add(group, message);
  }

  /** With setuid bits only for its own user, and where somebody meant that: a version may come from another machine. */
  #mode({ entry, path }: Made, isOwned: boolean): number {
    const mode = this.#wantedMode(entry, isOwned);
    if (isOwned && mode !== entry.mode)
      this.#warnings.add(
        'setuid',
        `the setuid and setgid bits of ${printable(path)} are not put back, which root does, or --setuid`,
      );
    return mode;
  }

  #wantedMode({ mode, type }: Entry, isOwned: boolean): number {
    return isOwned && (this.#keepsSetuid || type === 'directory') ? mode : mode & ~setuidBits;
  }

  /** Whether it has what a new entry of a plain directory has: only mode and time may be left to be put right. */
  isOurs(entry: Entry): boolean {
    return this.#hasOurOwner(entry) && entry.xattrs.length === 0;
  }

  #hasOurOwner({ uid, gid }: Entry): boolean {
    return uid === this.#uid && gid === this.#gid;
  }

  #mayGive(gid: number): boolean {
    return this.#isRoot || this.#groups.has(gid);
  }

  /** Whether owner and group can be the recorded ones. */
  #mayOwn({ uid, gid }: Entry): boolean {
    return this.#isRoot || (uid === this.#uid && this.#mayGive(gid));
  }

  /** True if owner and group are now the recorded ones. */
  #owner({ inode, entry }: Made): boolean {
    const { uid, gid } = entry;
    try {
      if (this.#mayGive(gid)) setOwnerOf(inode, this.#isRoot ? uid : this.#uid!, gid);
    } catch (error) {
      if (endsRestore(error) || isOfFailingTarget(error)) throw error;
      this.#lacks('owner', `owners could not be put back: ${reasonOf(error)}`);
      return false;
    }
    if (this.#mayOwn(entry)) return true;
    this.#lacks('owner', 'owners could not be put back, as only root can do that: everything is yours');
    return false;
  }

  #xattrs(made: Made, isAfterOwner: boolean): void {
    const { inode, path, entry, isPlain } = made;
    if (!isAfterOwner && !isPlain) this.#removeSurplus(made);
    for (const { name, value } of entry.xattrs) {
      if (startsWith(name, 'security.') !== isAfterOwner) continue;
      try {
        setXattr(inode, name, value);
      } catch (error) {
        this.#lacksXattr(name, path, error);
      }
    }
  }

  #lacksXattr(name: Uint8Array, path: Uint8Array, error: unknown): void {
    if (isUnsupported(error)) {
      const what = startsWith(name, 'system.posix_acl_') ? 'ACLs' : 'extended attributes';
      this.#lacks(
        `no ${what}`,
        `the ${what} of ${printable(path)} could not be put back: this file system has none`,
      );
      return;
    }
    const [namespace] = printable(name).split('.');
    this.#lacks(
      `xattr ${namespace} ${errorCode(error)}`,
      `the attribute ${printable(name)} of ${printable(path)} could not be put back: ${reasonOf(error)}`,
    );
  }

  #removeSurplus({ inode, path, entry }: Made): void {
    let surplus: readonly Buffer[];
    try {
      surplus = this.#surplus(inode, entry);
    } catch {
      return;
    }
    for (const name of surplus) {
      try {
        removeXattr(inode, name);
      } catch (error) {
        const what = `the attribute ${printable(name)} of ${printable(path)}`;
        this.#lacks('xattr remove', `${what} could not be removed: ${reasonOf(error)}`);
      }
    }
  }

  /** What the entry has and should not have: inherited from a default ACL, or of an earlier state. */
  #surplus(inode: Inode, { xattrs }: Entry): readonly Buffer[] {
    return listXattrs(inode).filter(
      (name) => isAnybodys(name) && !xattrs.some((wanted) => name.equals(wanted.name)),
    );
  }
}

function isUnsupported(error: unknown): boolean {
  return ['ENOTSUP', 'ENOSYS'].includes(errorCode(error) ?? '');
}

/** Attributes that an owner may set; the others are the system's. */
function isAnybodys(name: Uint8Array): boolean {
  return startsWith(name, 'user.') || startsWith(name, 'system.posix_acl_');
}

function startsWith(name: Uint8Array, prefix: string): boolean {
  return Buffer.from(name.buffer, name.byteOffset, Math.min(name.length, prefix.length)).equals(
    Buffer.from(prefix),
  );
}
