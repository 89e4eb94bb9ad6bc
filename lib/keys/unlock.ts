// From a password and the key slots that a store holds to the repository secret. Never keeps either.

import { WorkerPool } from '../workers/pool.js';

export interface StoredSlot {
  /** The object's key, keys/<slot>. */
  readonly key: string;
  readonly bytes: Uint8Array;
}

export interface UnlockOptions {
  /** Several versions of one slot may be among them. */
  readonly slots: readonly StoredSlot[];
  readonly password: string;
  readonly repositoryId: string;
}

/**
 * The repository secret (32 bytes; the caller wipes it when the keys are derived) and the id of the slot that gave it.
 * Errors: 'keys.wrong_password'; 'keys.none' if there is no slot at all; and where no slot is even readable, what is
 * wrong with the first of them. Works in a thread of its own, which leaves the caller's free and gives its memory back.
 */
export async function unlock(options: UnlockOptions): Promise<{ secret: Buffer; slot: string }> {
  const script = new URL('./unlock-worker.js', import.meta.url);
  const pool = new WorkerPool<UnlockOptions, { secret: Uint8Array; slot: string }>({ script, size: 1 });
  try {
    const { secret, slot } = await pool.run(options);
    return { secret: Buffer.from(secret.buffer, secret.byteOffset, secret.byteLength), slot };
  } finally {
    void pool.close();
  }
}
