// A store in memory that behaves like a versioned S3 bucket: versions, delete markers, conditional create (or a server that
// ignores it). For tests of every room; it passes test/contract/ and must never be more lenient than S3.

import { systemClock, type Clock } from '../clock.js';
import { RrbackupError } from '../errors/index.js';
import { checkRange, checkSize, exists, missing, throwIfAborted } from './failures.js';
import { checkKey, checkPrefix } from './key.js';
import { probe } from './probe.js';
import type { Call, GetOptions, ObjectStore, StoredObject } from './types.js';

interface Version {
  readonly versionId: string;
  /** Undefined: a delete marker. */
  bytes: Buffer | undefined;
  readonly modified_ms: number;
}

export interface MemoryStoreOptions {
  readonly clock?: Clock;
  /** Behave like a server that answers 200 to a create of something that exists (Ceph 16). */
  readonly ignoresIfNoneMatch?: boolean;
}

export class MemoryStore implements ObjectStore {
  readonly location = 'memory';
  conditionalCreate = true;
  readonly #clock: Clock;
  readonly #ignoresIfNoneMatch: boolean;
  readonly #versions = new Map<string, Version[]>();
  #counter = 0;

  constructor(options: MemoryStoreOptions = {}) {
    this.#clock = options.clock ?? systemClock;
    this.#ignoresIfNoneMatch = options.ignoresIfNoneMatch ?? false;
  }

  async prepare(options: Call & { note(message: string): void }): Promise<void> {
    await this.#turn(options.signal);
  }

  async put(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    checkKey(key);
    await this.#turn(call.signal);
    return this.#add(key, Buffer.from(bytes));
  }

  async create(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    checkKey(key);
    await this.#turn(call.signal);
    const newest = this.#versions.get(key)?.at(-1);
    if (!this.conditionalCreate || this.#ignoresIfNoneMatch || newest?.bytes === undefined) {
      return this.#add(key, Buffer.from(bytes));
    }
    if (newest.bytes.equals(bytes)) return { versionId: newest.versionId };
    throw exists(this.location, key);
  }

  async get(key: string, options: GetOptions = {}): Promise<Buffer> {
    checkKey(key);
    await this.#turn(options.signal);
    const bytes = this.#find(key, options.versionId)?.bytes;
    if (bytes === undefined) throw missing(this.location, key, options.versionId);
    const { range, most_bytes } = options;
    checkSize(this.location, key, bytes.length, most_bytes);
    if (range === undefined) return Buffer.from(bytes);
    checkRange(this.location, key, range, bytes.length);
    return Buffer.from(bytes.subarray(range.offset, range.offset + range.length));
  }

  async stat(key: string, options: Call & { versionId?: string } = {}): Promise<StoredObject | undefined> {
    checkKey(key);
    await this.#turn(options.signal);
    const version = this.#find(key, options.versionId);
    return version?.bytes === undefined ? undefined : describe(key, version, version.bytes);
  }

  async *list(prefix: string, options: Call & { after?: string } = {}): AsyncIterable<StoredObject> {
    checkPrefix(prefix);
    const after = options.after ?? '';
    const keys = [...this.#versions.keys()].filter((key) => key.startsWith(prefix) && key > after).sort();
    for (const key of keys) {
      await this.#turn(options.signal);
      for (const version of [...(this.#versions.get(key) ?? [])].reverse()) {
        if (version.bytes !== undefined) yield describe(key, version, version.bytes);
      }
    }
  }

  async listPrefixes(prefix: string, call: Call = {}): Promise<string[]> {
    checkPrefix(prefix);
    await this.#turn(call.signal);
    const names = new Set<string>();
    for (const [key, versions] of this.#versions) {
      const slash = key.indexOf('/', prefix.length);
      if (key.startsWith(prefix) && slash >= 0 && versions.length > 0)
        names.add(key.slice(prefix.length, slash));
    }
    return [...names].sort();
  }

  async remove(key: string, versionId: string, call: Call = {}): Promise<void> {
    checkKey(key);
    await this.#turn(call.signal);
    if (versionId === '') {
      throw new RrbackupError({
        code: 'store.failed',
        kind: 'store',
        message: `${key} cannot be removed without its version id`,
      });
    }
    const rest = this.#versions.get(key)?.filter((version) => version.versionId !== versionId) ?? [];
    if (rest.length === 0) this.#versions.delete(key);
    else this.#versions.set(key, rest);
  }

  async probeConditionalCreate(call: Call = {}): Promise<boolean> {
    const believed = this.conditionalCreate;
    this.conditionalCreate = true;
    try {
      return await probe(this, call);
    } finally {
      this.conditionalCreate = believed;
    }
  }

  async close(): Promise<void> {
    await this.#turn(undefined);
  }

  /** What `aws s3 rm` does to a versioned bucket: puts a delete marker over the key. */
  hide(key: string): void {
    const versions = this.#versions.get(key) ?? [];
    versions.push({ versionId: this.#nextId(), bytes: undefined, modified_ms: this.#now_ms() });
    this.#versions.set(key, versions);
  }

  /** Rotten hardware or an evil store: other bytes under the same version id (of the newest version without one). */
  tamper(key: string, bytes: Uint8Array, versionId?: string): void {
    const version = this.#find(key, versionId);
    if (version === undefined) throw missing(this.location, key, versionId);
    version.bytes = Buffer.from(bytes);
  }

  /** A copy of its own with the same versions and version ids, to roll a bucket back or to fork it. */
  copy(): MemoryStore {
    const twin = new MemoryStore({ clock: this.#clock, ignoresIfNoneMatch: this.#ignoresIfNoneMatch });
    twin.conditionalCreate = this.conditionalCreate;
    twin.#counter = this.#counter;
    for (const [key, versions] of this.#versions) {
      const own = versions.map((version) => ({ ...version }));
      twin.#versions.set(key, own);
    }
    return twin;
  }

  #add(key: string, bytes: Buffer): { versionId: string } {
    const version = { versionId: this.#nextId(), bytes, modified_ms: this.#now_ms() };
    const versions = this.#versions.get(key);
    if (versions === undefined) this.#versions.set(key, [version]);
    else versions.push(version);
    return { versionId: version.versionId };
  }

  #find(key: string, versionId = ''): Version | undefined {
    const versions = this.#versions.get(key);
    return versionId === '' ? versions?.at(-1) : versions?.find((version) => version.versionId === versionId);
  }

  #nextId(): string {
    this.#counter++;
    return `v${this.#counter.toString().padStart(8, '0')}`;
  }

  #now_ms(): number {
    return Number(this.#clock.now_ns() / 1_000_000n);
  }

  /** Lets others run, as a network would: code that only works without interleaving shall not pass here. */
  async #turn(signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal);
    await new Promise<void>((resolve) => queueMicrotask(resolve));
    throwIfAborted(signal);
  }
}

function describe(key: string, version: Version, bytes: Buffer): StoredObject {
  return { key, versionId: version.versionId, size_bytes: bytes.length, modified_ms: version.modified_ms };
}
