// What the store lists: every version of every object under the repository's prefix, with its size. Taken before the history
// is read; what a backup has stored since is asked for one by one. Never reads an object.

import { RrbackupError } from '../errors/index.js';
import { parsePackKey } from '../pack/index.js';
import type { PackName } from '../pack/types.js';
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

type Version = Pick<StoredObject, 'versionId' | 'size_bytes'>;

/** There are many: nearly all have one version, which needs no list. */
interface Listed extends Version {
  further: Version[] | undefined;
  isNeeded: boolean;
}

const progressStep = 1000;
/** Of objects besides the packs that this machine knows: what a store lists is kept in memory. */
const mostUnknown = 200_000;

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

  /** `isKnown`: a pack that the catalog of this machine has. Nothing depends on it but how many others are kept. */
  static async take(store: ObjectStore, run: Run, isKnown: (pack: PackName) => boolean): Promise<Inventory> {
    const inventory = new Inventory(store, run);
    let count = 0;
    let unknown = 0;
    for await (const { key, versionId, size_bytes } of store.list('', callOf(run))) {
      const pack = parsePackKey(key);
      const known = inventory.#objects.get(key);
      if ((known !== undefined || pack === undefined || !isKnown(pack)) && ++unknown > mostUnknown)
        throw tooManyUnknown(store.location);
      if (known !== undefined) (known.further ??= []).push({ versionId, size_bytes });
      else inventory.#objects.set(key, { versionId, size_bytes, further: undefined, isNeeded: false });
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
    const exact = listed && versionsOf(listed).find((version) => version.versionId === versionId);
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
    for (const [key, listed] of this.#objects)
      if (!listed.isNeeded)
        yield { key, size_bytes: versionsOf(listed).reduce((sum, { size_bytes }) => sum + size_bytes, 0) };
  }

  /** Versions of objects that are needed, beside the one that is. */
  get furtherVersions(): number {
    let count = 0;
    for (const { further, isNeeded } of this.#objects.values()) if (isNeeded) count += further?.length ?? 0;
    return count;
  }
}

function versionsOf(listed: Listed): Version[] {
  return [listed, ...(listed.further ?? [])];
}

function tooManyUnknown(location: string): RrbackupError {
  return new RrbackupError({
    code: 'store.too_many',
    kind: 'store',
    message: `${location} lists more than ${mostUnknown} objects that this machine does not know, or does not end its listing`,
    guidance:
      'run "rrbackup versions", which learns what belongs to the repository, then check again; otherwise look with another tool at what is stored there',
  });
}

function compared(stored_bytes: number, named_bytes: number, isOther: boolean): Look {
  const state = stored_bytes === named_bytes ? 'there' : stored_bytes < named_bytes ? 'shorter' : 'longer';
  return { state, stored_bytes, isOther };
}

/** What of a run a store wants. */
export function callOf({ signal }: Run): { readonly signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
