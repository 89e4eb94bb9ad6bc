// Trees out of fast-check: any names, kinds, contents, holes, owners, modes, times, attributes, ACLs and links that a file system
// takes, as root. Names come from a few as well as from anywhere, so that one tree put over another meets it.

import fs from 'node:fs';
import fc from 'fast-check';
import { setMode } from '../lib/posix/attributes.js';
import { makeNode } from '../lib/posix/nodes.js';
import { setXattr } from '../lib/posix/xattr.js';
import { noise } from './pack/fixture.js';
import { posixAcl, setTime } from './trees.js';

/** What is in a file from its beginning on, or from the end of the piece before. */
interface Piece {
  readonly hole_bytes: number;
  readonly data_bytes: number;
  readonly of: 'noise' | 'text' | 'zeros';
}

interface AnyEntry {
  readonly names: readonly Buffer[];
  readonly kind: 'file' | 'directory' | 'symlink' | 'fifo' | 'socket' | 'device' | 'link';
  readonly pieces: readonly Piece[];
  readonly endHole_bytes: number;
  readonly target: Uint8Array;
  readonly attributes: AnyAttributes;
}

interface AnyAttributes {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime_ns: bigint;
  readonly xattrs: readonly { readonly name: Buffer; readonly value: Uint8Array }[];
  readonly permissions: readonly number[] | undefined;
}

export interface AnyTree {
  readonly root: AnyAttributes;
  readonly entries: readonly AnyEntry[];
}

const nameOf = (bytes: Uint8Array): Buffer => {
  const raw = Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0x5f : byte)));
  return raw.every((byte) => byte === 0x2e) && raw.length < 3 ? Buffer.from('dots') : raw;
};
const familiar = ['a', 'b', 'a.d', 'a-', '\u00e4', '\x1b[2J\n'].map((name) => Buffer.from(name));
const name = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...familiar) },
  { weight: 5, arbitrary: fc.uint8Array({ minLength: 1, maxLength: 12 }).map(nameOf) },
  { weight: 1, arbitrary: fc.uint8Array({ minLength: 255, maxLength: 255 }).map(nameOf) },
);

const size_bytes = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 300 }) },
  { weight: 4, arbitrary: fc.nat({ max: 20_000 }) },
  { weight: 1, arbitrary: fc.nat({ max: 2_000_000 }) },
);
const hole_bytes = fc.oneof(
  { weight: 5, arbitrary: fc.constant(0) },
  {
    weight: 1,
    arbitrary: fc.oneof(fc.integer({ min: 1, max: 16 << 10 }), fc.integer({ min: 16 << 10, max: 3 << 20 })),
  },
);
const piece = fc.record({
  hole_bytes,
  data_bytes: size_bytes,
  of: fc.constantFrom('noise' as const, 'text', 'zeros'),
});

const id = fc.oneof(fc.constantFrom(0, 1000, 65_534), fc.nat({ max: 0xffff_fffe }));
/** What ext4 can keep: from 1901 to 2446; of its very first second only the beginning. */
const mtime_ns = fc.oneof(
  fc.constantFrom(0n, -1n, 1n, -(2n ** 31n) * 10n ** 9n, 999_999_999n, -999_999_999n),
  fc.bigInt({ min: -(2n ** 31n - 1n) * 10n ** 9n, max: 15_000_000_000n * 10n ** 9n }),
);
const xattr = fc.record({
  name: fc
    .tuple(fc.constantFrom('user.', 'trusted.'), fc.uint8Array({ minLength: 1, maxLength: 20, min: 1 }))
    .map(([namespace, rest]) => Buffer.concat([Buffer.from(namespace), rest])),
  value: fc.uint8Array({ maxLength: 300 }),
});
const attributes: fc.Arbitrary<AnyAttributes> = fc.record({
  mode: fc.nat({ max: 0o7777 }),
  uid: id,
  gid: id,
  mtime_ns,
  xattrs: fc.oneof(fc.constant([]), fc.array(xattr, { maxLength: 4 })),
  permissions: fc.option(fc.array(fc.nat({ max: 7 }), { minLength: 6, maxLength: 6 }), {
    nil: undefined,
    freq: 5,
  }),
});

