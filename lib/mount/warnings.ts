// Keeps a failing store from flooding the log: each message once in a while, and no more than a handful in that time.

import { systemClock, type Clock } from '../clock.js';

const window_ms = 60_000;
const perWindow = 20;

export class WarningLimiter {
  readonly #emit: (message: string) => void;
  readonly #clock: Clock;
  readonly #said = new Set<string>();
  #windowStart_ms: number;
  #withheld = 0;

  constructor(emit: (message: string) => void, clock: Clock = systemClock) {
    this.#emit = emit;
    this.#clock = clock;
    this.#windowStart_ms = clock.monotonic_ms();
  }

  warn(message: string): void {
    const now_ms = this.#clock.monotonic_ms();
    if (now_ms - this.#windowStart_ms > window_ms) {
      if (this.#withheld > 0) this.#emit(`${this.#withheld} more warnings like these in the last minute`);
      this.#windowStart_ms = now_ms;
      this.#withheld = 0;
      this.#said.clear();
    }
    if (this.#said.has(message)) return;
    if (this.#said.size >= perWindow) {
      this.#withheld++;
      return;
    }
    this.#said.add(message);
    this.#emit(message);
  }
}
