// Gets exactly the version of an object that a commit names, with a way out for stores that were copied: version ids do not
// survive a copy, names do. What it returns is not yet known to be right; every caller verifies.

import { RrbackupError } from '../errors/index.js';
import type { ByteRange, ObjectStore } from '../store/types.js';

export interface FetchOptions {
  /** '' on a store without versions. */
  readonly versionId: string;
  readonly range?: ByteRange;
  readonly signal?: AbortSignal | undefined;
}

/** The bytes of the version named or, where that version does not exist, of the newest. Errors as ObjectStore.get. */
export async function fetchExact(store: ObjectStore, key: string, options: FetchOptions): Promise<Buffer> {
  const { versionId, range, signal } = options;
  const call = { ...(range === undefined ? {} : { range }), ...(signal === undefined ? {} : { signal }) };
  if (versionId === '') return store.get(key, call);
  try {
    return await store.get(key, { ...call, versionId });
  } catch (error) {
    if (!isCode(error, 'store.missing')) throw error;
    try {
      return await store.get(key, call);
    } catch (second) {
      // Something else stands there now; what matters is that the version named is gone.
      throw isCode(second, 'store.short_body') ? error : second;
    }
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof RrbackupError && error.code === code;
}
