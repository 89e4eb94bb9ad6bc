// Node ids: the 64-bit inode numbers of the mount, computed from catalog ids so that nothing has to be remembered between
// requests, threads or mounts. This module knows the layout and nothing else.
//
//   bits 63…61  kind
//   bit  60     view: 0 below <source>/, 1 below hosts/<host>/<source>/ (a directory may have one parent only)
//   bits 59…40  upper
//   bits 39…0   lower
//
//   kind          upper                    lower                      what it is
//   0 fixed       0                        1 root, 2 hosts/, 3 the    (1 is the id that the kernel gives to every root)
//                                          file against indexers
//   0 fixed       1                        hash of the host name      hosts/<host>/
//   1 entry       bits 47…40 of the row    bits 39…0 of the row       file, symlink, fifo, … in one state, whatever the version:
//                                                                     versions share the page cache, hard links the inode
//   2 directory   version (sequence)       row                        a directory in one version
//   3 stream      0 source, 1 history      first 40 bits of the       <source>/ and <source>/history/
//                                          stream id (a keyed hash)
//   4 history     bits 59…40 of a hash     bits 39…0 of it            a path below history/; the only kind that needs a table
//   5 deleted     version (sequence)       stream                     the marker of a deletion: an empty file
//   6 current     version (sequence)       stream                     the symlink: a new target is a new inode, because the
//                                                                     kernel caches targets for ever

export const nodeKinds = {
  fixed: 0,
  entry: 1,
  directory: 2,
  stream: 3,
  history: 4,
  deleted: 5,
  current: 6,
} as const;
export type NodeKind = (typeof nodeKinds)[keyof typeof nodeKinds];

export type View = 0 | 1;

export interface NodeId {
  readonly kind: NodeKind;
  readonly view: View;
  readonly upper: number;
  readonly lower: number;
}

/** As it stands in a request: two halves of 32 bits. */
export interface RawNodeId {
  readonly high: number;
  readonly low: number;
}

const upperLimit = 2 ** 20;
const lowerLimit = 2 ** 40;
const half = 2 ** 32;
/** Rows end at 2^48. */
const entryUpperLimit = 2 ** 8;

export function nodeId(kind: NodeKind, view: View, upper: number, lower: number): NodeId {
  return { kind, view, upper, lower };
}

/** Throws a RangeError where a part does not fit: a sequence of a million, a trillion rows. */
export function encodeNode({ kind, view, upper, lower }: NodeId): RawNodeId {
  if (!(upper >= 0 && upper < upperLimit && lower >= 0 && lower < lowerLimit)) {
    throw new RangeError(`no room for ${upper} and ${lower} in an inode number`);
  }
  const high = kind * 2 ** 29 + view * 2 ** 28 + upper * 2 ** 8 + Math.floor(lower / half);
  return { high, low: lower % half };
}

/** undefined for a number that no node of ours has. */
export function decodeNode(high: number, low: number): NodeId | undefined {
  const kind = high >>> 29;
  const upper = (high >>> 8) & 0xfffff;
  if (kind > nodeKinds.current || (kind === nodeKinds.entry && upper >= entryUpperLimit)) return undefined;
  return {
    kind: kind as NodeKind,
    view: ((high >>> 28) & 1) as View,
    upper,
    lower: (high & 0xff) * half + low,
  };
}

export function nodeNumber(node: NodeId): bigint {
  const { high, low } = encodeNode(node);
  return (BigInt(high) << 32n) | BigInt(low);
}

export const rootNode = nodeId(nodeKinds.fixed, 0, 0, 1);
export const hostsNode = nodeId(nodeKinds.fixed, 0, 0, 2);
export const noIndexNode = nodeId(nodeKinds.fixed, 0, 0, 3);

/** The node of a state that is not a directory. */
export function entryNode(row: number): NodeId {
  return nodeId(nodeKinds.entry, 0, Math.floor(row / lowerLimit), row % lowerLimit);
}

export function entryRow(node: NodeId): number {
  return node.upper * lowerLimit + node.lower;
}
