// Blocks that are known by looking at them: every byte tells which block it is of and where in it.

import type { ChunkPlace } from '../../lib/pack/types.js';

export const page_bytes = 32 * 1024;

/** Of a chunk that is the whole block, or the given part of it. */
export function placeOf(
  block: number,
  blockPlain_bytes: number,
  part?: readonly [number, number],
): ChunkPlace {
  const [offset_bytes, end] = part ?? [0, blockPlain_bytes];
  return {
    // High bits set, and three packs that differ late in what is looked at.
    pack: `ffffffff8000000${block % 3}`.padEnd(64, '0'),
    packVersionId: '',
    packHeader: Buffer.alloc(132),
    block,
    blockOffset_bytes: 0,
    blockStored_bytes: blockPlain_bytes + 16,
    blockPlain_bytes,
    codec: 0,
    offset_bytes,
    size_bytes: end - offset_bytes,
  };
}

export function byteAt(block: number, index: number): number {
  return (block * 31 + index * 7 + (index >>> 8) * 13 + (index >>> 15) * 5) & 0xff;
}

/** Bytes `from` to `to` of a block. */
export function bytesOf(block: number, from: number, to: number): Buffer {
  const bytes = Buffer.alloc(to - from);
  for (let index = from; index < to; index++) bytes[index - from] = byteAt(block, index);
  return bytes;
}
