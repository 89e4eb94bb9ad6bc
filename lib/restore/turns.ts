// Lets the event loop turn in the middle of long stretches of synchronous work, so that signals, answers from the store and
// progress get through.

import { setImmediate } from 'node:timers/promises';
import { systemClock } from '../clock.js';
import { interrupted } from '../errors/index.js';

const stretch_ms = 20;
/** Steps between two looks at the clock, which costs more than most of them. */
const stride = 64;

export class Turns {
  readonly #signal: AbortSignal | undefined;
  #last_ms = systemClock.monotonic_ms();

  #steps = 0;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** Whether it is time for `turn`, for steps of a microsecond. */
  isDue(): boolean {
    return ++this.#steps % stride === 0;
  }

  /** Call often. Throws code 'interrupted' once the signal is aborted. */
  async turn(): Promise<void> {
    if (this.#signal?.aborted) throw interrupted();
    const now_ms = systemClock.monotonic_ms();
    if (now_ms - this.#last_ms < stretch_ms) return;
    await setImmediate();
    this.#last_ms = systemClock.monotonic_ms();
    if (this.#signal?.aborted) throw interrupted();
  }
}
