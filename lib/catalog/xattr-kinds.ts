// Which kinds of extended attributes any entry of any version has had, so that a mount can say of a whole repository that
// it has no ACLs: programs then ask once instead of once per file. A kind that was seen once counts for ever.

import type { Xattr } from '../manifest/types.js';
import type { Table } from './table.js';
import { checksum_bytes } from './table.js';

const key = Buffer.from('xattrs');

/** Attributes that programs ask every file for, and the bit of their kind. */
const kinds: ReadonlyMap<string, number> = new Map([
  ['system.posix_acl_access', 1],
  ['system.posix_acl_default', 1],
  ['security.selinux', 2],
  ['security.capability', 4],
]);

/** Older versions are still to come, with attributes of any kind. */
const more = 0x80;

export class XattrKinds {
  readonly #meta: Table;
  #seen = 0;

  constructor(meta: Table) {
    this.#meta = meta;
  }

  /** Only inside a transaction, the one that writes the entry. */
  note(xattrs: readonly Xattr[]): void {
    let found = 0;
    for (const { name } of xattrs) found |= kinds.get(Buffer.from(name).toString('latin1')) ?? 0;
    if ((found & ~this.#seen) === 0) return;
    // Another process may have written its part since.
    this.#store(this.#stored() | found);
  }

  /** Nothing is unheard of from now on. Only inside a transaction. */
  expectMore(): void {
    this.#store(this.#stored() | more);
  }

  /** All that was to come is there, and has had these kinds. Only inside a transaction. */
  complete(past: XattrKinds): void {
    this.#store((this.#stored() & ~more) | past.#stored());
  }

  #store(seen: number): void {
    this.#seen = seen & ~more;
    const sealed = Buffer.alloc(checksum_bytes + 1);
    sealed[checksum_bytes] = seen;
    this.#meta.put(key, sealed);
  }

  /** True where no entry has ever had an attribute of this kind; never for names that are not asked for all the time. */
  isUnheardOf(name: Uint8Array): boolean {
    const kind = kinds.get(Buffer.from(name.buffer, name.byteOffset, name.length).toString('latin1'));
    return kind !== undefined && (this.#stored() & (kind | more)) === 0;
  }

  #stored(): number {
    return this.#meta.get(key)?.[0] ?? 0;
  }
}
