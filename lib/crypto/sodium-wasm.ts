// libsodium as WebAssembly: the one that is always there. The only importer of the library. A password it leaves to Node where
// Node can do it.

import { nodeArgon2 } from './argon2.js';
import { passwordKey_bytes, type Sodium } from './sodium-types.js';

export async function loadWasmSodium(): Promise<Sodium> {
  const { default: library } = await import('libsodium-wrappers-sumo');
  await library.ready;
  return {
    name: 'wasm',
    subkey: (id, context, secret) => library.crypto_kdf_derive_from_key(32, id, context, secret),
    seal: (key, nonce, associated, plain) =>
      library.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, associated, null, nonce, key),
    open: (key, nonce, associated, sealed) => {
      try {
        return library.crypto_aead_xchacha20poly1305_ietf_decrypt(null, sealed, associated, nonce, key);
      } catch {
        return undefined;
      }
    },
    passwordKey:
      nodeArgon2() ??
      ((password, salt, { ops, memory_bytes }) =>
        library.crypto_pwhash(
          passwordKey_bytes,
          password,
          salt,
          ops,
          memory_bytes,
          library.crypto_pwhash_ALG_ARGON2ID13,
        )),
  };
}
