// Who is let in where several states have to let him in: compared with what the kernel makes of modes and ACLs, for every user
// of a small world. The kernel's rules are written down here a second time, from acl(5) and its quirk about an empty mask.

import fc from 'fast-check';
import t from 'tap';
import {
  accessOf,
  asAncestor,
  asDirectory,
  enforce,
  strictest,
  type Access,
} from '../../lib/mount/tree/access.js';
import { runs } from '../runs.js';

interface Acl {
  readonly users: readonly (readonly [id: number, permissions: number])[];
  readonly groups: readonly (readonly [id: number, permissions: number])[];
  readonly owner: number;
  readonly group: number;
  readonly mask: number;
  readonly others: number;
}

interface Inode {
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly acl?: Acl | undefined;
}

interface User {
  readonly uid: number;
  readonly gids: readonly number[];
}

/** generic_permission() of Linux, without capabilities. */
function mayAsKernel({ uid, gids }: User, inode: Inode, wanted: number): boolean {
  const has = (permissions: number): boolean => (permissions & wanted) === wanted;
  const { mode, acl } = inode;
  if (uid === inode.uid) return has(mode >>> 6);
  if (acl === undefined || (mode & 0o070) === 0) {
    return has(gids.includes(inode.gid) ? mode >>> 3 : mode);
  }
  const named = acl.users.find(([id]) => id === uid);
  if (named !== undefined) return has(named[1] & acl.mask);
  const matching = [
    ...(gids.includes(inode.gid) ? [acl.group] : []),
    ...acl.groups.filter(([id]) => gids.includes(id)).map(([, permissions]) => permissions),
  ];
  if (matching.length === 0) return has(acl.others);
  return matching.some((permissions) => has(permissions & acl.mask));
}

const tags = { owner: 1, user: 2, group: 4, namedGroup: 8, mask: 16, others: 32 };

function aclBytes(acl: Acl): Buffer {
  const entries: (readonly [number, number, number])[] = [
    [tags.owner, acl.owner, 0xffffffff],
    ...acl.users.map(([id, permissions]) => [tags.user, permissions, id] as const),
    [tags.group, acl.group, 0xffffffff],
    ...acl.groups.map(([id, permissions]) => [tags.namedGroup, permissions, id] as const),
    [tags.mask, acl.mask, 0xffffffff],
    [tags.others, acl.others, 0xffffffff],
  ];
  const bytes = Buffer.alloc(4 + 8 * entries.length);
  bytes.writeUInt32LE(2, 0);
  entries.forEach(([tag, permissions, id], index) => {
    bytes.writeUInt16LE(tag, 4 + 8 * index);
    bytes.writeUInt16LE(permissions, 6 + 8 * index);
    bytes.writeUInt32LE(id, 8 + 8 * index);
  });
  return bytes;
}

function readAcl(bytes: Uint8Array): Acl {
  const from = Buffer.from(bytes);
  const all = Array.from({ length: (from.length - 4) / 8 }, (_, index) => ({
    tag: from.readUInt16LE(4 + 8 * index),
    permissions: from.readUInt16LE(6 + 8 * index),
    id: from.readUInt32LE(8 + 8 * index),
  }));
  // posix_acl_valid(): these tags, in this order.
  const order = all.map(({ tag }) => tag);
  if (order.some((tag, index) => index > 0 && tag < order[index - 1]!)) throw new Error('out of order');
  const one = (tag: number): number => {
    const [only, more] = all.filter((entry) => entry.tag === tag);
    if (only === undefined || more !== undefined) throw new Error(`not one entry of tag ${tag}`);
    return only.permissions;
  };
  const named = (tag: number) =>
    all.filter((entry) => entry.tag === tag).map(({ id, permissions }) => [id, permissions] as const);
  return {
    owner: one(tags.owner),
    group: one(tags.group),
    mask: one(tags.mask),
    others: one(tags.others),
    users: named(tags.user),
    groups: named(tags.namedGroup),
  };
}

function accessOfInode({ uid, gid, mode, acl }: Inode): Access {
  const name = Buffer.from('system.posix_acl_access');
  return accessOf({ uid, gid, mode, xattrs: acl === undefined ? [] : [{ name, value: aclBytes(acl) }] });
}

function inodeOf(access: Access): Inode {
  const { uid, gid, permissions, acl } = enforce(access);
  return { uid, gid, mode: permissions, acl: acl && readAcl(acl.value) };
}

const ids = [1, 2, 3];
const id = fc.constantFrom(...ids);
const permissions = fc.constantFrom(0, 1, 4, 5, 5, 7, 7);
const named = fc.uniqueArray(fc.tuple(id, permissions), { maxLength: 2, selector: ([which]) => which });
const inode: fc.Arbitrary<Inode> = fc.oneof(
  fc
    .tuple(id, id, permissions, permissions, permissions)
    .map(([uid, gid, owner, group, others]) => ({ uid, gid, mode: (owner << 6) | (group << 3) | others })),
  fc
    .record({
      uid: id,
      gid: id,
      acl: fc.record({
        users: named,
        groups: named,
        owner: permissions,
        group: permissions,
        mask: permissions,
        others: permissions,
      }),
    })
    .map(({ uid, gid, acl }) => ({
      uid,
      gid,
      acl,
      mode: (acl.owner << 6) | (acl.mask << 3) | acl.others,
    })),
);
const everybody: User[] = [...ids, 9].flatMap((uid) =>
  [[], [1], [2], [3], [1, 2], [2, 3], [1, 3], [1, 2, 3], [9]].map((gids) => ({ uid, gids })),
);
const states = fc.array(inode, { minLength: 1, maxLength: 4 });

