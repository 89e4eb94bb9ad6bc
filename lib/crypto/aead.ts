// ChaCha20-Poly1305 (IETF, RFC 8439) through Node's OpenSSL: the bulk of the bytes. The same bytes as libsodium's
// crypto_aead_chacha20poly1305_ietf, which a test proves both ways. Chooses no nonce; its callers do.

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { openssl } from './openssl.js';

export const tag_bytes = 16;

const algorithm = 'chacha20-poly1305';
const options = { authTagLength: tag_bytes };

/** Large memory taken anew costs more than the work on it: with room to write to, this much is done at a time. */
const step_bytes = 64 * 1024;

/**
 * Ciphertext‖tag, 16 bytes longer than `plain`: new memory, or the beginning of `room` if that is given, which must be large
 * enough. `key` has 32 bytes, `nonce` 12 and is used once under that key.
 */
export function aeadSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  associated: Uint8Array,
  plain: Uint8Array,
  room?: Buffer,
): Buffer {
  const sealed_bytes = plain.length + tag_bytes;
  if (room !== undefined && room.length < sealed_bytes) throw new RangeError('too little room to seal into');
  const fast = openssl();
  if (fast !== undefined) {
    const sealed = room?.subarray(0, sealed_bytes) ?? Buffer.allocUnsafe(sealed_bytes);
    fast.cipher.seal(key, nonce, associated, plain, sealed);
    return sealed;
  }
  const cipher = createCipheriv(algorithm, key, nonce, options);
  cipher.setAAD(associated, { plaintextLength: plain.length });
  if (room === undefined) {
    const ciphertext = cipher.update(plain);
    cipher.final();
    return Buffer.concat([ciphertext, cipher.getAuthTag()], sealed_bytes);
  }
  for (let at = 0; at < plain.length; at += step_bytes)
    room.set(cipher.update(plain.subarray(at, Math.min(at + step_bytes, plain.length))), at);
  cipher.final();
  room.set(cipher.getAuthTag(), plain.length);
  return room.subarray(0, sealed_bytes);
}

/**
 * The plain bytes, or undefined where anything at all does not fit: key, nonce, associated data, ciphertext or tag. They are
 * new memory, or the beginning of `room` if that is given and large enough; then the rest of it stays as it is.
 */
export function aeadOpen(
  key: Uint8Array,
  nonce: Uint8Array,
  associated: Uint8Array,
  sealed: Uint8Array,
  room?: Buffer,
): Buffer | undefined {
  const plain_bytes = sealed.length - tag_bytes;
  if (plain_bytes < 0) return undefined;
  const fast = openssl();
  if (fast !== undefined) {
    const isRoomy = room !== undefined && room.length >= plain_bytes;
    const opened = isRoomy ? room.subarray(0, plain_bytes) : Buffer.allocUnsafe(plain_bytes);
    return fast.cipher.open(key, nonce, associated, sealed, opened) ? opened : undefined;
  }
  const decipher = createDecipheriv(algorithm, key, nonce, options);
  decipher.setAAD(associated, { plaintextLength: plain_bytes });
  decipher.setAuthTag(sealed.subarray(plain_bytes));
  let plain: Buffer;
  if (room === undefined || room.length < plain_bytes)
    plain = decipher.update(sealed.subarray(0, plain_bytes));
  else {
    plain = room.subarray(0, plain_bytes);
    for (let at = 0; at < plain_bytes; at += step_bytes)
      decipher.update(sealed.subarray(at, Math.min(at + step_bytes, plain_bytes))).copy(plain, at);
  }
  try {
    decipher.final();
  } catch {
    plain.fill(0);
    return undefined;
  }
  return plain;
}
