// Which of the versions that packs tell of were the stream's history: pure, by run ids. A run that got as far as its last pack
// but not to its commit has left a version too, which competes with the one that came in its place. Where the last pack of a
// version is lost nobody knows it any more, but those behind it go on.

import type { VersionHeader } from '../manifest/types.js';
import type { PackName } from '../pack/types.js';

/** A version as a run's last pack tells it. */
export interface Candidate {
  readonly header: VersionHeader;
  /** All that belong to the version, the last one included. */
  readonly packs: readonly PackName[];
}

/**
 * The longest line of versions that goes on from `from` (sequence 0, run '' for the beginning), each the child of the one
 * before; of lines of the same length the one that ends later. What nobody built upon is rather what was never committed.
 */
export function bestLine(
  candidates: readonly Candidate[],
  from: { readonly sequence: number; readonly run: string },
): Candidate[] {
  interface Line {
    readonly candidate: Candidate;
    readonly next: Line | undefined;
    readonly length: number;
    readonly end_ns: bigint;
  }
  /** The best line that begins with a child of the run. */
  const best = new Map<string, Line>();
  const keyOf = (sequence: number, parentRun: string): string => `${sequence} ${parentRun}`;
  for (const candidate of [...candidates].sort((a, b) => b.header.sequence - a.header.sequence)) {
    const { sequence, run, parentRun, finished_ns } = candidate.header;
    const next = best.get(keyOf(sequence + 1, run));
    const length = 1 + (next?.length ?? 0);
    const end_ns = next?.end_ns ?? finished_ns;
    const key = keyOf(sequence, parentRun);
    const other = best.get(key);
    if (other === undefined || length > other.length || (length === other.length && end_ns > other.end_ns))
      best.set(key, { candidate, next, length, end_ns });
  }
  const line: Candidate[] = [];
  for (let at = best.get(keyOf(from.sequence + 1, from.run)); at !== undefined; at = at.next)
    line.push(at.candidate);
  return line;
}

/**
 * The same beyond versions that nobody tells of: where a line ends, the first one behind it whose parent is lost goes on, but
 * not with the number right behind it, which is another child's.
 */
export function bestLines(
  candidates: readonly Candidate[],
  from: Parameters<typeof bestLine>[1],
): Candidate[] {
  const line = bestLine(candidates, from);
  const runs = new Set(candidates.map(({ header }) => header.run));
  const orphans = candidates.filter(({ header }) => !runs.has(header.parentRun));
  for (;;) {
    const last = line.at(-1)?.header.sequence ?? from.sequence;
    const behind = orphans.map(({ header }) => header).filter(({ sequence }) => sequence > last + 1);
    if (behind.length === 0) return line;
    const first = Math.min(...behind.map(({ sequence }) => sequence));
    const lines = behind
      .filter(({ sequence }) => sequence === first)
      .map(({ parentRun: run }) => bestLine(candidates, { sequence: first - 1, run }));
    const end = (some: readonly Candidate[]): bigint => some.at(-1)!.header.finished_ns;
    line.push(
      ...lines.reduce((best, other) =>
        other.length > best.length || (other.length === best.length && end(other) > end(best)) ? other : best,
      ),
    );
  }
}
