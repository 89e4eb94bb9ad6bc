// Bounded concurrency: at most so many calls of the wrapped store at once, the rest waits in order. Holds no place while a
// caller thinks about a listed object, so that calls from within a listing cannot lock it up.

import { setMaxListeners } from 'node:events';
import { interrupted } from '../errors/index.js';
import { throwIfAborted } from './failures.js';
import type { Call, ObjectStore, StoredObject } from './types.js';
import { WrappedStore, type Subject } from './wrapper.js';

export class LimitStore extends WrappedStore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(inner: ObjectStore, concurrency: number) {
    super(inner);
    this.#free = concurrency;
  }

  protected override async around<T>(_subject: Subject, call: Call, action: () => Promise<T>): Promise<T> {
    await this.#enter(call.signal);
    try {
      return await action();
    } finally {
      this.#leave();
    }
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

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    // A run's one signal is listened to by every call in flight or in line; Node would warn of a leak.
    if (signal !== undefined) setMaxListeners(0, signal);
    if (this.#free > 0) {
      this.#free--;
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

  /** The place goes straight to the next in line, so that nobody overtakes. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
