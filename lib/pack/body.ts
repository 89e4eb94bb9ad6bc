// Compressed bodies: how blocks choose their codec, and the self-describing form (codec, plain length, bytes) of everything
// that no directory describes: records here, commits and their parts in lib/manifest. Never allocates on the word of the input.

import { ByteReader, ByteWriter } from '../bytes/cursor.js';
import { defaultLevel, type Zstd } from '../compression/index.js';
import { newerFormat } from '../errors/index.js';
import { codecs, type Codec } from './types.js';

/** zstd has to save this share, or reading would pay for nothing. */
const worthwhile = 0.97;

/**
 * The bytes to store and their codec: zstd, or the plain bytes themselves where compression does not pay. With `room` (of
 * compressBound bytes) they may be the beginning of it. `level` undefined: not even tried.
 */
export function compress(
  zstd: Zstd,
  plain: Uint8Array,
  level: number | undefined,
  room?: Buffer,
): { codec: Codec; bytes: Uint8Array } {
  if (level !== undefined) {
    const bytes = zstd.compress(plain, level, room);
    if (bytes.length <= plain.length * worthwhile) return { codec: codecs.zstd, bytes };
  }
  return { codec: codecs.stored, bytes: plain };
}

/** A codec as it stands in stored bytes; `what` for the message about an unknown one. */
export function checkCodec(value: number, what: string): Codec {
  if (value !== codecs.stored && value !== codecs.zstd) throw newerFormat(what);
  return value;
}

/** u8 codec ‖ varint plain length ‖ bytes. */
export function encodeBody(zstd: Zstd, plain: Uint8Array, limit_bytes: number): Buffer {
  if (plain.length > limit_bytes) throw new RangeError(`a body of ${plain.length} bytes is too large`);
  const { codec, bytes } = compress(zstd, plain, defaultLevel);
  return new ByteWriter(bytes.length + 16).u8(codec).varint(plain.length).raw(bytes).take();
}

/** The plain bytes of a body of at most `limit_bytes`; `what` names it in errors (kinds damaged, newer_format). */
export function decodeBody(zstd: Zstd, body: Uint8Array, limit_bytes: number, what: string): Buffer {
  const reader = new ByteReader(body, what);
  const codec = checkCodec(reader.u8(), what);
  const plain_bytes = reader.varint(limit_bytes);
  const bytes = reader.raw(reader.remaining);
  if (codec === codecs.zstd) return zstd.decompress(bytes, plain_bytes);
  if (bytes.length !== plain_bytes) reader.fail(`it holds ${bytes.length} bytes and declares ${plain_bytes}`);
  return bytes;
}
