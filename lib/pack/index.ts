// The room's door: build, read and verify packs. The bytes are in FORMAT.md.

export { BlockDecoder } from './block-decoder.js';
export { DiskCache } from './cache/index.js';
export { readPackEnd, verifyPack } from './decode.js';
export type { PackEnd, StoredPack } from './decode.js';
export { PackBuilder } from './encode.js';
export type { BuiltPack, ChunkIndex, PackContext } from './encode.js';
export { openLocalBlocks } from './local-blocks.js';
export type { LocalBlocks, LocalBlocksSettings } from './local-blocks.js';
export { packKey, packsPrefix, parsePackKey } from './names.js';
export { blockPlaces } from './places.js';
export type { PlacedChunk } from './places.js';
export { PackReader } from './reader.js';
export type { PackReaderOptions } from './reader.js';
export { decodePackInfo, encodePackInfo } from './table.js';
