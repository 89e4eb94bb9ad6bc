// From a pack's table to where each of its chunks lies. Pure.

import type { ChunkId, ChunkPlace, PackInfo } from './types.js';

export interface PlacedChunk {
  readonly id: ChunkId;
  readonly place: ChunkPlace;
}

/** The chunks of each block, in order. */
export function* blockPlaces(info: PackInfo): Generator<PlacedChunk[], void, undefined> {
  let blockOffset_bytes = info.header.length;
  for (const [block, { stored_bytes, plain_bytes, codec, chunks }] of info.blocks.entries()) {
    let offset_bytes = 0;
    yield chunks.map(({ id, size_bytes }) => {
      const place: ChunkPlace = {
        pack: info.name,
        packVersionId: info.versionId,
        packHeader: info.header,
        block,
        blockOffset_bytes,
        blockStored_bytes: stored_bytes,
        blockPlain_bytes: plain_bytes,
        codec,
        offset_bytes,
        size_bytes,
      };
      offset_bytes += size_bytes;
      return { id, place };
    });
    blockOffset_bytes += stored_bytes;
  }
}
