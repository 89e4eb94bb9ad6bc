// What this room wants of libsodium, whichever way it was built.

export interface PasswordCost {
  /** Passes over the memory. */
  readonly ops: number;
  readonly memory_bytes: number;
}

export const passwordKey_bytes = 32;
export const salt_bytes = 16;

export interface Sodium {
  readonly name: 'system' | 'wasm';
  /** crypto_kdf: 32 bytes. `context` has eight characters, `secret` 32 bytes. */
  subkey(id: number, context: string, secret: Uint8Array): Uint8Array;
  /** XChaCha20-Poly1305 (IETF): ciphertext ‖ tag. */
  seal(key: Uint8Array, nonce: Uint8Array, associated: Uint8Array, plain: Uint8Array): Uint8Array;
  /** In memory of its own; undefined where something does not fit. `sealed` has 16 bytes or more. */
  open(
    key: Uint8Array,
    nonce: Uint8Array,
    associated: Uint8Array,
    sealed: Uint8Array,
  ): Uint8Array | undefined;
  /** Argon2id version 1.3, one lane: 32 bytes. The cost is allocated as given. */
  passwordKey(password: Uint8Array, salt: Uint8Array, cost: PasswordCost): Uint8Array;
}
