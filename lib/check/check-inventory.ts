// What the store lists: every version of every object under the repository's prefix, with its size. Taken before the history
// is read; what a backup has stored since is asked for one by one. Never reads an object.

import type { ObjectStore, StoredObject } from '../store/types.js';
import type { Run } from '../progress.js';

/** One object as something that must be there names it. */
export interface Named {
  readonly key: string;
  readonly versionId: string;
  readonly size_bytes: number;
}

export interface Look {
  readonly state: 'there' | 'missing' | 'shorter' | 'longer';
  /** 0 where it is missing. */
  readonly stored_bytes: number;
  /** Not under the version id that was named: the newest of its name serves, as in a store that was copied. */
  readonly isOther: boolean;
}

interface Listed {
  readonly versions: Pick<StoredObject, 'versionId' | 'size_bytes'>[];
  isNeeded: boolean;
}

const progressStep = 1000;

export class Inventory {
  readonly #store: ObjectStore;
  readonly #run: Run;
  readonly #objects = new Map<string, Listed>();
  /** Objects that are not under the version id that was named for them. */
  others = 0;

  private constructor(store: ObjectStore, run: Run) {
    this.#store = store;
    this.#run = run;
  }

  static async take(store: ObjectStore, run: Run): Promise<Inventory> {
    const inventory = new Inventory(store, run);
    let count = 0;
    for await (const { key, versionId, size_bytes } of store.list('', callOf(run))) {
      const known = inventory.#objects.get(key);
      if (known !== undefined) known.versions.push({ versionId, size_bytes });
      else inventory.#objects.set(key, { versions: [{ versionId, size_bytes }], isNeeded: false });
      if (++count % progressStep === 0)
        run.onProgress?.({
          phase: 'verify',
          files_done: 0,
          bytes_done: 0,
          current: `${count} objects listed`,
        });
    }
    return inventory;
  }

  /** How an object that must be there is stored. It counts as needed from now on. */
  async look(named: Named): Promise<Look> {
    const { key, versionId, size_bytes } = named;
    const listed = this.#objects.get(key);
    if (listed !== undefined) listed.isNeeded = true;
    const exact = listed?.versions.find((version) => version.versionId === versionId);
    if (exact !== undefined) return compared(exact.size_bytes, size_bytes, false);
    // A backup may have stored it since; and of a key with other versions the newest serves, which only the store knows.
    const call = callOf(this.#run);
    const since = listed === undefined ? await this.#store.stat(key, { ...call, versionId }) : undefined;
    const stored = since ?? (await this.#store.stat(key, call));
    if (stored === undefined) return { state: 'missing', stored_bytes: 0, isOther: false };
    const isOther = stored.versionId !== versionId;
    if (isOther) this.others++;
    return compared(stored.size_bytes, size_bytes, isOther);
  }

  /** Of no consequence where it is; it is told among what nobody needs otherwise. */
  markNeeded(key: string): void {
    const listed = this.#objects.get(key);
    if (listed !== undefined) listed.isNeeded = true;
  }

  has(key: string): boolean {
    return this.#objects.has(key);
  }

  *keys(prefix: string): Generator<string, void, undefined> {
    for (const key of this.#objects.keys()) if (key.startsWith(prefix)) yield key;
  }

  /** Every key that nothing needs, with what its versions weigh together. */
  *unneeded(): Generator<{ key: string; size_bytes: number }, void, undefined> {
    for (const [key, { versions, isNeeded }] of this.#objects)
      if (!isNeeded) yield { key, size_bytes: versions.reduce((sum, { size_bytes }) => sum + size_bytes, 0) };
  }

  /** Versions of objects that are needed, beside the one that is. */
  get furtherVersions(): number {
    let count = 0;
    for (const { versions, isNeeded } of this.#objects.values())
      if (isNeeded && versions.length > 1) count += versions.length - 1;
    return count;
  }
}

function compared(stored_bytes: number, named_bytes: number, isOther: boolean): Look {
  const state = stored_bytes === named_bytes ? 'there' : stored_bytes < named_bytes ? 'shorter' : 'longer';
  return { state, stored_bytes, isOther };
}

/** What of a run a store wants. */
export function callOf({ signal }: Run): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
