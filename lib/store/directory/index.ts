// A store in a local directory: one file per object, no versions. What it has acknowledged survives a power cut; what it has
// not is invisible. Never writes outside its root and never shows a file that is not whole.

import { lstat, readdir, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { printable } from '../../bytes/path.js';
import { RrbackupError } from '../../errors/index.js';
import { checkRange, checkSize, exists, missing, mostOf, shortBody, throwIfAborted } from '../failures.js';
import { checkKey, checkPrefix } from '../key.js';
import { probe } from '../probe.js';
import type { Call, GetOptions, ObjectStore, StoredObject } from '../types.js';
import { directoryFailure, errnoOf, isAbsence } from './failure.js';
import {
  DurableDirectories,
  openFile,
  publish,
  publishNew,
  readFully,
  syncDirectory,
  writeTemporary,
} from './files.js';
import { directoriesBelow, directoryOf, isStorableKey, keysBelow, temporaryName } from './walk.js';

const day_ms = 24 * 60 * 60 * 1000;

/**
 * Version ids are ''; one that is asked for is ignored, so that a copy of a bucket in a directory reads like the bucket.
 * With `conditionalCreate`, `create` needs hard links, which FAT and some network file systems do not have.
 */
export class DirectoryStore implements ObjectStore {
  readonly location: string;
  conditionalCreate = true;
  readonly #root: string;
  readonly #temporary: string;
  readonly #directories: DurableDirectories;
  #counter = 0;
  #swept = false;

  constructor(path: string) {
    this.#root = resolve(path);
    this.#temporary = join(this.#root, temporaryName);
    this.#directories = new DurableDirectories(this.#root);
    this.location = `directory ${printable(Buffer.from(this.#root))}`;
  }

  async prepare(options: Call & { note(message: string): void }): Promise<void> {
    throwIfAborted(options.signal);
    await this.#guard('', async () => {
      await this.#directories.makeRoot();
      await this.#directories.ensure(this.#temporary);
      await this.#sweep();
    });
  }

  async put(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    await this.#write(key, bytes, call.signal, async (temporary, path) => {
      await publish(temporary, path);
      return true;
    });
    return { versionId: '' };
  }

  async create(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    if (!this.conditionalCreate) return this.put(key, bytes, call);
    return this.#createNew(key, bytes, call);
  }

  async get(key: string, options: GetOptions = {}): Promise<Buffer> {
    this.#check(key);
    throwIfAborted(options.signal);
    const bytes = await this.#guard(key, async () => {
      const file = await openFile(join(this.#root, key));
      if (file === undefined) throw missing(this.location, key);
      try {
        checkSize(this.location, key, file.size_bytes, mostOf(options));
        const range = options.range ?? { offset: 0, length: file.size_bytes };
        checkRange(this.location, key, range, file.size_bytes);
        const got = await readFully(file.handle, range.offset, range.length);
        if (got.length !== range.length) throw shortBody(this.location, key, range.length, got.length);
        return got;
      } finally {
        await file.handle.close();
      }
    });
    throwIfAborted(options.signal);
    return bytes;
  }

  async stat(key: string, options: Call & { versionId?: string } = {}): Promise<StoredObject | undefined> {
    this.#check(key);
    throwIfAborted(options.signal);
    return this.#guard(key, () => this.#describe(key));
  }

  async *list(prefix: string, options: Call & { after?: string } = {}): AsyncIterable<StoredObject> {
    checkPrefix(prefix);
    const walk = { prefix, after: options.after ?? '', signal: options.signal };
    const keys = keysBelow(this.#root, directoryOf(prefix), walk);
    for (;;) {
      throwIfAborted(options.signal);
      const next = await this.#guard(prefix, () => keys.next());
      if (next.done === true) return;
      const object = await this.#guard(next.value, () => this.#describe(next.value));
      if (object !== undefined) yield object;
    }
  }

  async listPrefixes(prefix: string, call: Call = {}): Promise<string[]> {
    checkPrefix(prefix);
    throwIfAborted(call.signal);
    return this.#guard(prefix, () => directoriesBelow(this.#root, prefix, call.signal));
  }

  async remove(key: string, _versionId: string, call: Call = {}): Promise<void> {
    this.#check(key);
    throwIfAborted(call.signal);
    const path = join(this.#root, key);
    await this.#guard(key, async () => {
      try {
        await unlink(path);
      } catch (error) {
        if (isAbsence(error)) return;
        throw error;
      }
      await syncDirectory(dirname(path));
    });
  }

  probeConditionalCreate(call: Call = {}): Promise<boolean> {
    return probe(
      {
        create: (key, bytes, inner) => this.#createNew(key, bytes, inner),
        list: (prefix, inner) => this.list(prefix, inner),
        remove: (key, versionId, inner) => this.remove(key, versionId, inner),
      },
      call,
    );
  }

  async close(): Promise<void> {
    // Nothing stays open between calls.
  }

  async #createNew(key: string, bytes: Uint8Array, call: Call): Promise<{ versionId: string }> {
    const isNew = await this.#write(key, bytes, call.signal, publishNew);
    if (isNew) return { versionId: '' };
    const present = await this.stat(key, call);
    const isOther = present !== undefined && present.size_bytes !== bytes.length;
    if (isOther || !(await this.get(key, call)).equals(bytes)) throw exists(this.location, key);
    return { versionId: '' };
  }

  /** Writes a temporary file and publishes it; the answer of `publishing` once that is durable. */
  async #write(
    key: string,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
    publishing: (temporary: string, path: string) => Promise<boolean>,
  ): Promise<boolean> {
    this.#check(key);
    throwIfAborted(signal);
    const path = join(this.#root, key);
    return this.#guard(key, async () => {
      for (let attempt = 0; ; attempt++) {
        try {
          await this.#directories.ensure(this.#temporary);
          await this.#directories.ensure(dirname(path));
          await this.#sweep();
          const temporary = join(this.#temporary, this.#temporaryFile());
          await writeTemporary(temporary, bytes, signal);
          const isNew = await publishing(temporary, path);
          await syncDirectory(dirname(path));
          return isNew;
        } catch (error) {
          // Somebody removed a directory that was there before: make it again, once.
          if (errnoOf(error) !== 'ENOENT' || attempt > 0) throw error;
          this.#directories.forget(this.#temporary);
          this.#forgetAbove(dirname(path));
        }
      }
    });
  }

  #forgetAbove(path: string): void {
    for (let at = path; at.length >= this.#root.length; at = dirname(at)) {
      this.#directories.forget(at);
      if (at === this.#root) return;
    }
  }

  #temporaryFile(): string {
    this.#counter++;
    return `${process.pid}-${this.#counter}-${Math.random().toString(36).slice(2)}`;
  }

  /** Removes what crashes have left, once; a day old by the file system's own clock, so that no writer loses its file. */
  async #sweep(): Promise<void> {
    if (this.#swept) return;
    this.#swept = true;
    const own = join(this.#temporary, this.#temporaryFile());
    await writeTemporary(own, new Uint8Array(0), undefined);
    const now_ms = (await stat(own)).mtimeMs;
    await rm(own, { force: true });
    for (const name of await readdir(this.#temporary)) {
      const path = join(this.#temporary, name);
      const status = await stat(path).catch(() => undefined);
      if (status?.isFile() === true && now_ms - status.mtimeMs > day_ms) {
        // One that does not go is litter, and no reason not to store.
        await rm(path, { force: true }).catch(() => undefined);
      }
    }
  }

  async #describe(key: string): Promise<StoredObject | undefined> {
    const status = await lstat(join(this.#root, key)).catch((error: unknown) => {
      if (isAbsence(error)) return undefined;
      throw error;
    });
    if (status?.isFile() !== true) return undefined;
    return { key, versionId: '', size_bytes: status.size, modified_ms: Math.trunc(status.mtimeMs) };
  }

  #check(key: string): void {
    checkKey(key);
    if (isStorableKey(key)) return;
    throw new RrbackupError({
      code: 'store.failed',
      kind: 'store',
      message: `${key} is kept for temporary files in ${this.location}`,
      guidance: 'report this as a bug of rrbackup',
    });
  }

  async #guard<T>(key: string, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw directoryFailure(this.location, key, error);
    }
  }
}
