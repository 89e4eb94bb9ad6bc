// What the tree of a mount is to show, and how: plain data, which goes as a whole to every thread that has a tree.

import type { Owner } from './attributes.js';

export interface TreeOptions {
  /** Whose sources stand in the root. */
  readonly host: string;
  /** Owns the directories that only the mount has. */
  readonly owner: Owner;
  /** Stand in every entry instead of the owner and the group that were backed up. */
  readonly uid?: number;
  readonly gid?: number;
  /** Nothing of other machines than `host` is shown, in hosts/ neither. */
  readonly hidesOtherHosts?: boolean;
  /** Only sources of this name, whatever the machine. */
  readonly source?: string;
  /** Versions show what lies below this path of theirs, from the source's root; those without such a directory are left out. */
  readonly path?: Uint8Array;
  /** No history/. */
  readonly hidesHistory?: boolean;
  /** How versions are named; see time-format.ts. UTC if not given. */
  readonly timeFormat?: string;
}
