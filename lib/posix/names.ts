// User and group names of numeric ids, as the machine's own name service knows them (files, LDAP, …).

import { declare, textAt } from './libc.js';

// In both structures the name is the first member, so the pointer to it is a pointer to a pointer to text.
const getpwuid = declare('void *getpwuid(uint32_t uid)');
const getgrgid = declare('void *getgrgid(uint32_t gid)');

function cached(look: (id: number) => string | undefined): (id: number) => string | undefined {
  const known = new Map<number, string | undefined>();
  return (id) => {
    if (!known.has(id)) known.set(id, look(id));
    return known.get(id);
  };
}

/** The user's name, or undefined if this machine knows none. Main thread only: the C library answers from one buffer. */
export const userName = cached((uid) => textAt(getpwuid(uid)));

/** The group's name, or undefined if this machine knows none. Main thread only. */
export const groupName = cached((gid) => textAt(getgrgid(gid)));
