// Hashes, keyed hashes and randomness, from node:crypto. Knows no key by name.

import { createHash, createHmac, randomFillSync, timingSafeEqual } from 'node:crypto';

/** `size` bytes from the operating system's generator. */
export function randomBytes(size: number): Buffer {
  return randomFillSync(stillMemory(size));
}

/** For secrets: the engine keeps small buffers in its heap and leaves copies behind when it moves them, this not. Zeros. */
export function stillMemory(size: number): Buffer<ArrayBuffer> {
  return Buffer.from(new ArrayBuffer(size));
}

/** 32 bytes. */
export function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

/** 32 bytes. */
export function hmacSha256(key: Uint8Array, bytes: Uint8Array): Buffer {
  return createHmac('sha256', key).update(bytes).digest();
}

/** Compares secrets in a time that does not depend on where they differ. */
export function equalSecrets(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** Overwrites a secret that is no longer needed. Best effort: the engine may have made copies. */
export function wipe(secret: Uint8Array): void {
  secret.fill(0);
}
