// The room's door: build, decode, verify and read packs. The bytes are in FORMAT.md.

export { compress, checkCodec, decodeBody, encodeBody } from './body.js';
export { decodeBlock, openPackHeader, readPackEnd, verifyPack } from './decode.js';
export type { PackEnd, StoredPack } from './decode.js';
export { PackBuilder } from './encode.js';
export type { BuiltPack, ChunkIndex, PackContext } from './encode.js';
export { fetchExact } from './fetch.js';
export { packLimits } from './layout.js';
export { packKey, packsPrefix, parsePackKey } from './names.js';
export { naming } from './naming.js';
export { PackReader } from './reader.js';
export type { PackReaderOptions } from './reader.js';
export { decodePackInfo, encodePackInfo, versionId_bytes } from './table.js';
