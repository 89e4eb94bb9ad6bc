// How many places there are for calls of a store that are under way at once: more as long as that brings more, one step back
// where it does not, half as many when the store is overloaded or the line broke. A small call takes one place, a large one
// more, so that a few packs fill a line and dozens of small requests fill a long one. Knows no store; it is told when calls
// begin and end.

import { systemClock, type Clock } from '../clock.js';

export interface AdaptiveOptions {
  readonly initial: number;
  readonly minimum: number;
  readonly maximum: number;
  readonly clock?: Clock;
}

/** What a call costs beside its bytes, in bytes: so that many small calls count as progress, too. */
const call_bytes = 128 * 1024;
/** Two packs at once for eight places: while the answer to one is on its way, the other has the line. */
const place_bytes = 4 * 1024 * 1024;
/** A measurement takes so many rounds of all places, and this long at the least. */
const roundsPerMeasurement = 2;
const measurement_ms = 100;
/** A step up is kept if it brings this much more. */
const gain = 1.1;
/** After a step that brought nothing, and after a cut, so many measurements pass before the next step: lines change. */
const pauses = { afterNoGain: 16, afterOverload: 4 };

export class AdaptiveLimit {
  readonly #options: AdaptiveOptions;
  readonly #clock: Clock;
  #current: number;
  /** The last step up: what there was before, and what that brought. */
  #before: { readonly limit: number; readonly rate: number } | undefined;
  #pause = 0;
  /** Counts the cuts: what began before one says nothing about the limit after it. */
  #era = 0;
  #begun_ms: number;
  #places = 0;
  #work = 0;

  constructor(options: AdaptiveOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#current = options.initial;
    this.#begun_ms = this.#clock.monotonic_ms();
  }

  get current(): number {
    return this.#current;
  }

  /** Of a call that moves so many bytes. */
  placesOf(bytes: number): number {
    return Math.max(1, Math.floor(bytes / place_bytes));
  }

  /** To be given back when the call ends. */
  begin(): number {
    return this.#era;
  }

  /** `isWanted`: others wait for a place, so that the limit is what bounds the rate; otherwise a measurement says nothing. */
  ended(call: { readonly era: number; readonly bytes: number; readonly isWanted: boolean }): void {
    if (call.era !== this.#era || !call.isWanted) {
      this.#restart();
      return;
    }
    this.#places += this.placesOf(call.bytes);
    this.#work += call_bytes + call.bytes;
    const elapsed_ms = this.#clock.monotonic_ms() - this.#begun_ms;
    if (this.#places < this.#current * roundsPerMeasurement || elapsed_ms < measurement_ms) return;
    const rate = this.#work / elapsed_ms;
    this.#restart();
    this.#measured(rate);
  }

  /** A call that began in `era` was turned away, timed out or lost its connection. */
  overloaded(era: number): void {
    if (era !== this.#era) return;
    this.#era++;
    this.#current = Math.max(this.#options.minimum, Math.floor(this.#current / 2));
    this.#before = undefined;
    this.#pause = pauses.afterOverload;
    this.#restart();
  }

  #measured(rate: number): void {
    const before = this.#before;
    this.#before = undefined;
    if (before !== undefined && rate < before.rate * gain) {
      this.#current = before.limit;
      this.#pause = pauses.afterNoGain;
    } else if (this.#pause > 0) {
      this.#pause--;
    } else if (this.#current < this.#options.maximum) {
      this.#before = { limit: this.#current, rate };
      this.#current = Math.min(this.#options.maximum, this.#current + Math.max(1, this.#current >> 1));
    }
  }

  #restart(): void {
    this.#begun_ms = this.#clock.monotonic_ms();
    this.#places = 0;
    this.#work = 0;
  }
}
