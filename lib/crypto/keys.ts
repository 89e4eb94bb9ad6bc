// From the repository secret to one key per purpose, and what those keys make: chunk ids, stream ids, gear bytes.
// Never stores or prints a key.

import { ByteWriter } from '../bytes/cursor.js';
import { hmacSha256, sha256, wipe } from './hash.js';
import { type KeyedHash, openssl } from './openssl.js';
import { sodium } from './sodium.js';

export const secret_bytes = 32;

/** 32 bytes each. Plain data, so that it may cross to worker threads; never stored. */
export interface RepositoryKeys {
  /** HMAC of plain chunk content. */
  readonly chunkId: Uint8Array;
  /** Where files are cut. */
  readonly gear: Uint8Array;
  /** Wraps the random key of every stored object. */
  readonly wrap: Uint8Array;
  /** HMAC of host and source names. */
  readonly stream: Uint8Array;
  /** HMAC of the repository descriptor. */
  readonly descriptor: Uint8Array;
}

/** crypto_kdf wants eight characters. */
const kdfContext = 'rrbackup';

/** Stored data depends on these numbers: add, never change. */
const subkeyId = { chunkId: 1, gear: 2, wrap: 3, stream: 4, descriptor: 5 } as const;

/** The keys of a repository from its 32-byte secret: libsodium's crypto_kdf (BLAKE2b), one subkey id per purpose. */
export function deriveKeys(secret: Uint8Array): RepositoryKeys {
  if (secret.length !== secret_bytes) throw new RangeError(`a repository secret has ${secret_bytes} bytes`);
  const subkey = (id: number): Uint8Array => sodium().subkey(id, kdfContext, secret);
  const keys = {
    chunkId: subkey(subkeyId.chunkId),
    gear: subkey(subkeyId.gear),
    wrap: subkey(subkeyId.wrap),
    stream: subkey(subkeyId.stream),
    descriptor: subkey(subkeyId.descriptor),
  };
  // The library leaves its last result on the stack: let that be nobody's.
  sodium().subkey(0, kdfContext, Buffer.alloc(secret_bytes));
  return keys;
}

/** Overwrites them once the repository is closed; what wiped keys would be asked to seal is refused (newObjectKey). */
export function wipeKeys(keys: RepositoryKeys): void {
  for (const key of [keys.chunkId, keys.gear, keys.wrap, keys.stream, keys.descriptor]) wipe(key);
}

/** The secret of a repository with `encryption: none`: anybody can derive it from the repository id (32 hex digits). */
export function publicSecret(repositoryId: string): Buffer {
  return sha256(Buffer.concat([Buffer.from('rrbackup public secret 1'), repositoryIdBytes(repositoryId)]));
}

/** The 16 bytes of a repository id given as 32 lower-case hex digits. */
export function repositoryIdBytes(repositoryId: string): Buffer {
  if (!/^[0-9a-f]{32}$/.test(repositoryId))
    throw new RangeError('a repository id has 32 lower-case hex digits');
  return Buffer.from(repositoryId, 'hex');
}

/** The id of a chunk: HMAC-SHA256 of its plain bytes, 32 bytes. */
export function chunkId(keys: RepositoryKeys, plain: Uint8Array): Buffer {
  if (plain.buffer instanceof SharedArrayBuffer) return hmacSha256(keys.chunkId, plain);
  let hash = hashes.get(keys.chunkId);
  if (hash === undefined) {
    hash = openssl()?.hashUnder(keys.chunkId) ?? { digest: (bytes) => hmacSha256(keys.chunkId, bytes) };
    hashes.set(keys.chunkId, hash);
  }
  return hash.digest(plain);
}

/** By key; one of them serves all chunks of a repository. */
const hashes = new WeakMap<Uint8Array, Pick<KeyedHash, 'digest'>>();

/** The id of the stream of one (host, source) pair: 32 hex digits that tell nothing of the names. */
export function streamId(keys: RepositoryKeys, host: string, source: string): string {
  const names = new ByteWriter().text(host).text(source).view();
  return hmacSha256(keys.stream, names).subarray(0, 16).toString('hex');
}

const gear_bytes = 1024;

/**
 * The 1024 bytes that lib/chunking's Cutter wants: HMAC-SHA256 under keys.gear of the block numbers 0 … 31, each as u32
 * little-endian, one after the other.
 */
export function expandGear(keys: RepositoryKeys): Buffer {
  const expanded = Buffer.alloc(gear_bytes);
  const number = Buffer.alloc(4);
  for (let at = 0, block = 0; at < gear_bytes; at += 32, block++) {
    number.writeUInt32LE(block);
    hmacSha256(keys.gear, number).copy(expanded, at);
  }
  return expanded;
}
