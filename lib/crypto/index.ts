// The room's door: make, wrap and derive keys; seal and open; hash. No other room imports libsodium or node:crypto.

export { tag_bytes } from './aead.js';
export { equalSecrets, hmacSha256, randomBytes, sha256, stillMemory, wipe } from './hash.js';
export { chunkId, deriveKeys, expandGear, publicSecret, secret_bytes, streamId, wipeKeys } from './keys.js';
export type { RepositoryKeys } from './keys.js';
export { newObjectKey, objectHeader_bytes, open, openObjectHeader, seal } from './object.js';
export type { ObjectKey } from './object.js';
export { cryptoReady } from './sodium.js';
export { passwordKey, salt_bytes, unwrap, wrap } from './wrap.js';
export type { PasswordCost } from './wrap.js';
