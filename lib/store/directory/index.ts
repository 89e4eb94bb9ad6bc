// A store in a local directory: one file per object, no versions. What it has acknowledged survives a power cut; what it has
// not is invisible. Never writes outside its root and never shows a file that is not whole.

import { unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { printable } from '../../bytes/path.js';
import { RrbackupError } from '../../errors/index.js';
import { errorCode } from '../../posix/reason.js';
import { checkRange, checkSize, exists, missing, mostOf, shortBody, throwIfAborted } from '../failures.js';
import { checkKey, checkPrefix } from '../key.js';
import { probe } from '../probe.js';
import type { Call, GetOptions, ObjectStore, StoredObject } from '../types.js';
import { directoryFailure } from './failure.js';
import { openFile, publish, publishNew, readFully, writeTemporary, type Written } from './files.js';
import { HeldDirectories, splitKey, syncDirectory } from './held.js';
import { newTemporaryName, sweep } from './temporary.js';
import { describe, directoryOf, isStorableKey, Lister, temporaryName, unlessAbsent } from './walk.js';

/**
 * Version ids are ''; one that is asked for is ignored, so that a copy of a bucket in a directory reads like the bucket.
 * With `conditionalCreate`, `create` needs hard links, which FAT and some network file systems do not have.
 */
export class DirectoryStore implements ObjectStore {
  readonly location: string;
  conditionalCreate = true;
  readonly #directories: HeldDirectories;
  #isSwept = false;

  constructor(path: string) {
    const root = resolve(path);
    this.location = `directory ${printable(Buffer.from(root))}`;
    this.#directories = new HeldDirectories(root, this.location);
  }

  async prepare(options: Call & { note(message: string): void }): Promise<void> {
    throwIfAborted(options.signal);
    await this.#guard('', async () => {
      await this.#directories.makeRoot();
      await this.#directories.ensure(temporaryName);
      await this.#sweep();
    });
  }

  async put(key: string, bytes: Uint8Array, call: Call = {}): Promise<{ versionId: string }> {
    await this.#write(key, bytes, call.signal, publish);
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
      const { directory, name } = splitKey(key);
      const file = await unlessAbsent(this.#directories.in(directory, (path) => openFile(join(path, name))));
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
    return this.#guard(key, () =>
      unlessAbsent(this.#directories.in(splitKey(key).directory, (path) => describe(path, key))),
    );
  }

  async *list(prefix: string, options: Call & { after?: string } = {}): AsyncIterable<StoredObject> {
    checkPrefix(prefix);
    const walk = { prefix, after: options.after ?? '', signal: options.signal };
    const objects = new Lister(this.#directories, this.location, walk).objects(directoryOf(prefix));
    for (;;) {
      throwIfAborted(options.signal);
      const next = await this.#guard(prefix, () => objects.next());
      if (next.done === true) return;
      yield next.value;
    }
  }

  async listPrefixes(prefix: string, call: Call = {}): Promise<string[]> {
    checkPrefix(prefix);
    throwIfAborted(call.signal);
    const lister = new Lister(this.#directories, this.location, { prefix, after: '', signal: call.signal });
    return this.#guard(prefix, () => lister.prefixes(prefix));
  }

  async remove(key: string, _versionId: string, call: Call = {}): Promise<void> {
    this.#check(key);
    throwIfAborted(call.signal);
    const { directory, name } = splitKey(key);
    await this.#guard(key, () =>
      unlessAbsent(
        this.#directories.in(directory, async (path) => {
          await unlink(join(path, name));
          await syncDirectory(path);
        }),
      ),
    );
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

  close(): Promise<void> {
    return this.#directories.close();
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
    publishing: (written: Written, path: string, what: string) => Promise<boolean>,
  ): Promise<boolean> {
    this.#check(key);
    throwIfAborted(signal);
    const { directory } = splitKey(key);
    return this.#guard(key, async () => {
      for (let attempt = 0; ; attempt++) {
        try {
          await this.#directories.ensure(temporaryName);
          await this.#directories.ensure(directory);
          await this.#sweep();
          return await this.#writeOnce(key, bytes, signal, publishing);
        } catch (error) {
          // Somebody removed a directory that was there before: make it again, once.
          if (errorCode(error) !== 'ENOENT' || attempt > 0) throw error;
          this.#directories.forgetDurable();
        }
      }
    });
  }

  #writeOnce(
    key: string,
    bytes: Uint8Array,
    signal: AbortSignal | undefined,
    publishing: (written: Written, path: string, what: string) => Promise<boolean>,
  ): Promise<boolean> {
    const { directory, name } = splitKey(key);
    return this.#directories.in(temporaryName, (temporaries) =>
      writeTemporary(join(temporaries, newTemporaryName()), bytes, signal, (written) =>
        // Looked for only now: while a pack was written, its directory may have been put elsewhere.
        this.#directories.in(directory, async (path) => {
          const isNew = await publishing(written, join(path, name), `${key} in ${this.location}`);
          await syncDirectory(path);
          return isNew;
        }),
      ),
    );
  }

  /** Removes what crashes have left, once. */
  async #sweep(): Promise<void> {
    if (this.#isSwept) return;
    this.#isSwept = true;
    await this.#directories.in(temporaryName, sweep);
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
