// Bounded concurrency: at most so many calls of the wrapped store at once, the rest waits in order. How many may be fixed, or
// adapt itself, and then large calls take several places. Holds no place while a caller thinks about a listed object, so that calls from within a listing cannot lock it up.

import { setMaxListeners } from 'node:events';
import { interrupted, RrbackupError } from '../errors/index.js';
import type { AdaptiveLimit } from './adaptive.js';
import { throwIfAborted } from './failures.js';
import type { Call, GetOptions, ObjectStore, StoredObject } from './types.js';
import { WrappedStore, type Subject } from './wrapper.js';

export class LimitStore extends WrappedStore {
  readonly #limit: AdaptiveLimit | { readonly current: number };
  readonly #adaptive: AdaptiveLimit | undefined;
  #underWay = 0;
  readonly #waiting: { readonly places: number; readonly enter: () => void }[] = [];

  constructor(inner: ObjectStore, limit: number | AdaptiveLimit) {
    super(inner);
    this.#adaptive = typeof limit === 'number' ? undefined : limit;
    this.#limit = typeof limit === 'number' ? { current: limit } : limit;
  }

  protected override around<T>(_subject: Subject, call: Call, action: () => Promise<T>): Promise<T> {
    return this.#run(0, call, action);
  }

  override put(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    return this.#run(bytes.length, call, () => this.inner.put(key, bytes, call));
  }

  override create(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    return this.#run(bytes.length, call, () => this.inner.create(key, bytes, call));
  }

  override get(key: string, options: GetOptions = {}): Promise<Buffer> {
    return this.#run(options.range?.length ?? 0, options, () => this.inner.get(key, options));
  }

  override async *list(prefix: string, options: Call & { after?: string } = {}): AsyncIterable<StoredObject> {
    const objects = this.inner.list(prefix, options)[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await this.around({ operation: 'list', key: prefix }, options, () => objects.next());
        if (next.done === true) return;
        yield next.value;
      }
    } finally {
      await objects.return?.();
    }
  }

  /** `bytes`: what the call moves, as far as that is known before. */
  async #run<T>(bytes: number, call: Call, action: () => Promise<T>): Promise<T> {
    const places = this.#adaptive?.placesOf(bytes) ?? 1;
    await this.#enter(places, call.signal);
    const era = this.#adaptive?.begin() ?? 0;
    try {
      const result = await action();
      const isWanted = this.#waiting.length > 0;
      this.#adaptive?.ended({ era, bytes, isWanted });
      return result;
    } catch (error) {
      if (error instanceof RrbackupError && error.code === 'store.transient') this.#adaptive?.overloaded(era);
      throw error;
    } finally {
      this.#underWay -= places;
      this.#letIn();
    }
  }

  async #enter(places: number, signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    // A run's one signal is listened to by every call in flight or in line; Node would warn of a leak.
    if (signal !== undefined) setMaxListeners(0, signal);
    if (this.#waiting.length === 0 && this.#fits(places)) {
      this.#underWay += places;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const turn = { places, enter };
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(turn), 1);
        reject(interrupted());
        // It may have been the one that did not fit.
        this.#letIn();
      };
      this.#waiting.push(turn);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** Alone, a call fits always. */
  #fits(places: number): boolean {
    return this.#underWay === 0 || this.#underWay + places <= this.#limit.current;
  }

  /** Places go straight to the next in line, so that nobody overtakes. */
  #letIn(): void {
    for (
      let next = this.#waiting[0];
      next !== undefined && this.#fits(next.places);
      next = this.#waiting[0]
    ) {
      this.#waiting.shift();
      this.#underWay += next.places;
      next.enter();
    }
  }
}
