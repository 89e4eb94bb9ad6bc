// How every encrypted object begins (pack, commit part, checkpoint part) and how its sections are sealed. Each object has a
// random key of its own, wrapped in its header; a nonce is (section, index) and used once under that key.
//
//   0    8  magic, ASCII
//   8    1  version = 1
//   9    1  wrap mode: 0 = XChaCha20-Poly1305 under the repository's wrap key, 1 = sealed box (reserved)
//   10   2  zero
//   12  16  repository id
//   28  32  key commitment: HMAC-SHA256 of a constant under the object key
//   60  72  wrapped object key: nonce 24 ‖ key 32 ‖ tag 16; the associated data is bytes 0 … 27

import { damaged, newerFormat, RrbackupError } from '../errors/index.js';
import { aeadOpen, aeadSeal } from './aead.js';
import { equalSecrets, hmacSha256, randomBytes } from './hash.js';
import { repositoryIdBytes } from './keys.js';
import type { RepositoryKeys } from './keys.js';
import { unwrap, wrap } from './wrap.js';

export const objectHeader_bytes = 132;

const magic_bytes = 8;
const versionAt = 8;
const wrapModeAt = 9;
const reservedAt = 10;
const repositoryAt = 12;
const commitmentAt = 28;
const wrappedAt = 60;

const formatVersion = 1;
const wrapModeKey = 0;
const key_bytes = 32;
const maximumSection = 0xffff_ffff;

/**
 * ChaCha20-Poly1305 does not bind a ciphertext to one key: somebody who knows two keys can make bytes that open under both.
 * The commitment does.
 */
const commitmentLabel = Buffer.from('rrbackup object key commitment 1');

/**
 * The last index that was sealed, by section, of every key made here. Two different texts under one key and nonce would give
 * both away, so no caller is trusted with that: an index is greater than the one before it, or there is an error.
 */
const sealedUpTo = new WeakMap<ObjectKey, Map<number, number>>();

export interface ObjectKey {
  /** 32 random bytes, one object's own. */
  readonly key: Buffer;
  /** The first 132 bytes of the object. */
  readonly header: Buffer;
}

function headerStart(magic: string, repositoryId: string): Buffer {
  const start = Buffer.alloc(commitmentAt);
  if (Buffer.from(magic, 'ascii').toString('ascii') !== magic || magic.length !== magic_bytes)
    throw new RangeError(`a magic has ${magic_bytes} ASCII characters`);
  start.write(magic, 0, 'ascii');
  start.writeUInt8(formatVersion, versionAt);
  start.writeUInt8(wrapModeKey, wrapModeAt);
  repositoryIdBytes(repositoryId).copy(start, repositoryAt);
  return start;
}

/** A fresh key for one new object, and the header that the object begins with. Needs cryptoReady. */
export function newObjectKey(keys: RepositoryKeys, magic: string, repositoryId: string): ObjectKey {
  const start = headerStart(magic, repositoryId);
  if (keys.wrap.every((byte) => byte === 0)) throw new Error('the keys of this repository have been wiped');
  const key = randomBytes(key_bytes);
  const header = Buffer.concat([start, hmacSha256(key, commitmentLabel), wrap(keys.wrap, start, key)]);
  const object = { key, header };
  sealedUpTo.set(object, new Map());
  return object;
}

/**
 * The key of a stored object from its first 132 bytes (more may follow). Needs cryptoReady.
 * Errors: 'crypto.wrong_kind' or 'crypto.not_authentic' (damaged), 'format.newer', 'crypto.other_repository' (tampered).
 */
