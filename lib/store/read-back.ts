// What stands at a key after a plain put, where the store cannot create conditionally: another writer may have put there at the
// same moment. Bytes decide; neither a clock nor the order of a listing does.

import { RrbackupError } from '../errors/index.js';
import { tooManyListed } from './failures.js';
import { type Call, isExactVersion, mostVersions, type ObjectStore, type StoredObject } from './types.js';

/** Every stored version of the object. Throws 'store.too_many'. */
export async function versionsOf(store: ObjectStore, key: string, call: Call = {}): Promise<StoredObject[]> {
  const versions: StoredObject[] = [];
  for await (const object of store.list(key, call)) {
    if (object.key !== key) continue;
    if (versions.length === mostVersions) throw tooManyListed(store.location, key, mostVersions);
    versions.push(object);
  }
  return versions;
}

/**
 * Those of the versions that hold these bytes, and those that hold others: a put that was repeated after a lost answer leaves two
 * of ours. Undefined where one is gone since they were listed: much may have happened, and they are to be listed again.
 */
export async function tellOurs(
  store: ObjectStore,
  versions: readonly StoredObject[],
  put: { readonly bytes: Uint8Array; readonly versionId: string },
  call: Call = {},
): Promise<{ ours: StoredObject[]; others: StoredObject[] } | undefined> {
  const ours: StoredObject[] = [];
  const others: StoredObject[] = [];
  for (const version of versions) {
    const isOurs =
      (isExactVersion(put.versionId) && version.versionId === put.versionId) ||
      (await holds(store, version, put.bytes, call));
    if (isOurs === undefined) return undefined;
    (isOurs ? ours : others).push(version);
  }
  return { ours, others };
}

/** Undefined: it is gone. */
async function holds(
  store: ObjectStore,
  { key, versionId, size_bytes }: StoredObject,
  bytes: Uint8Array,
  call: Call,
): Promise<boolean | undefined> {
  if (size_bytes !== bytes.length) return false;
  try {
    return (await store.get(key, { ...call, versionId, most_bytes: bytes.length })).equals(bytes);
  } catch (error) {
    if (!(error instanceof RrbackupError)) throw error;
    if (error.code === 'store.too_large') return false;
    if (error.code === 'store.missing') return undefined;
    throw error;
  }
}
