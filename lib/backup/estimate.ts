// How much a source holds, for the progress of a first backup: counted beside the run that reads it, a little at a time.

import { setImmediate } from 'node:timers/promises';
import type { Comparison } from './compare.js';
import { type Findings, type Found, type Place, rootPlace } from './findings.js';
import { typeOf } from './status-entry.js';

class Counting implements Findings {
  readonly ahead: Place[] = [rootPlace];
  files_total = 0;
  bytes_total = 0;
  #sinceTurn = 0;

  added({ status }: Found): void {
    this.files_total++;
    this.#sinceTurn++;
    if (typeOf(status.mode) === 'file') this.bytes_total += status.size_bytes;
  }

  below(place: Place): void {
    this.ahead.push(place);
  }

  isEnough(): boolean {
    return this.#sinceTurn >= entriesPerTurn;
  }

  turn(): void {
    this.#sinceTurn = 0;
  }

  readonly #nothing = (): void => undefined;
  changed = this.#nothing;
  metadata = this.#nothing;
  removed = this.#nothing;
  unchanged = this.#nothing;
  kept = this.#nothing;
  unreadable = this.#nothing;
  stillThere = this.#nothing;
}

const entriesPerTurn = 256;

/** Undefined if the run was over first, or the source cannot be read: whoever backs it up will say so. */
export async function estimate(
  comparison: () => Comparison,
  isOver: () => boolean,
): Promise<{ files_total: number; bytes_total: number } | undefined> {
  const counting = new Counting();
  try {
    const looking = comparison();
    for (let place = counting.ahead.pop(); place; place = counting.ahead.pop()) {
      looking.compare(place, counting);
      if (!counting.isEnough()) continue;
      counting.turn();
      await setImmediate();
      if (isOver()) return undefined;
    }
  } catch {
    return undefined;
  }
  return { files_total: counting.files_total, bytes_total: counting.bytes_total };
}
