// The names of the users and groups that own what a version changes, kept in its header for people and other machines.

import type { Entry } from '../manifest/types.js';
import { groupName, userName } from '../posix/names.js';

/** More names than a person would look at are left out. */
const maximumNames = 4096;

export class OwnerNames {
  readonly #users = new Map<number, string>();
  readonly #groups = new Map<number, string>();

  add({ uid, gid }: Entry): void {
    note(this.#users, uid, userName);
    note(this.#groups, gid, groupName);
  }

  maps(): { userNames: ReadonlyMap<number, string>; groupNames: ReadonlyMap<number, string> } {
    return { userNames: this.#users, groupNames: this.#groups };
  }
}

function note(names: Map<number, string>, id: number, nameOf: (id: number) => string | undefined): void {
  if (names.has(id) || names.size >= maximumNames) return;
  const name = nameOf(id);
  if (name !== undefined) names.set(id, name);
}
