// Who may read an entry and go through a directory, and what is left where several states have to allow it. Under
// --allow-other the kernel enforces the result: permission bits and, where those cannot say it, a POSIX ACL. Only reading and
// searching count: the mount is read-only. Pure.
//
// The kernel picks one class for each user: the owner, a named user, any of the groups, or others (acl(5)). Which groups a user
// is in is not known here. So a user is given only what he has in every state whatever his groups are.

import type { Entry, Xattr } from '../../manifest/types.js';

export interface Access {
  readonly uid: number;
  readonly gid: number;
  /** Permissions as bits: 4 to read, 1 to search. Those of group, users and groups are under the ACL's mask already. */
  readonly owner: number;
  readonly group: number;
  readonly others: number;
  /** Named in an ACL. */
  readonly users: ReadonlyMap<number, number>;
  readonly groups: ReadonlyMap<number, number>;
}

const read = 4;
const write = 2;
const search = 1;
const all = read | search;

const aclName = Buffer.from('system.posix_acl_access');
// <linux/posix_acl_xattr.h>: a version, then entries of tag, permissions and id
const aclVersion = 2;
const layout = { header_bytes: 4, tag: 0, permissions: 2, id: 4, bytes: 8 } as const;
const tags = { owner: 1, user: 2, group: 4, namedGroup: 8, mask: 16, others: 32 } as const;
const noId = 0xffff_ffff;
/** The kernel reads an ACL of at most a page. */
const maximumEntries = 500;

/** `uid` and `gid` stand in for those of the entry. */
export function accessOf(
  entry: Pick<Entry, 'mode' | 'uid' | 'gid' | 'xattrs'>,
  { uid = entry.uid, gid = entry.gid }: { readonly uid?: number; readonly gid?: number } = {},
): Access {
  const acl = entry.xattrs.find(({ name }) => aclName.equals(name));
  const { mode } = entry;
  return acl === undefined
    ? { uid, gid, ...bits(mode >>> 6, mode >>> 3, mode), users: new Map(), groups: new Map() }
    : { ...decodeAcl(acl.value), uid, gid };
}

function bits(owner: number, group: number, others: number): Pick<Access, 'owner' | 'group' | 'others'> {
  return { owner: owner & all, group: group & all, others: others & all };
}

/** What cannot be an ACL opens nothing. */
function decodeAcl(value: Uint8Array): Omit<Access, 'uid' | 'gid'> {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length);
  const found = { ...bits(0, 0, 0), users: new Map<number, number>(), groups: new Map<number, number>() };
  const isWhole =
    bytes.length >= layout.header_bytes && (bytes.length - layout.header_bytes) % layout.bytes === 0;
  if (!isWhole || bytes.readUInt32LE(0) !== aclVersion) return found;
  let mask = all;
  for (let at: number = layout.header_bytes; at < bytes.length; at += layout.bytes) {
    const permissions = bytes.readUInt16LE(at + layout.permissions) & all;
    const id = bytes.readUInt32LE(at + layout.id);
    const tag = bytes.readUInt16LE(at + layout.tag);
    if (tag === tags.owner) found.owner = permissions;
    else if (tag === tags.user) found.users.set(id, permissions);
    else if (tag === tags.group) found.group = permissions;
    else if (tag === tags.namedGroup) found.groups.set(id, permissions);
    else if (tag === tags.mask) mask = permissions;
    else if (tag === tags.others) found.others = permissions;
  }
  const masked = mapBits({ uid: 0, gid: 0, ...found }, (permissions) => permissions & mask);
  return { ...masked, owner: found.owner, others: found.others };
}

/** Of a file, for a directory that stands in its place: whoever may read the one may list and enter the other. */
export function asDirectory(access: Access): Access {
  return mapBits(access, (permissions) => ((permissions & read) === 0 ? 0 : all));
}

/** Of a directory, for what lies below it: whoever may not go through it gets nothing. */
export function asAncestor(access: Access): Access {
  return mapBits(access, (permissions) => ((permissions & search) === 0 ? 0 : all));
}

function mapBits(access: Access, change: (permissions: number) => number): Access {
  const changed = (map: ReadonlyMap<number, number>): Map<number, number> =>
    new Map([...map].map(([id, permissions]) => [id, change(permissions)]));
  return {
    ...access,
    owner: change(access.owner),
    group: change(access.group),
    others: change(access.others),
    users: changed(access.users),
    groups: changed(access.groups),
  };
}

