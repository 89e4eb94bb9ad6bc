// The figures of a run: what the whole tree holds as it will stand, what is to be stored, how far it has come. Counted by
// whoever compares, added up by the main thread.

import type { EntryType } from '../manifest/types.js';

/** Of the whole tree as it will stand at the new version, the root included. */
export interface TreeStatistics {
  files: number;
  directories: number;
  others: number;
  bytes: number;
  /** Entries and directories that could not be read. */
  unreadable: number;
}

export type ChangeKind = 'added' | 'changed' | 'metadata' | 'removed';

/** Plain data, so that it may come from another thread. */
export interface Figures {
  readonly statistics: TreeStatistics;
  readonly counts: Record<ChangeKind, number>;
  /** Content of files: of those that are new or different, and of those that are gone. */
  readonly bytes: Record<Exclude<ChangeKind, 'metadata'>, number>;
  /** Entries that are dealt with, and bytes of their content. */
  readonly done: { files: number; bytes: number };
}

export function noFigures(): Figures {
  return {
    statistics: { files: 0, directories: 0, others: 0, bytes: 0, unreadable: 0 },
    counts: { added: 0, changed: 0, metadata: 0, removed: 0 },
    bytes: { added: 0, changed: 0, removed: 0 },
    done: { files: 0, bytes: 0 },
  };
}

/** An entry as it will stand. */
export function countEntry({ statistics, done }: Figures, type: EntryType, size_bytes: number): void {
  done.files++;
  if (type === 'file') {
    statistics.files++;
    statistics.bytes += size_bytes;
    done.bytes += size_bytes;
  } else if (type === 'directory') statistics.directories++;
  else statistics.others++;
}

export function countChange({ counts, bytes }: Figures, kind: ChangeKind, size_bytes: number): void {
  counts[kind]++;
  if (kind !== 'metadata') bytes[kind] += size_bytes;
}

export function addFigures(to: Figures, more: Figures): void {
  addAll(to.statistics, more.statistics);
  addAll(to.counts, more.counts);
  addAll(to.bytes, more.bytes);
  addAll(to.done, more.done);
}

function addAll<Name extends string>(to: Record<Name, number>, more: Record<Name, number>): void {
  for (const name in more) to[name] += more[name];
}
