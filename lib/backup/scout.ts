// The main thread's look at a source before it has workers: most runs find nothing to do, or next to nothing, and are over
// before a thread is up. Reads no file, keeps what differs for the workers.

import type { Comparison } from './compare.js';
import { type Device, type Findings, type Place, type Previous, rootPlace } from './findings.js';
import type { VersionStatistics } from '../manifest/types.js';
import type { Finding } from './messages.js';
import { addFigures, countEntry, type Figures, noFigures } from './tally.js';

/** So many entries are seen before help is worth its start. */
const enoughEntries = 16_384;

/** How many threads there will be work for, as far as the version before tells; a first one has work for one at once. */
export function helpersFor(before: VersionStatistics | undefined): number {
  if (before === undefined) return 1;
  return before.files + before.directories + before.others > 2 * enoughEntries ? Infinity : 0;
}

class Scouting implements Findings {
  figures: Figures = noFigures();
  found: Finding[] = [];
  differs = false;

  unchanged({ status }: Previous): void {
    countEntry(this.figures, status.type, status.size_bytes);
  }

  below(place: Place): void {
    this.found.push({ kind: 'place', place });
  }

  stillThere(path: Buffer, device: Device): void {
    this.found.push({ kind: 'still-there', path, device });
  }

  isEnough(): boolean {
    return this.differs || this.figures.done.files >= enoughEntries;
  }

  readonly #differs = (): void => void (this.differs = true);
  added = this.#differs;
  changed = this.#differs;
  metadata = this.#differs;
  removed = this.#differs;
  kept = this.#differs;
  unreadable = this.#differs;
}

export interface Scouted {
  /** What is left to be done, in path order. */
  readonly findings: Finding[];
  /** Of all that is done. */
  readonly figures: Figures;
}

/** Looks at the source until it has seen enough. Throws what comparing throws. */
export function scout(comparison: Comparison): Scouted {
  const figures = noFigures();
  const findings: Finding[] = [];
  const ahead: Finding[] = [{ kind: 'place', place: rootPlace }];
  for (let next = ahead.pop(); next; next = ahead.pop()) {
    if (next.kind !== 'place' || figures.done.files >= enoughEntries) {
      findings.push(next);
      continue;
    }
    const scouting = new Scouting();
    comparison.compare(next.place, scouting);
    // What stands there must do so still when whoever looks again is through.
    if (scouting.differs) findings.push(next, ...scouting.found.filter(({ kind }) => kind === 'still-there'));
    else {
      addFigures(figures, scouting.figures);
      ahead.push(...scouting.found.reverse());
    }
  }
  return { findings, figures };
}
