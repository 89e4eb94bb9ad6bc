// Tries again what is worth it: 'store.transient' and 'store.short_body', with jittered exponential backoff, for a bounded
// time. What comes again in the same way is how the store is, which no waiting mends. Every operation of the contract is idempotent, so a repetition does no harm.

import { type Clock, pause, systemClock } from '../clock.js';
import { RrbackupError } from '../errors/index.js';
import { DoubtfulError, throwIfAborted } from './failures.js';
import type { Call, ObjectStore, StoredObject } from './types.js';
import { WrappedStore, type Subject } from './wrapper.js';

export interface RetryNote extends Subject {
  /** 1 for the first repetition. */
  readonly attempt: number;
  readonly delay_ms: number;
  readonly error: RrbackupError;
}

export interface RetryOptions {
  /** No repetition starts later than this after the first call. Default five minutes. */
  readonly patience_ms?: number;
  /** So many DoubtfulErrors in the same way leave no doubt. Default three; one for a store without a network. */
  readonly equalAnswers?: number;
  readonly clock?: Clock;
  onRetry?(note: RetryNote): void;
  /** For tests: waits, and rejects when the signal aborts. */
  sleep?(delay_ms: number, signal: AbortSignal | undefined): Promise<void>;
  /** For tests: 0 ≤ x < 1. */
  random?(): number;
}

const firstDelay_ms = 250;
/** Once a connection is back, work is to go on: an outage of a minute costs that minute and this at the most. */
const longestDelay_ms = 5000;

function isWorthIt(error: unknown): error is RrbackupError {
  return (
    error instanceof RrbackupError && (error.code === 'store.transient' || error.code === 'store.short_body')
  );
}

export class RetryStore extends WrappedStore {
  readonly #patience_ms: number;
  readonly #equalAnswers: number;
  readonly #clock: Clock;
  readonly #onRetry: (note: RetryNote) => void;
  readonly #sleep: (delay_ms: number, signal: AbortSignal | undefined) => Promise<void>;
  readonly #random: () => number;

  constructor(inner: ObjectStore, options: RetryOptions = {}) {
    super(inner);
    this.#patience_ms = options.patience_ms ?? 300_000;
    this.#equalAnswers = options.equalAnswers ?? 3;
    this.#clock = options.clock ?? systemClock;
    this.#onRetry = (note) => options.onRetry?.(note);
    this.#sleep = options.sleep ?? ((delay_ms, signal) => pause(this.#clock, delay_ms, signal));
    this.#random = options.random ?? Math.random;
  }

  protected override async around<T>(subject: Subject, call: Call, action: () => Promise<T>): Promise<T> {
    const pause = this.#pauses(subject, call.signal);
    for (;;) {
      try {
        return await action();
      } catch (error) {
        await pause(error);
      }
    }
  }

  /**
   * A listing goes on where it broke off: it is asked again from the key before the last one, whose versions may not all
   * have come, and those that have are skipped. So is what a server says twice, as some do where a page begins.
   */
  override async *list(prefix: string, options: Call & { after?: string } = {}): AsyncIterable<StoredObject> {
    let after = options.after;
    let current: string | undefined;
    const seen = new Set<string>();
    let pause = this.#pauses({ operation: 'list', key: prefix }, options.signal);
    let isDoubtful = false;
    for (;;) {
      try {
        for await (const object of this.inner.list(
          prefix,
          after === undefined ? options : { ...options, after },
        )) {
          if (current !== undefined && object.key < current) continue;
          if (object.key !== current) {
            after = current ?? after;
            current = object.key;
            seen.clear();
          }
          if (seen.has(object.versionId)) continue;
          seen.add(object.versionId);
          yield object;
          // Progress starts the counting anew: a long listing over a bad line may take many repetitions. Not where it is the
          // server that stands still: that could bring one more object each time, for ever.
          if (!isDoubtful) pause = this.#pauses({ operation: 'list', key: prefix }, options.signal);
        }
        return;
      } catch (error) {
        isDoubtful ||= error instanceof DoubtfulError;
        await pause(error);
      }
    }
  }

  /** A function that waits before the next attempt, or throws the error when there is to be none. */
  #pauses(subject: Subject, signal: AbortSignal | undefined): (error: unknown) => Promise<void> {
    const start_ms = this.#clock.monotonic_ms();
    let attempt = 0;
    let way: string | undefined;
    let equalAnswers = 0;
    return async (error) => {
      if (!isWorthIt(error)) throw error;
      attempt++;
      if (error instanceof DoubtfulError) {
        equalAnswers = error.way === way ? equalAnswers + 1 : 1;
        way = error.way;
        if (equalAnswers >= this.#equalAnswers) throw error.settled;
      }
      const limit_ms = Math.min(longestDelay_ms, firstDelay_ms * 2 ** (attempt - 1));
      const delay_ms = Math.round(limit_ms * (0.5 + this.#random() / 2));
      if (this.#clock.monotonic_ms() + delay_ms - start_ms > this.#patience_ms) throw error;
      throwIfAborted(signal);
      this.#onRetry({ ...subject, attempt, delay_ms, error });
      await this.#sleep(delay_ms, signal);
    };
  }
}
