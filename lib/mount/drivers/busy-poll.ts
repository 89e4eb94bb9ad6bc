// Looks out for the next request for a moment before its thread sleeps: `ls -lR` asks again within microseconds, and to be woken
// takes longer than to answer. Where that was in vain, it is not tried again for a while, so that it costs next to nothing.

import { availableParallelism } from 'node:os';
import { systemClock } from '../../clock.js';
import { readiness } from '../../posix/poll.js';

const moment_ms = 0.2;
/** Where a request is as good as certain: so long the kernel takes to make inodes of a page. */
const expected_ms = 1;
/** After a failure, so many requests are waited for asleep, then twice as many, up to this. */
const longestRest = 64;

export class BusyPoll {
  readonly #isReady: () => boolean;
  #rest = 0;
  #nextRest = 1;

  constructor(device: number) {
    this.#isReady = readiness(device);
    // On one processor whoever looks out keeps the other from asking.
    if (availableParallelism() === 1) this.#rest = Infinity;
  }

  /** Returns when there is something to read, or after a moment, or at once. `isExpected`: that the next request is known. */
  wait(isExpected: boolean): void {
    if (this.#rest > 0 && !(isExpected && this.#rest < Infinity)) {
      this.#rest--;
      return;
    }
    const until_ms = systemClock.monotonic_ms() + (isExpected ? expected_ms : moment_ms);
    do {
      if (this.#isReady()) {
        this.#nextRest = 1;
        return;
      }
    } while (systemClock.monotonic_ms() < until_ms);
    this.#rest = this.#nextRest;
    this.#nextRest = Math.min(longestRest, 2 * this.#nextRest);
  }
}