/** Closed to nobody, whoever he is. */
export function isOpen(access: Access): boolean {
  return [access.owner, least(access), ...access.users.values()].every((permissions) => permissions === all);
}

/** What everybody has who is neither the owner nor a named user, whatever his groups are. */
function least({ group, groups, others }: Access): number {
  return [...groups.values()].reduce((sum, permissions) => sum & permissions, group & others);
}

function ofUser(access: Access, uid: number): number {
  return uid === access.uid ? access.owner : (access.users.get(uid) ?? least(access));
}

function ofGroup(access: Access, gid: number): number {
  const named = access.groups.get(gid);
  if (gid !== access.gid) return named ?? least(access);
  return named === undefined ? access.group : access.group & named;
}

/** What all of them allow; at least one. The owner is that of the last one that is closed to somebody, or else of the last. */
export function strictest(states: readonly Access[]): Access {
  const closed = states.filter((state) => !isOpen(state));
  const shown = closed.at(-1) ?? states.at(-1)!;
  if (closed.length <= 1) return shown;
  const inAll = (of: (state: Access) => number): number =>
    closed.reduce((sum, state) => sum & of(state), all);
  const named = (ids: (state: Access) => number[], own: number, of: typeof ofUser): Map<number, number> => {
    const others = new Set(closed.flatMap(ids).sort((a, b) => a - b));
    others.delete(own);
    return new Map([...others].map((id) => [id, inAll((state) => of(state, id))]));
  };
  const { uid, gid } = shown;
  return {
    uid,
    gid,
    owner: inAll((state) => ofUser(state, uid)),
    group: inAll((state) => ofGroup(state, gid)),
    others: inAll((state) => state.others),
    users: named((state) => [state.uid, ...state.users.keys()], uid, ofUser),
    groups: named((state) => [state.gid, ...state.groups.keys()], gid, ofGroup),
  };
}

/**
 * How the kernel is told: permission bits as in st_mode, and an ACL where they cannot say it. The owner of a directory may write,
 * too, which means nothing here: it is for a copy, which could not be filled otherwise.
 */
export interface Enforced {
  readonly uid: number;
  readonly gid: number;
  readonly permissions: number;
  readonly acl: Xattr | undefined;
}

export function enforce(access: Access): Enforced {
  const { uid, gid, group, others, users, groups } = access;
  const owner = access.owner | ((access.owner & search) === 0 ? 0 : write);
  const usual = least(access);
  const isSaid =
    [group, others, ...groups.values(), ...users.values()].every((permissions) => permissions === usual) ||
    users.size + groups.size === 0;
  if (isSaid) return { uid, gid, permissions: modeOf(owner, group, others), acl: undefined };
  const mask = [...users.values(), ...groups.values()].reduce((sum, permissions) => sum | permissions, group);
  // Under an empty mask the kernel would take the named ones for others. An ACL that is too long it does not read.
  if (mask === 0 || users.size + groups.size > maximumEntries)
    return { uid, gid, permissions: modeOf(owner, 0, 0), acl: undefined };
  const value = encodeAcl([
    [tags.owner, owner, noId],
    ...[...users].map(([id, permissions]) => [tags.user, permissions, id] as const),
    [tags.group, group, noId],
    ...[...groups].map(([id, permissions]) => [tags.namedGroup, permissions, id] as const),
    [tags.mask, mask, noId],
    [tags.others, others, noId],
  ]);
  return { uid, gid, permissions: modeOf(owner, mask, others), acl: { name: aclName, value } };
}

function modeOf(owner: number, group: number, others: number): number {
  return (owner << 6) | (group << 3) | others;
}

function encodeAcl(entries: readonly (readonly [tag: number, permissions: number, id: number])[]): Buffer {
  const value = Buffer.alloc(layout.header_bytes + entries.length * layout.bytes);
  value.writeUInt32LE(aclVersion, 0);
  entries.forEach(([tag, permissions, id], index) => {
    const at = layout.header_bytes + index * layout.bytes;
    value.writeUInt16LE(tag, at + layout.tag);
    value.writeUInt16LE(permissions, at + layout.permissions);
    value.writeUInt32LE(id, at + layout.id);
  });
  return value;
}

/** The attributes of something that shows an ACL of its own making instead of `acl`. */
export function withAcl(xattrs: readonly Xattr[], acl: Xattr | undefined): readonly Xattr[] {
  const others = xattrs.filter(({ name }) => !aclName.equals(name));
  return acl === undefined ? others : [acl, ...others];
}
