// From a password and the key slots that a store holds to the repository secret. Never keeps either.

import { RrbackupError } from '../errors/index.js';
import { type Call, isExactVersion, type ObjectStore } from '../store/types.js';
import { WorkerPool } from '../workers/pool.js';

export interface StoredSlot {
  /** The object's key, keys/<slot>. */
  readonly key: string;
  readonly versionId: string;
  readonly bytes: Uint8Array;
}

/** Of all that lie under keys/, those that are worth a try. */
export interface StoredSlots {
  /** Several versions of one slot may be among them. */
  readonly slots: readonly StoredSlot[];
  /** How many more there are: no repository of ours has so many, so somebody has put them there. */
  readonly unread: number;
}

export interface UnlockOptions extends StoredSlots {
  readonly password: string;
  readonly repositoryId: string;
}

/** What the thread answers: the secret, and the place in `slots` of the one that gave it. */
export interface Unlocked {
  readonly secret: Uint8Array;
  readonly index: number;
}

/**
 * A thread that tries a password on key slots: it leaves the caller's free, and its memory is given back. Made ahead, it is up
 * by the time a password is there. Close it when done.
 */
export class Unlocker {
  readonly #pool = new WorkerPool<UnlockOptions, Unlocked>({
    script: new URL('./unlock-worker.js', import.meta.url),
    size: 1,
  });

  /**
   * The repository secret (32 bytes; the caller wipes it when the keys are derived) and the slot that gave it. Errors:
   * 'keys.wrong_password'; 'keys.flood' if there are more slots than can be tried; 'keys.none' if there is no slot at all; and where no slot is even readable, what is wrong with
   * the first of them.
   */
  async unlock(options: UnlockOptions): Promise<{ secret: Buffer; slot: StoredSlot }> {
    const { secret, index } = await this.#pool.run(options);
    return {
      secret: Buffer.from(secret.buffer, secret.byteOffset, secret.byteLength),
      slot: options.slots[index]!,
    };
  }

  /** Ends the thread at once. */
  async close(): Promise<void> {
    await this.#pool.abort();
  }
}

/** Whether the store still holds this very slot. One request, two where its bytes may have been overwritten. */
export async function isStored(store: ObjectStore, slot: StoredSlot, call: Call = {}): Promise<boolean> {
  for await (const { key, versionId } of store.list(slot.key, call)) {
    if (key !== slot.key || versionId !== slot.versionId) continue;
    if (isExactVersion(versionId)) return true;
    try {
      return (await store.get(key, { ...call, most_bytes: slot.bytes.length })).equals(slot.bytes);
    } catch (error) {
      const isOther =
        error instanceof RrbackupError && ['store.missing', 'store.too_large'].includes(error.code);
      if (!isOther) throw error;
    }
  }
  return false;
}
