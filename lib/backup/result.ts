// What a backup tells its caller at the end. Plain data.

import type { VersionHeader } from '../manifest/types.js';
import type { Unreadable } from './messages.js';
import type { Pipeline } from './pipeline.js';
import type { TreeStatistics } from './tally.js';
import type { Tracker } from './tracker.js';

export interface BackupResult {
  readonly source: string;
  /** The version that was committed; undefined: nothing differs from the newest version, so none was made. */
  readonly version: number | undefined;
  readonly started_ns: bigint | undefined;
  /** The newest version now; 0 if there is none at all. */
  readonly newest: number;
  /** Entries. */
  readonly added: number;
  readonly changed: number;
  readonly metadata: number;
  readonly removed: number;
  /** The whole tree. */
  readonly tree: Omit<TreeStatistics, 'unreadable'>;
  /** Plain bytes of chunks that the repository did not have, and what was uploaded for this version. */
  readonly newBytes: number;
  readonly uploadedBytes: number;
  /** The first thousand of them. */
  readonly unreadable: readonly Unreadable[];
  readonly unreadableCount: number;
  /** Files that changed while they were read: stored as read. The first thousand of them. */
  readonly unstable: readonly Uint8Array[];
  readonly unstableCount: number;
  readonly elapsed_ms: number;
}

export function summarize(of: {
  readonly source: string;
  readonly tracker: Tracker;
  readonly pipeline: Pipeline;
  readonly committed: VersionHeader | undefined;
  /** Of the log entry. */
  readonly commit_bytes: number;
  readonly newest: number;
  readonly elapsed_ms: number;
}): BackupResult {
  const { pipeline, committed } = of;
  const { figures, unreadable, unstable } = of.tracker;
  const { files, directories, others, bytes } = figures.statistics;
  return {
    source: of.source,
    version: committed?.sequence,
    started_ns: committed?.started_ns,
    newest: of.newest,
    ...(committed === undefined ? { added: 0, changed: 0, metadata: 0, removed: 0 } : figures.counts),
    tree: { files, directories, others, bytes },
    newBytes: pipeline.newBytes,
    uploadedBytes: pipeline.uploaded_bytes + of.commit_bytes,
    unreadable: unreadable.first,
    unreadableCount: unreadable.count,
    unstable: unstable.first,
    unstableCount: unstable.count,
    elapsed_ms: of.elapsed_ms,
  };
}
