// How long the kernel may believe what it is told.

import type { Lifetimes } from '../protocol/reply.js';
import type { NodeId } from '../tree/node.js';
import type { Tree } from '../tree/index.js';

/** Nothing inside a version ever changes. */
export const forever_s = 24 * 60 * 60;
/** Directories that grow, and `current`. */
export const growing_s = 1;

/** By what the parent is, then by what the node is. */
const lifetimes = {
  inVersion: {
    immutable: { entry_s: forever_s, attributes_s: forever_s },
    growing: { entry_s: forever_s, attributes_s: growing_s },
  },
  inGrowing: {
    immutable: { entry_s: growing_s, attributes_s: forever_s },
    growing: { entry_s: growing_s, attributes_s: growing_s },
  },
} as const;

/** Of a name in a directory, and of the attributes of what has it. */
export function lifetimesIn(tree: Tree, parent: NodeId, node: NodeId): Lifetimes {
  const ofParent = tree.isImmutable(parent) ? lifetimes.inVersion : lifetimes.inGrowing;
  return tree.isImmutable(node) ? ofParent.immutable : ofParent.growing;
}
