// Bounded concurrency: at most so many calls of the wrapped store at once, the rest waits in order. How many may be fixed or
// adapt itself. Holds no place while a caller thinks about a listed object, so that calls from within a listing cannot lock it up.

import { setMaxListeners } from 'node:events';
import { interrupted, RrbackupError } from '../errors/index.js';
import type { AdaptiveLimit } from './adaptive.js';
import { throwIfAborted } from './failures.js';
import type { Call, ObjectStore, StoredObject } from './types.js';
import { WrappedStore, type Subject } from './wrapper.js';

export class LimitStore extends WrappedStore {
  readonly #limit: AdaptiveLimit | { readonly current: number };
  readonly #adaptive: AdaptiveLimit | undefined;
  #underWay = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(inner: ObjectStore, limit: number | AdaptiveLimit) {
    super(inner);
    this.#adaptive = typeof limit === 'number' ? undefined : limit;
    this.#limit = typeof limit === 'number' ? { current: limit } : limit;
  }

  protected override around<T>(_subject: Subject, call: Call, action: () => Promise<T>): Promise<T> {
    return this.#run(call, action, (result) => (result instanceof Uint8Array ? result.length : 0));
  }

  override put(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    return this.#run(
      call,
      () => this.inner.put(key, bytes, call),
      () => bytes.length,
    );
  }

  override create(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    return this.#run(
      call,
      () => this.inner.create(key, bytes, call),
      () => bytes.length,
    );
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

  async #run<T>(call: Call, action: () => Promise<T>, bytesOf: (result: T) => number): Promise<T> {
    await this.#enter(call.signal);
    const era = this.#adaptive?.begin() ?? 0;
    try {
      const result = await action();
      const isWanted = this.#waiting.length > 0;
      this.#adaptive?.ended({ era, bytes: bytesOf(result), isWanted });
      return result;
    } catch (error) {
      if (error instanceof RrbackupError && error.code === 'store.transient') this.#adaptive?.overloaded(era);
      throw error;
    } finally {
      this.#leave();
    }
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    // A run's one signal is listened to by every call in flight or in line; Node would warn of a leak.
    if (signal !== undefined) setMaxListeners(0, signal);
    if (this.#underWay < this.#limit.current) {
      this.#underWay++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(interrupted());
      };
      this.#waiting.push(enter);
      signal?.addEventListener('abort', abort, { once: true });
    });
  }

  /** A place goes straight to the next in line, so that nobody overtakes. */
  #leave(): void {
    this.#underWay--;
    while (this.#waiting.length > 0 && this.#underWay < this.#limit.current) {
      this.#underWay++;
      this.#waiting.shift()!();
    }
  }
}
