// A repository to test with. Slots at the floor of what is accepted, because Argon2id is slow on purpose.

import { cryptoReady, deriveKeys } from '../../lib/crypto/index.js';
import { createSlot } from '../../lib/keys/slots.js';

await cryptoReady();

export const repositoryId = '0123456789abcdef0123456789abcdef';
export const otherId = 'fedcba9876543210fedcba9876543210';
export const secret = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
export const keys = deriveKeys(secret);
export const created = '2026-11-21T03:00:00Z';
export const cheap = { ops: 1, memory_bytes: 32 * 1024 * 1024 };

export const slotFor = (password: string, id = repositoryId) =>
  createSlot({ secret, password, repositoryId: id, name: 'user@host', created, kdf: cheap });

/** The JSON with some fields replaced; undefined removes one. */
export function altered(bytes: Uint8Array, changes: Record<string, unknown>): Buffer {
  return Buffer.from(JSON.stringify({ ...JSON.parse(Buffer.from(bytes).toString()), ...changes }));
}
