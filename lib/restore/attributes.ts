// Puts owner, mode, times, extended attributes and ACLs of one entry back. What this user or this file system cannot do is a
// warning, never a failure. Never follows a symlink.

import fs from 'node:fs';
import { printable } from '../bytes/path.js';
import type { Entry } from '../manifest/types.js';
import { setMode, setModified } from '../posix/attributes.js';
import { errorCode, reasonOf } from '../posix/libc.js';
import { listXattrs, removeXattr, setXattr } from '../posix/xattr.js';
import type { Warnings } from './warnings.js';

const setuidBits = 0o6000;

export class Attributes {
  readonly #warnings: Warnings;
  readonly #isRoot = process.geteuid?.() === 0;
  readonly #uid = process.geteuid?.();
  readonly #groups = new Set([...(process.getgroups?.() ?? []), process.getegid?.()]);

  constructor(warnings: Warnings) {
    this.#warnings = warnings;
  }

  /** `access` reaches the entry, `path` names it in warnings. Throws only where permission bits or times are refused. */
  apply(access: Buffer, path: Uint8Array, entry: Entry): void {
    // A change of owner takes setuid bits and capabilities away, and a file without write permission takes no attributes.
    this.#xattrs(access, path, entry, false);
    const isOwned = this.#owner(access, entry);
    this.#xattrs(access, path, entry, true);
    if (entry.type !== 'symlink') setMode(access, isOwned ? entry.mode : entry.mode & ~setuidBits);
    setModified(access, entry.mtime_ns);
  }

  /** True if owner and group are now the recorded ones. */
  #owner(access: Buffer, { uid, gid }: Entry): boolean {
    const mayGive = this.#isRoot || this.#groups.has(gid);
    try {
      if (mayGive) fs.lchownSync(access, this.#isRoot ? uid : this.#uid!, gid);
    } catch (error) {
      this.#warnings.add('owner', `owners are not put back: ${reasonOf(error)}`);
      return false;
    }
    if (this.#isRoot || (mayGive && uid === this.#uid)) return true;
    this.#warnings.add('owner', 'owners are not put back, as only root can do that: everything is yours');
    return false;
  }

  #xattrs(access: Buffer, path: Uint8Array, entry: Entry, isAfterOwner: boolean): void {
    const wanted = entry.xattrs.filter(({ name }) => startsWith(name, 'security.') === isAfterOwner);
    if (!isAfterOwner) this.#removeOthers(access, entry);
    for (const { name, value } of wanted) {
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
