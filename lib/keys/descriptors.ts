// Every stored version of rrbackup.json: somebody who writes over it, or hides it with a delete marker, does not take it away.
// None of what is read here is authentic before a key has proven it.

import type { Call, ObjectStore, StoredObject } from '../store/types.js';
import { descriptorKey } from './descriptor.js';
import { maximumJson_bytes } from './json.js';

/** A bound for stores where somebody has written many: the oldest by the store's clock, which an attacker comes after. */
const mostVersions = 32;

/** What it holds now and held before, each content once, the oldest first. */
export async function storedDescriptors(store: ObjectStore, call: Call): Promise<Buffer[]> {
  let objects: StoredObject[] = [];
  for await (const object of store.list(descriptorKey, call)) {
    if (object.key === descriptorKey && object.size_bytes <= maximumJson_bytes) objects.push(object);
    if (objects.length === 2 * mostVersions) objects = oldestOf(objects);
  }
  const contents = new Map<string, Buffer>();
  for (const { versionId } of oldestOf(objects)) {
    const bytes = await store.get(descriptorKey, { ...call, versionId });
    contents.set(bytes.toString('latin1'), bytes);
  }
  return [...contents.values()];
}

function oldestOf(objects: StoredObject[]): StoredObject[] {
  return objects.sort((a, b) => a.modified_ms - b.modified_ms).slice(0, mostVersions);
}
