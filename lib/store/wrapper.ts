// What the wrappers (retry, limit, faults) share: every operation of the contract passes through one method. A wrapper has
// one concern and changes no answer.

import type { Call, GetOptions, ObjectStore, StoredObject } from './types.js';

export type Operation =
  | 'prepare'
  | 'put'
  | 'create'
  | 'get'
  | 'stat'
  | 'list'
  | 'listPrefixes'
  | 'remove'
  | 'probeConditionalCreate';

/** One call: which operation, on which key or prefix ('' where it has none). */
export interface Subject {
  readonly operation: Operation;
  readonly key: string;
}

export abstract class WrappedStore implements ObjectStore {
  protected readonly inner: ObjectStore;

  constructor(inner: ObjectStore) {
    this.inner = inner;
  }

  get location(): string {
    return this.inner.location;
  }

  get conditionalCreate(): boolean {
    return this.inner.conditionalCreate;
  }

  set conditionalCreate(believed: boolean) {
    this.inner.conditionalCreate = believed;
  }

  /** Runs one call of the wrapped store, `action`, with the wrapper's concern around it. */
  protected abstract around<T>(subject: Subject, call: Call, action: () => Promise<T>): Promise<T>;

  abstract list(prefix: string, options?: Call & { after?: string }): AsyncIterable<StoredObject>;

  prepare(options: Call & { note(message: string): void }): Promise<void> {
    return this.around({ operation: 'prepare', key: '' }, options, () => this.inner.prepare(options));
  }

  put(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    return this.around({ operation: 'put', key }, call, () => this.inner.put(key, bytes, call));
  }

  create(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    return this.around({ operation: 'create', key }, call, () => this.inner.create(key, bytes, call));
  }

  get(key: string, options: GetOptions = {}): Promise<Buffer> {
    return this.around({ operation: 'get', key }, options, () => this.inner.get(key, options));
  }

  stat(key: string, options: Call & { versionId?: string } = {}): Promise<StoredObject | undefined> {
    return this.around({ operation: 'stat', key }, options, () => this.inner.stat(key, options));
  }

  listPrefixes(prefix: string, call: Call = {}): Promise<string[]> {
    return this.around({ operation: 'listPrefixes', key: prefix }, call, () =>
      this.inner.listPrefixes(prefix, call),
    );
  }

  remove(key: string, versionId: string, call: Call = {}): Promise<void> {
    return this.around({ operation: 'remove', key }, call, () => this.inner.remove(key, versionId, call));
  }

  probeConditionalCreate(call: Call = {}): Promise<boolean> {
    return this.around({ operation: 'probeConditionalCreate', key: '' }, call, () =>
      this.inner.probeConditionalCreate(call),
    );
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}
