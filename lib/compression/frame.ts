// Looks at a zstd frame (RFC 8878, section 3.1.1) before a decompressor does, so that all bindings refuse the same frames
// and none allocates on the word of the input. Decodes no content.

import { damaged } from '../errors/index.js';

const magic = 0xfd2fb528;
const contentSizeField_bytes = [0, 2, 4, 8] as const;
const reservedBlock = 3;
const repeatedBlock = 1;

export function notZstd(why: string, cause?: unknown): Error {
  return damaged('compression.damaged', `compressed data is damaged: ${why}`, cause);
}

/**
 * Throws unless `stored` is one whole frame, nothing after it, without a dictionary, that states a content size of
 * `plain_bytes`.
 */
export function checkFrame(stored: Uint8Array, plain_bytes: number): void {
  const view = Buffer.from(stored.buffer, stored.byteOffset, stored.byteLength);
  if (view.length < 6 || view.readUInt32LE(0) !== magic) throw notZstd('it is not a zstd frame');
  const descriptor = view[4]!;
  const singleSegment = (descriptor & 0x20) !== 0;
  const withChecksum = (descriptor & 0x04) !== 0;
  if ((descriptor & 0x08) !== 0) throw notZstd('a reserved bit is set');
  if ((descriptor & 0x03) !== 0) throw notZstd('it asks for a dictionary');
  const sizeFlag = descriptor >> 6;
  const size_bytes = sizeFlag === 0 && singleSegment ? 1 : contentSizeField_bytes[sizeFlag]!;
  const sizeAt = singleSegment ? 5 : 6;
  if (size_bytes === 0) throw notZstd('it does not say how large its content is');
  if (sizeAt + size_bytes > view.length) throw notZstd('it ends inside its header');
  if (statedSize(view, sizeAt, size_bytes) !== BigInt(plain_bytes))
    throw notZstd(`its content is not the ${plain_bytes} bytes expected`);
  const end = endOfBlocks(view, sizeAt + size_bytes) + (withChecksum ? 4 : 0);
  if (end !== view.length) throw notZstd(end > view.length ? 'it ends early' : 'something follows it');
}

function statedSize(view: Buffer, at: number, size_bytes: number): bigint {
  if (size_bytes === 8) return view.readBigUInt64LE(at);
  const value = view.readUIntLE(at, size_bytes);
  return BigInt(size_bytes === 2 ? value + 256 : value);
}

function endOfBlocks(view: Buffer, start: number): number {
  let at = start;
  for (let last = false; !last;) {
    if (at + 3 > view.length) throw notZstd('it ends early');
    const header = view.readUIntLE(at, 3);
    last = (header & 1) !== 0;
    const type = (header >> 1) & 3;
    if (type === reservedBlock) throw notZstd('it has a block of a reserved type');
    at += 3 + (type === repeatedBlock ? 1 : header >> 3);
  }
  return at;
}
