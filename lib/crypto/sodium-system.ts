// The system's own libsodium, by way of koffi: it uses what the processor has, and WebAssembly does not. Used only where it
// gives the bytes that it has to give. One thread's own.

import koffi from 'koffi';
import { RrbackupError } from '../errors/index.js';
import { stillMemory } from './hash.js';
import { known } from './known.js';
import { passwordKey_bytes, salt_bytes, type Sodium } from './sodium-types.js';

/** The functions below are the same in both. */
const libraryNames =
  process.platform === 'darwin' ? ['libsodium.dylib'] : ['libsodium.so.26', 'libsodium.so.23'];

/** crypto_pwhash_ALG_ARGON2ID13 of <sodium/crypto_pwhash.h>. */
const argon2id13 = 2;
const subkey_bytes = 32;
const tag_bytes = 16;
const lengths = { key: 32, nonce: 24, salt: salt_bytes, context: 8 } as const;

function openLibrary(): ReturnType<typeof koffi.load> | undefined {
  for (const name of libraryNames) {
    try {
      return koffi.load(name);
    } catch {
      // Not on this machine.
    }
  }
  return undefined;
}

/** What C reads without asking how long it is. */
function expectLengths(given: Partial<Record<keyof typeof lengths, Uint8Array>>): void {
  for (const [what, bytes] of Object.entries(given))
    if (bytes.length !== lengths[what as keyof typeof lengths])
      throw new RangeError(`${bytes.length} bytes are not the length of a ${what}`);
}

function bind(library: ReturnType<typeof koffi.load>): Sodium {
  const initialize = library.func('int sodium_init()');
  const derive = library.func(
    'int crypto_kdf_derive_from_key(void *into, size_t size, uint64_t id, const void *context, const void *key)',
  );
  const encrypt = library.func(
    'int crypto_aead_xchacha20poly1305_ietf_encrypt(void *into, void *size, const void *plain, uint64_t length, ' +
      'const void *associated, uint64_t associated_length, void *none, const void *nonce, const void *key)',
  );
  const decrypt = library.func(
    'int crypto_aead_xchacha20poly1305_ietf_decrypt(void *into, void *size, void *none, const void *sealed, uint64_t length, ' +
      'const void *associated, uint64_t associated_length, const void *nonce, const void *key)',
  );
  const hashPassword = library.func(
    'int crypto_pwhash(void *into, uint64_t size, const void *password, uint64_t length, const void *salt, ' +
      'uint64_t ops, size_t memory, int algorithm)',
  );
  const nobodys = { key: Buffer.allocUnsafeSlow(passwordKey_bytes), password: Buffer.from('nobody') };
  // 1: another thread was first.
  if (initialize() < 0) throw new Error('libsodium refuses');
  return {
    name: 'system',
    subkey: (id, contextText, secret) => {
      const context = Buffer.from(contextText);
      expectLengths({ context, key: secret });
      const key = stillMemory(subkey_bytes);
      if (derive(key, key.length, id, context, secret) !== 0) throw new Error('libsodium refuses');
      return key;
    },
    seal: (key, nonce, associated, plain) => {
      expectLengths({ key, nonce });
      const sealed = Buffer.allocUnsafeSlow(plain.length + tag_bytes);
      const { length } = plain;
      if (encrypt(sealed, null, plain, length, associated, associated.length, null, nonce, key) !== 0)
        throw new Error('libsodium refuses');
      return sealed;
    },
    open: (key, nonce, associated, sealed) => {
      expectLengths({ key, nonce });
      const plain = stillMemory(sealed.length - tag_bytes);
      const { length } = sealed;
      const status = decrypt(plain, null, null, sealed, length, associated, associated.length, nonce, key);
      return status === 0 ? plain : undefined;
    },
    passwordKey: (password, salt, { ops, memory_bytes }) => {
      expectLengths({ salt });
      const key = stillMemory(passwordKey_bytes);
      const { length } = password;
      const status = hashPassword(key, key.length, password, length, salt, ops, memory_bytes, argon2id13);
      // It leaves what it made on the stack: the least work of the same kind writes over that.
      hashPassword(
        nobodys.key,
        nobodys.key.length,
        nobodys.password,
        nobodys.password.length,
        salt,
        1,
        8192,
        argon2id13,
      );
      if (status !== 0)
        throw new RrbackupError({
          code: 'crypto.memory',
          kind: 'failure',
          message: `there is no room in memory for ${memory_bytes} bytes, which a password's work takes`,
          guidance: 'end other programs, or raise the limit on memory that this one runs under',
        });
      return key;
    },
  };
}

/** Undefined where there is none that can be used. */
export function loadSystemSodium(): Sodium | undefined {
  const library = openLibrary();
  if (library === undefined) return undefined;
  try {
    const sodium = bind(library);
    const isRight =
      known.isSubkey(sodium.subkey) &&
      known.isSealed(sodium.seal) &&
      known.isOpened(sodium.open) &&
      known.isPasswordKey(sodium.passwordKey);
    return isRight ? sodium : undefined;
  } catch {
    return undefined;
  }
}
