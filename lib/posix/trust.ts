// Who else can change what lies at a path: before a file is believed, or written to, by a program that may be root's. Root is
// trusted, who can do everything anyway. Imports next to nothing: the program's first lines ask it.

import fs from 'node:fs';
import path from 'node:path';
import { makeDirectories } from './new-directory.js';

type Status = Pick<fs.Stats, 'uid' | 'mode'>;

const S_IWGRP_IWOTH = 0o022;
const S_IWOTH = 0o002;
const S_ISVTX = 0o1000;
const mostLinks = 40;
/** Stands for owners that a user namespace has no number for: of directories such as /home, in a container without root. */
const unmappedOwner = 65534;

/** Whether it belongs to the user who runs the program; always, where there are no users. */
export function isOwn(status: Status): boolean {
  const caller = process.geteuid?.();
  return caller === undefined || status.uid === caller;
}

/** It belongs to another user, who is not root; or others can write to it. */
export type Distrust = 'foreign' | 'writable';

/**
 * Why the program cannot rely on a file or directory; undefined if nobody but its owner can write to it, and that is this user or
 * root. With an ACL the bits of the group say what its entries may do at most.
 */
export function distrust(status: Status): Distrust | undefined {
  if (!isOwn(status) && status.uid !== 0) return 'foreign';
  return (status.mode & S_IWGRP_IWOTH) === 0 ? undefined : 'writable';
}

export interface Distrusted {
  /** On the way to what was asked about, or that itself. */
  readonly path: string;
  readonly why: Distrust;
}

/** A clause, as in 'others can write to /tmp'. */
export function distrustInWords({ path: what, why }: Distrusted): string {
  return why === 'foreign' ? `${what} belongs to another user` : `others can write to ${what}`;
}

/**
 * The first file, directory or symlink on the way to an absolute path that another user could exchange or change; undefined
 * if there is none. What is missing is fine: nobody else could make it. Of directories above the last one, those that a
 * group may write to are taken to be that way for a reason, and in sticky ones everybody can only touch what is his.
 */
export function distrustedOnWay(target: string): Distrusted | undefined {
  const names = target.split('/');
  let at = '/';
  let links = 0;
  for (let name = names.shift(); name !== undefined; name = names.shift()) {
    if (name === '..') at = path.dirname(at);
    if (['', '.', '..'].includes(name)) continue;
    const here = path.join(at, name);
    const status = statusOf(here);
    if (status === undefined) return undefined;
    const isAbove = names.some((rest) => rest !== '');
    if (status.isSymbolicLink()) {
      if (!isOwn(status) && status.uid !== 0) return { path: here, why: 'foreign' };
      if (++links > mostLinks) return undefined;
      const to = fs.readlinkSync(here);
      if (to.startsWith('/')) at = '/';
      names.unshift(...to.split('/'));
      continue;
    }
    const why = isAbove ? distrustAbove(status) : distrust(status);
    if (why !== undefined) return { path: here, why };
    at = here;
  }
  return undefined;
}

/**
 * Makes a directory for the program's own files, with those above it that are missing. What another user has a hand in is returned
 * instead, and nothing made. Throws as the system does.
 */
export function makeTrustedDirectories(directory: string): Distrusted | undefined {
  const before = distrustedOnWay(directory);
  if (before !== undefined) return before;
  makeDirectories(directory);
  // Somebody may have been faster in a directory that all may write to.
  return distrustedOnWay(directory);
}

/** What to do where a directory of the program's own is in other hands; `variable`: says where it is. */
export function foreignGuidance(variable: string, { path: where, why }: Distrusted): string {
  return why === 'writable'
    ? `chmod go-w ${where} if it is yours alone, or set ${variable} to a directory that is`
    : `set HOME (sudo -H) or ${variable} to a directory of your own`;
}

function distrustAbove(status: Status): Distrust | undefined {
  if (!isOwn(status) && status.uid !== 0 && status.uid !== unmappedOwner) return 'foreign';
  const isShared = (status.mode & S_IWOTH) !== 0 && (status.mode & S_ISVTX) === 0;
  return isShared ? 'writable' : undefined;
}

/** Undefined where there is nothing, or nothing that this user may look at: whoever uses it will be told. */
function statusOf(file: string): fs.Stats | undefined {
  try {
    return fs.lstatSync(file);
  } catch {
    return undefined;
  }
}