const entry: fc.Arbitrary<AnyEntry> = fc.record({
  names: fc.array(name, { minLength: 1, maxLength: 4 }),
  kind: fc.constantFrom('file', 'file', 'directory', 'symlink', 'fifo', 'socket', 'device', 'link'),
  pieces: fc.array(piece, { maxLength: 3 }),
  endHole_bytes: hole_bytes,
  target: fc.uint8Array({ minLength: 1, maxLength: 300, min: 1 }),
  attributes,
});

export const anyTree: fc.Arbitrary<AnyTree> = fc.record({
  root: attributes,
  entries: fc.array(entry, { maxLength: 16 }),
});

/** Puts a tree into a directory; where something stands already, that stays. */
export function makeTree(root: string, tree: AnyTree): void {
  const made: [at: Buffer, of: AnyAttributes][] = [[Buffer.from(root), tree.root]];
  let linked: Buffer | undefined;
  for (const entry of tree.entries) {
    const at = placeOf(root, entry.names);
    if (at === undefined) continue;
    make(at, entry, linked);
    if (entry.kind !== 'directory') linked = at;
    made.push([at, entry.attributes]);
  }
  for (const [at, of] of made.reverse()) setAttributes(at, of);
}

/** With the directories above it; undefined if something stands there, or another thing than a directory above. */
function placeOf(root: string, names: readonly Buffer[]): Buffer | undefined {
  let at = Buffer.from(root);
  for (const [depth, part] of names.entries()) {
    at = Buffer.concat([at, Buffer.from('/'), part]);
    const stats = fs.lstatSync(at, { throwIfNoEntry: false });
    if (depth === names.length - 1) return stats === undefined ? at : undefined;
    if (stats === undefined) fs.mkdirSync(at);
    else if (!stats.isDirectory()) return undefined;
  }
  return undefined;
}

function make(at: Buffer, entry: AnyEntry, linked: Buffer | undefined): void {
  const { kind, target, attributes } = entry;
  if (kind === 'directory') fs.mkdirSync(at);
  else if (kind === 'symlink') fs.symlinkSync(Buffer.from(target), at);
  else if (kind === 'fifo' || kind === 'socket') makeNode(at, kind);
  else if (kind === 'device') {
    const type = attributes.uid % 2 === 0 ? 'block-device' : 'character-device';
    makeNode(at, type, attributes.mode & 0xfff, attributes.gid & 0xf_ffff);
  } else if (kind === 'link' && linked !== undefined) fs.linkSync(linked, at);
  else writePieces(at, entry);
}

function writePieces(at: Buffer, { pieces, endHole_bytes }: AnyEntry): void {
  const fd = fs.openSync(at, 'wx');
  let offset = 0;
  for (const { hole_bytes, data_bytes, of } of pieces) {
    offset += hole_bytes;
    const filler = of === 'text' ? 'to be ' : 0;
    const data = of === 'noise' ? noise(data_bytes, data_bytes) : Buffer.alloc(data_bytes, filler);
    fs.writeSync(fd, data, 0, data_bytes, offset);
    offset += data_bytes;
  }
  fs.ftruncateSync(fd, offset + endHole_bytes);
  fs.closeSync(fd);
}

const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex');

function setAttributes(at: Buffer, of: AnyAttributes): void {
  const stats = fs.lstatSync(at);
  fs.lchownSync(at, of.uid, of.gid);
  for (const { name, value } of of.xattrs) {
    // The kernel keeps user attributes of files and directories only.
    const isKept = stats.isFile() || stats.isDirectory() || name.toString('latin1').startsWith('trusted.');
    if (isKept) setXattr(at, name, value);
  }
  if (stats.isFile() && of.xattrs.length === 1) setXattr(at, Buffer.from('security.capability'), capability);
  if (of.permissions !== undefined && !stats.isSymbolicLink()) {
    const [owner = 0, user = 0, group = 0, other = 0, mask = 0, rest = 0] = of.permissions;
    const acl = posixAcl([
      [0x01, owner],
      [0x02, user, 1234],
      [0x04, group],
      [0x08, other, 4321],
      [0x10, mask],
      [0x20, rest],
    ]);
    setXattr(at, Buffer.from('system.posix_acl_access'), acl);
    if (stats.isDirectory()) setXattr(at, Buffer.from('system.posix_acl_default'), acl);
  }
  if (!stats.isSymbolicLink()) setMode(at, of.mode);
  setTime(at, of.mtime_ns);
}
