// Lets a listing begin before whoever will ask for it can: a repository's history is on its way while the password is still
// at work. Each listing that was begun is given out once, to whoever asks for the same, until all others are forgotten.

import type { Call, StoredObject } from './types.js';
import { WrappedStore, type Subject } from './wrapper.js';

type ListOptions = Call & { readonly after?: string };

export class AheadStore extends WrappedStore {
  readonly #begun = new Map<string, AsyncIterable<StoredObject>>();
  readonly #begunPrefixes = new Map<string, Promise<string[]>>();

  protected override around<T>(_subject: Subject, _call: Call, action: () => Promise<T>): Promise<T> {
    return action();
  }

  /** Asks for the first objects now. An error is for whoever takes the listing. */
  beginList(prefix: string, options: ListOptions = {}): void {
    const objects = this.inner.list(prefix, options)[Symbol.asyncIterator]();
    const first = objects.next();
    first.catch(() => undefined);
    this.#begun.set(nameOf(prefix, options), begunWith(first, objects));
  }

  override list(prefix: string, options: ListOptions = {}): AsyncIterable<StoredObject> {
    const name = nameOf(prefix, options);
    const begun = this.#begun.get(name);
    this.#begun.delete(name);
    return begun ?? this.inner.list(prefix, options);
  }

  /** The same for `listPrefixes`. */
  beginPrefixes(prefix: string, call: Call = {}): void {
    const prefixes = this.inner.listPrefixes(prefix, call);
    prefixes.catch(() => undefined);
    this.#begunPrefixes.set(prefix, prefixes);
  }

  override listPrefixes(prefix: string, call: Call = {}): Promise<string[]> {
    const begun = this.#begunPrefixes.get(prefix);
    this.#begunPrefixes.delete(prefix);
    return begun ?? super.listPrefixes(prefix, call);
  }

  /** From now on whoever asks is answered anew. */
  forget(): void {
    this.#begun.clear();
    this.#begunPrefixes.clear();
  }

  override close(): Promise<void> {
    this.forget();
    return super.close();
  }
}

const nameOf = (prefix: string, { after }: ListOptions): string => JSON.stringify([prefix, after]);

async function* begunWith(
  first: Promise<IteratorResult<StoredObject>>,
  rest: AsyncIterator<StoredObject>,
): AsyncGenerator<StoredObject> {
  try {
    for (let next = await first; next.done !== true; next = await rest.next()) yield next.value;
  } finally {
    await rest.return?.();
  }
}
