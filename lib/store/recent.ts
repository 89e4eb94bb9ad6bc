// Keeps what was just stored and acknowledged for a while, so that who reads it back (a catalog takes in the commit that was
// just made) need not ask the store for it. Only exact versions are answered from here, for those never change.

import { checkRange, checkSize } from './failures.js';
import { type Call, type GetOptions, type ObjectStore, type StoredObject, isExactVersion } from './types.js';
import { WrappedStore, type Subject } from './wrapper.js';

export interface RecentOptions {
  /** Of all objects that are kept; the oldest go first. */
  readonly maximum_bytes: number;
  /** A larger object is not kept at all. */
  readonly maximumObject_bytes: number;
}

const MiB = 1024 * 1024;
/** Parts of a manifest fit in, packs hardly do. */
const defaults: RecentOptions = { maximum_bytes: 32 * MiB, maximumObject_bytes: 8 * MiB };

interface Kept {
  readonly key: string;
  readonly versionId: string;
  readonly bytes: Buffer;
}

export class RecentStore extends WrappedStore {
  readonly #options: RecentOptions;
  /** Oldest first. */
  #kept: Kept[] = [];
  #kept_bytes = 0;

  constructor(inner: ObjectStore, options: RecentOptions = defaults) {
    super(inner);
    this.#options = options;
  }

  protected override around<T>(_subject: Subject, _call: Call, action: () => Promise<T>): Promise<T> {
    return action();
  }

  override list(prefix: string, options: Call & { after?: string } = {}): AsyncIterable<StoredObject> {
    return this.inner.list(prefix, options);
  }

  override async put(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    const stored = await super.put(key, bytes, call);
    this.#keep(key, stored.versionId, bytes);
    return stored;
  }

  override async create(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    const stored = await super.create(key, bytes, call);
    this.#keep(key, stored.versionId, bytes);
    return stored;
  }

  override async get(key: string, options: GetOptions = {}): Promise<Buffer> {
    const { versionId = '', range, most_bytes } = options;
    const kept = this.#kept.find((object) => object.key === key && object.versionId === versionId);
    if (kept === undefined) return super.get(key, options);
    checkSize(this.location, key, kept.bytes.length, most_bytes);
    if (range === undefined) return Buffer.from(kept.bytes);
    checkRange(this.location, key, range, kept.bytes.length);
    return Buffer.from(kept.bytes.subarray(range.offset, range.offset + range.length));
  }

  override async remove(key: string, versionId: string, call: Call = {}): Promise<void> {
    this.#kept = this.#kept.filter((object) => object.key !== key || object.versionId !== versionId);
    this.#kept_bytes = this.#kept.reduce((sum, { bytes }) => sum + bytes.length, 0);
    await super.remove(key, versionId, call);
  }

  #keep(key: string, versionId: string, bytes: Uint8Array): void {
    const { maximum_bytes, maximumObject_bytes } = this.#options;
    if (!isExactVersion(versionId) || bytes.length > maximumObject_bytes) return;
    this.#kept.push({ key, versionId, bytes: Buffer.from(bytes) });
    this.#kept_bytes += bytes.length;
    while (this.#kept_bytes > maximum_bytes) this.#kept_bytes -= this.#kept.shift()!.bytes.length;
  }
}
