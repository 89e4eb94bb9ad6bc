// The passwords of a repository on its store: read, add, list and remove key slots. All stored versions of a slot are read,
// because an overwritten or delete-marked one still opens; removing a password removes them all.

import { cryptoReady } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import type { Call, ObjectStore, StoredObject } from '../store/types.js';
import { maximumJson_bytes } from './json.js';
import { createSlot, parseSlot, slotIdPattern } from './slots.js';
import type { KeySlot, NewSlot } from './slots.js';
import type { StoredSlot, StoredSlots } from './unlock.js';

const prefix = 'keys/';
const noSlotCodes = new Set(['store.missing', 'store.too_large']);

/**
 * A bound for stores where somebody has written many: the oldest by the store's clock, which an attacker comes after, and a few
 * of the newest, so that a password that is added now, with an exported key, opens at least once: then this machine knows it.
 */
const maximumSlots = 256;
const newestSlots = 32;

export interface Password {
  readonly slot: string;
  readonly name: string;
  /** ISO 8601, UTC. */
  readonly created: string;
}

export interface Passwords {
  readonly passwords: readonly Password[];
  /** Object keys under keys/ that hold no slot of this repository. */
  readonly unreadable: readonly string[];
  /** Further objects there, of which nothing is said: more than any repository has. */
  readonly unread: number;
}

/** What an Unlocker wants: every stored version of every slot, unless there are far too many. */
export async function readSlots(store: ObjectStore, call: Call = {}): Promise<StoredSlots> {
  const read = async ({ key, versionId }: StoredObject): Promise<StoredSlot[]> => {
    try {
      const bytes = await store.get(key, { ...call, versionId, most_bytes: maximumJson_bytes });
      return [{ key, versionId, bytes }];
    } catch (error) {
      // Somebody removed it since it was listed, or the listing lied.
      if (!(error instanceof RrbackupError) || !noSlotCodes.has(error.code)) throw error;
      return [];
    }
  };
  const { objects, unread } = await listSlots(store, call);
  return { slots: (await Promise.all(objects.map(read))).flat(), unread };
}

/** Makes a slot for one more password and stores it. Takes about 0.2 s. */
export async function addPassword(
  store: ObjectStore,
  options: NewSlot,
  call: Call = {},
): Promise<{ slot: string }> {
  await cryptoReady();
  const { id, bytes } = createSlot(options);
  await store.create(`${prefix}${id}`, bytes, call);
  return { slot: id };
}

/** Who may open the repository, oldest first. No password is needed, so nothing here is authentic: for people to read. */
export async function listPasswords(
  store: ObjectStore,
  repositoryId: string,
  call: Call = {},
): Promise<Passwords> {
  const found = new Map<string, KeySlot>();
  const unreadable = new Set<string>();
  const { slots, unread } = await readSlots(store, call);
  for (const { key, bytes } of slots) {
    const slot = parseOwn(key, bytes, repositoryId);
    if (slot !== undefined) found.set(key, slot);
    else unreadable.add(key);
  }
  const passwords = [...found.values()].map(({ slot, name, created }) => ({ slot, name, created }));
  return {
    passwords: passwords.sort((a, b) => (a.created < b.created ? -1 : a.created > b.created ? 1 : 0)),
    unreadable: [...unreadable].filter((key) => !found.has(key)),
    unread,
  };
}

export interface RemoveOptions {
  /** 16 hex digits. */
  readonly slot: string;
  readonly repositoryId: string;
}

/**
 * Takes a password away: every stored version of its slot. Whoever has used it may have kept the repository secret; this
 * keeps others from guessing it. Errors: 'keys.no_such_password', 'keys.last_password'.
 */
export async function removePassword(
  store: ObjectStore,
  options: RemoveOptions,
  call: Call = {},
): Promise<void> {
  const key = `${prefix}${options.slot}`;
  const versions: StoredObject[] = [];
  if (slotIdPattern.test(options.slot))
    for await (const object of store.list(key, call)) if (object.key === key) versions.push(object);
  if (versions.length === 0)
    throw new RrbackupError({
      code: 'keys.no_such_password',
      kind: 'not_found',
      message: `the repository has no password slot ${options.slot}`,
      guidance: 'rrbackup key list shows those it has',
    });
  const { passwords } = await listPasswords(store, options.repositoryId, call);
  if (!passwords.some(({ slot }) => slot !== options.slot))
    throw new RrbackupError({
      code: 'keys.last_password',
      kind: 'usage',
      message: 'this is the only password: without it nobody could ever read the repository again',
      guidance: 'add another one first with rrbackup key add',
    });
  for (const { versionId } of versions) await store.remove(key, versionId, call);
}

function parseOwn(key: string, bytes: Uint8Array, repositoryId: string): KeySlot | undefined {
  try {
    const slot = parseSlot(bytes, repositoryId);
    return key === `${prefix}${slot.slot}` ? slot : undefined;
  } catch (error) {
    if (error instanceof RrbackupError) return undefined;
    throw error;
  }
}

async function listSlots(
  store: ObjectStore,
  call: Call,
): Promise<{ objects: StoredObject[]; unread: number }> {
  let objects: StoredObject[] = [];
  let count = 0;
  for await (const object of store.list(prefix, call)) {
    if (object.size_bytes > maximumJson_bytes) continue;
    count++;
    objects.push(object);
    if (objects.length === 2 * maximumSlots) objects = chosenOf(objects);
  }
  objects = chosenOf(objects);
  return { objects, unread: count - objects.length };
}

/** By the store's clock. */
function chosenOf(objects: StoredObject[]): StoredObject[] {
  if (objects.length <= maximumSlots) return objects;
  objects.sort((a, b) => a.modified_ms - b.modified_ms);
  return [...objects.slice(0, maximumSlots - newestSlots), ...objects.slice(-newestSlots)];
}
