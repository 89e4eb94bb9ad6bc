// How every manifest object is stored: object header, then one sealed, compressed body that is bound to its stream and place.
// What is sealed here has been opened again before anybody may upload it.

import { decodeBody, encodeBody } from '../pack/body.js';
import type { PackContext } from '../pack/encode.js';
import { naming } from '../pack/naming.js';
import { newObjectKey, objectHeader_bytes, open, openObjectHeader, seal, sha256 } from '../crypto/index.js';
import { damaged } from '../errors/index.js';
import type { ObjectStore } from '../store/types.js';
import { bodySection, manifestLimits, type PartType } from './layout.js';

export interface ManifestContext extends PackContext {
  readonly store: ObjectStore;
}

/** What a root is bound to: stream id 16 ‖ u64 sequence. */
export function rootBinding(stream: string, sequence: number): Buffer {
  const binding = Buffer.alloc(manifestLimits.identifier_bytes + 8);
  binding.write(stream, 'hex');
  binding.writeBigUInt64LE(BigInt(sequence), manifestLimits.identifier_bytes);
  return binding;
}

/** What a part is bound to: stream id 16 ‖ u8 type. */
export function partBinding(stream: string, type: PartType): Buffer {
  return Buffer.concat([Buffer.from(stream, 'hex'), Buffer.of(type)]);
}

export interface SealedObject {
  readonly bytes: Buffer;
  /** SHA-256 of the bytes, hex. */
  readonly hash: string;
}

/** The stored form of `plain` (at most 16 MiB). Throws rather than return what does not open to the same bytes. */
export function sealObject(
  context: PackContext,
  magic: string,
  binding: Uint8Array,
  plain: Uint8Array,
): SealedObject {
  const key = newObjectKey(context.keys, magic, context.repositoryId);
  const body = encodeBody(context.zstd, plain, manifestLimits.body_bytes);
  const bytes = Buffer.concat([key.header, seal(key, bodySection, 0, binding, body)]);
  if (!openObject(context, magic, binding, bytes, 'a new manifest object').equals(plain))
    throw damaged('manifest.damaged', 'a new manifest object does not read back as it was written');
  return { bytes, hash: sha256(bytes).toString('hex') };
}

/** The plain body of a stored object; `what` names it in errors ('manifest.damaged', tampered, newer_format). */
export function openObject(
  context: PackContext,
  magic: string,
  binding: Uint8Array,
  bytes: Buffer,
  what: string,
): Buffer {
  return naming('manifest.damaged', what, () => {
    const key = openObjectHeader(context.keys, magic, context.repositoryId, bytes);
    const body = open(key, bodySection, 0, binding, bytes.subarray(objectHeader_bytes));
    return decodeBody(context.zstd, body, manifestLimits.body_bytes, 'its body');
  });
}