void t.test('nobody is let in whom one of the states keeps out', (test) => {
  fc.assert(
    fc.property(states, fc.constantFrom(4, 1, 5), (inodes, wanted) => {
      const shown = inodeOf(strictest(inodes.map(accessOfInode)));
      for (const user of everybody)
        if (mayAsKernel(user, shown, wanted) && !inodes.every((each) => mayAsKernel(user, each, wanted)))
          throw new Error(`${JSON.stringify(user)} comes in where ${JSON.stringify(shown)} is shown`);
    }),
    runs(2000),
  );
  test.end();
});

void t.test('who is let in by all of them, whatever his groups are, is let in', (test) => {
  fc.assert(
    fc.property(states, fc.constantFrom(4, 1, 5), (inodes, wanted) => {
      const shown = inodeOf(strictest(inodes.map(accessOfInode)));
      const maskIsEmpty = (shown.mode & 0o070) === 0;
      for (const uid of [...ids, 9]) {
        const always = everybody
          .filter((user) => user.uid === uid)
          .every((user) => inodes.every((each) => mayAsKernel(user, each, wanted)));
        // An empty mask shuts others out as well, and the kernel takes that of a state for no ACL at all. Of two entries for
        // one group the lesser is taken.
        const isQuirk =
          maskIsEmpty ||
          inodes.some(
            ({ gid, acl, mode }) => acl && ((mode & 0o070) === 0 || acl.groups.some(([is]) => is === gid)),
          );
        if (always && !isQuirk && !mayAsKernel({ uid, gids: [] }, shown, wanted))
          throw new Error(`${uid} is kept out where ${JSON.stringify(shown)} is shown`);
      }
    }),
    runs(2000),
  );
  test.end();
});

void t.test('modes as people have them', (test) => {
  const shown = (...inodes: Inode[]) => {
    const { uid, gid, permissions: mode, acl } = enforce(strictest(inodes.map(accessOfInode)));
    return [uid, gid, mode.toString(8), acl === undefined ? undefined : readAcl(acl.value)];
  };
  const at = (mode: number, uid = 1, gid = 1): Inode => ({ uid, gid, mode });
  test.strictSame(shown(at(0o755)), [1, 1, '755', undefined]);
  test.strictSame(shown(at(0o700), at(0o755)), [1, 1, '700', undefined], 'closed once');
  test.strictSame(shown(at(0o750), at(0o705)), [1, 1, '700', undefined]);
  test.strictSame(shown(at(0o755, 1), at(0o755, 2)), [2, 1, '755', undefined], 'open to all is open to all');
  test.strictSame(shown(at(0o700, 1), at(0o755, 2)), [1, 1, '700', undefined], 'the owner that mattered');
  test.strictSame(shown(at(0o700, 1), at(0o700, 2)), [2, 1, '0', undefined], 'nobody had both');
  const given = { owner: 7, group: 0, mask: 5, others: 0, users: [[3, 5]] as const, groups: [] };
  test.strictSame(
    shown({ ...at(0o750), acl: given }),
    [1, 1, '750', given],
    'an ACL that all states have stays what it is',
  );
  test.strictSame(shown({ ...at(0o750), acl: given }, at(0o750)).slice(0, 3), [1, 1, '700']);
  test.end();
});

void t.test('in the place of a file, and for what lies below', (test) => {
  const access = accessOfInode({ uid: 1, gid: 1, mode: 0o641 });
  test.match(asDirectory(access), { owner: 5, group: 5, others: 0 });
  test.match(asAncestor(access), { owner: 0, group: 0, others: 5 });
  test.end();
});

void t.test(
  'what is no ACL lets nobody in, and one that is too long for the kernel only the owner',
  (test) => {
    const name = Buffer.from('system.posix_acl_access');
    for (const value of [Buffer.alloc(0), Buffer.alloc(4), Buffer.alloc(5), Buffer.from([3, 0, 0, 0])])
      test.equal(
        enforce(accessOf({ uid: 1, gid: 1, mode: 0o777, xattrs: [{ name, value }] })).permissions,
        0,
        value.toString('hex'),
      );
    const users = Array.from({ length: 600 }, (_, index) => [index + 10, 4] as const);
    const long = accessOfInode({
      uid: 1,
      gid: 1,
      mode: 0o755,
      acl: { owner: 7, group: 5, mask: 5, others: 5, users, groups: [] },
    });
    test.strictSame(enforce(long), { uid: 1, gid: 1, permissions: 0o700, acl: undefined });
    test.end();
  },
);
