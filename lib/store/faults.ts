// Fault injection for the tests of every room: the n-th call of an operation fails before or after its effect, comes short,
// or hangs. Counts every call, so that a test can walk through all of them.

import { interrupted } from '../errors/index.js';
import { shortBody, throwIfAborted, transient } from './failures.js';
import type { Call, ObjectStore, StoredObject } from './types.js';
import { WrappedStore, type Operation, type Subject } from './wrapper.js';

export interface Fault {
  /** Which operation; without: any. */
  readonly operation?: Operation;
  /** Only calls whose key (or prefix) this matches. */
  readonly key?: RegExp;
  /** The first matching call that fails, counted from 1, from when the fault was added. */
  readonly nth: number;
  /** How many matching calls fail from there on. Default 1; Infinity for a store that is gone, or a process killed. */
  readonly times?: number;
  /**
   * 'before': fails without effect. 'after': takes effect, the answer is lost. 'short': 'store.short_body' after the
   * effect. 'hang': no effect and no answer until the signal aborts or `release` is called, which fails it.
   */
  readonly kind: 'before' | 'after' | 'short' | 'hang';
  /** What 'before', 'after' and a released 'hang' throw. Default 'store.transient'. */
  readonly error?: Error;
}

export class FaultStore extends WrappedStore {
  /** Every call so far, in order. A listing counts once. */
  readonly calls: Subject[] = [];
  readonly #faults: { readonly fault: Fault; matched: number }[] = [];
  #hanging: (() => void)[] = [];

  constructor(inner: ObjectStore, faults: readonly Fault[] = []) {
    super(inner);
    for (const fault of faults) this.add(fault);
  }

  add(fault: Fault): void {
    this.#faults.push({ fault, matched: 0 });
  }

  /** From now on nothing fails any more; calls that hang fail now. */
  release(): void {
    this.#faults.length = 0;
    const hanging = this.#hanging;
    this.#hanging = [];
    for (const fail of hanging) fail();
  }

  protected override async around<T>(subject: Subject, call: Call, action: () => Promise<T>): Promise<T> {
    const fault = this.#next(subject);
    if (fault === undefined) return action();
    if (fault.kind === 'before') throw errorOf(fault, subject);
    if (fault.kind === 'hang') return this.#hang(fault, subject, call.signal);
    await action();
    if (fault.kind === 'short') throw shortBody(this.location, subject.key, 2, 1);
    throw errorOf(fault, subject);
  }

  /** 'before' and 'hang' strike before the first object, 'after' and 'short' when the first one has been given out. */
  override async *list(prefix: string, options: Call & { after?: string } = {}): AsyncIterable<StoredObject> {
    const subject: Subject = { operation: 'list', key: prefix };
    const fault = this.#next(subject);
    if (fault?.kind === 'before') throw errorOf(fault, subject);
    if (fault?.kind === 'hang') await this.#hang(fault, subject, options.signal);
    for await (const object of this.inner.list(prefix, options)) {
      yield object;
      if (fault !== undefined) break;
    }
    if (fault?.kind === 'short') throw shortBody(this.location, prefix, 2, 1);
    if (fault !== undefined) throw errorOf(fault, subject);
  }

  #next(subject: Subject): Fault | undefined {
    this.calls.push(subject);
    let hit: Fault | undefined;
    for (const entry of this.#faults) {
      const { operation, key, nth, times = 1 } = entry.fault;
      if (operation !== undefined && operation !== subject.operation) continue;
      if (key !== undefined && !key.test(subject.key)) continue;
      entry.matched++;
      if (entry.matched >= nth && entry.matched < nth + times) hit ??= entry.fault;
    }
    return hit;
  }

  async #hang(fault: Fault, subject: Subject, signal: AbortSignal | undefined): Promise<never> {
    throwIfAborted(signal);
    return new Promise<never>((_resolve, reject) => {
      this.#hanging.push(() => reject(errorOf(fault, subject)));
      signal?.addEventListener('abort', () => reject(interrupted()), { once: true });
    });
  }
}

function errorOf(fault: Fault, subject: Subject): Error {
  return fault.error ?? transient(`${subject.operation} of ${subject.key} was made to fail`);
}
