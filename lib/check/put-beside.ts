// Stores objects where something that is damaged may stand. Nothing is lost by it: what stood there stays, as an older version
// or, where the store keeps none, under another name.

import { sha256 } from '../crypto/index.js';
import { isExactVersion, type Call, type ObjectStore } from '../store/types.js';

export async function putBeside(
  store: ObjectStore,
  key: string,
  bytes: Uint8Array,
  call: Call,
): Promise<{ versionId: string }> {
  await keepBeside(store, key, call);
  return store.put(key, bytes, call);
}

/** Before something is stored there. */
export async function keepBeside(store: ObjectStore, key: string, call: Call): Promise<void> {
  const old = await store.stat(key, call);
  if (old === undefined || isExactVersion(old.versionId)) return;
  const content = await store.get(key, call);
  await store.put(`${key}.${sha256(content).toString('hex').slice(0, 16)}`, content, call);
}