export function openObjectHeader(
  keys: RepositoryKeys,
  magic: string,
  repositoryId: string,
  header: Uint8Array,
): ObjectKey {
  const what = `the ${magic.replace(/[^!-~]/g, '')} object`;
  if (header.length < objectHeader_bytes)
    throw damaged('crypto.short_header', `${what} ends after ${header.length} bytes, inside its header`);
  const own = Buffer.from(header.subarray(0, objectHeader_bytes));
  const start = own.subarray(0, commitmentAt);
  const expected = headerStart(magic, repositoryId);
  if (!start.subarray(0, magic_bytes).equals(expected.subarray(0, magic_bytes)))
    throw damaged('crypto.wrong_kind', `${what} does not begin as one`);
  if (start[versionAt] !== formatVersion || start[wrapModeAt] !== wrapModeKey) throw newerFormat(what);
  if (start.readUInt16LE(reservedAt) !== 0)
    throw damaged('crypto.bad_header', `${what} has a damaged header`);
  if (!start.subarray(repositoryAt).equals(expected.subarray(repositoryAt)))
    throw new RrbackupError({
      code: 'crypto.other_repository',
      kind: 'tampered',
      message: `${what} belongs to another repository`,
      guidance: 'somebody has moved objects between repositories: look at who can write to this store',
    });
  const key = unwrap(keys.wrap, start, own.subarray(wrappedAt));
  if (
    key?.length !== key_bytes ||
    !equalSecrets(hmacSha256(key, commitmentLabel), own.subarray(commitmentAt, wrappedAt))
  )
    throw damaged(
      'crypto.not_authentic',
      `${what} has a header that does not open with this repository's key`,
    );
  return { key, header: own };
}

function nonceOf(section: number, index: number): Buffer {
  if (!Number.isInteger(section) || section < 0 || section > maximumSection)
    throw new RangeError(`not a section: ${section}`);
  if (!Number.isSafeInteger(index) || index < 0) throw new RangeError(`not an index: ${index}`);
  const nonce = Buffer.alloc(12);
  nonce.writeUInt32LE(section, 0);
  nonce.writeUInt32LE(index % 0x1_0000_0000, 4);
  nonce.writeUInt32LE(Math.floor(index / 0x1_0000_0000), 8);
  return nonce;
}

/**
 * Seals one part of an object: ciphertext‖tag, 16 bytes longer than `plain`. `context` is whatever the reader must know by
 * other means for the part to be the right one. The key is one that newObjectKey gave (a stored object is never sealed
 * again), and the indexes of a section grow; anything else is a programming error. The result is new memory, or the beginning
 * of `room`.
 */
export function seal(
  key: ObjectKey,
  section: number,
  index: number,
  context: Uint8Array,
  plain: Uint8Array,
  room?: Buffer,
): Buffer {
  const nonce = nonceOf(section, index);
  const sealed = sealedUpTo.get(key);
  if (sealed === undefined) throw new Error('only a key from newObjectKey seals');
  if (index <= (sealed.get(section) ?? -1))
    throw new Error(`section ${section}, part ${index} is sealed already`);
  sealed.set(section, index);
  return aeadSeal(key.key, nonce, associatedData(key, nonce, context), plain, room);
}

/**
 * The plain bytes of a part, in `room` if that is given and large enough. Throws damaged('crypto.not_authentic') unless object,
 * section, index, context and bytes all fit.
 */
export function open(
  key: ObjectKey,
  section: number,
  index: number,
  context: Uint8Array,
  sealed: Uint8Array,
  room?: Buffer,
): Buffer {
  const nonce = nonceOf(section, index);
  const plain = aeadOpen(key.key, nonce, associatedData(key, nonce, context), sealed, room);
  if (plain === undefined)
    throw damaged(
      'crypto.not_authentic',
      `its bytes are not what was stored (section ${section}, part ${index})`,
    );
  return plain;
}

/** The header's first 28 bytes ‖ section ‖ index ‖ context: of fixed widths but for the last, so no two mean the same bytes. */
function associatedData(key: ObjectKey, nonce: Buffer, context: Uint8Array): Buffer {
  return Buffer.concat([key.header.subarray(0, commitmentAt), nonce, context]);
}
