// Keys wrapped under keys, and keys made from passwords: libsodium's XChaCha20-Poly1305 (nonces of 24 bytes, so random ones
// never meet) and Argon2id. For a few hundred bytes; the bulk goes through aead.ts.

import { randomBytes, wipe } from './hash.js';
import { sodium } from './sodium.js';
import type { PasswordCost } from './sodium-types.js';

export { type PasswordCost, salt_bytes } from './sodium-types.js';

const nonce_bytes = 24;
const wrapTag_bytes = 16;

/** nonce 24 ‖ ciphertext ‖ tag 16 under a 32-byte key. Needs cryptoReady. */
export function wrap(key: Uint8Array, associated: Uint8Array, plain: Uint8Array): Buffer {
  const nonce = randomBytes(nonce_bytes);
  const ciphertext = sodium().seal(key, nonce, associated, plain);
  return Buffer.concat([nonce, ciphertext]);
}

/** What `wrap` wrapped, in memory of its own; undefined where key, associated data or bytes do not fit. Needs cryptoReady. */
export function unwrap(key: Uint8Array, associated: Uint8Array, wrapped: Uint8Array): Buffer | undefined {
  if (wrapped.length < nonce_bytes + wrapTag_bytes) return undefined;
  const plain = sodium().open(
    key,
    wrapped.subarray(0, nonce_bytes),
    associated,
    wrapped.subarray(nonce_bytes),
  );
  return plain && Buffer.from(plain.buffer, plain.byteOffset, plain.byteLength);
}

/**
 * Argon2id version 1.3, one lane: 32 bytes from a password's UTF-8 and a 16-byte salt. The caller has checked the cost,
 * which is allocated as given. Wipes `password`. Needs cryptoReady.
 */
export function passwordKey(password: Uint8Array, salt: Uint8Array, cost: PasswordCost): Uint8Array {
  try {
    return sodium().passwordKey(password, salt, cost);
  } finally {
    wipe(password);
  }
}
