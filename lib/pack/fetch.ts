// Gets exactly the version of an object that a commit names, with a way out for stores that were copied: version ids do not
// survive a copy, names do. What it returns is not yet known to be right; every caller verifies.

import { damaged, RrbackupError } from '../errors/index.js';
import type { ByteRange, ObjectStore } from '../store/types.js';

export interface FetchOptions {
  /** '' on a store without versions. */
  readonly versionId: string;
  readonly range?: ByteRange;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The bytes of the version named or, where that version does not exist, of the newest. Errors as ObjectStore.get; a range that
 * lies behind the end of what is stored is 'store.truncated' (kind damaged), no matter for a retry.
 */
export async function fetchExact(store: ObjectStore, key: string, options: FetchOptions): Promise<Buffer> {
  try {
    return await fetchVersion(store, key, options);
  } catch (error) {
    if (isCode(error, 'store.short_body')) await throwIfTruncated(store, key, options);
    throw error;
  }
}

async function fetchVersion(store: ObjectStore, key: string, options: FetchOptions): Promise<Buffer> {
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
      throw isCode(second, 'store.short_body') || isCode(second, 'store.truncated') ? error : second;
    }
  }
}

async function throwIfTruncated(store: ObjectStore, key: string, options: FetchOptions): Promise<void> {
  const { versionId, range, signal } = options;
  const call = { ...(versionId === '' ? {} : { versionId }), ...(signal === undefined ? {} : { signal }) };
  const stored = await store.stat(key, call);
  if (stored === undefined || range === undefined || stored.size_bytes >= range.offset + range.length) return;
  throw damaged('store.truncated', `${key} ends after ${stored.size_bytes} bytes`);
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof RrbackupError && error.code === code;
}
