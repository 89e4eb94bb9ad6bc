// The named constants of a pack's bytes and every limit on them, shared by writer and reader. FORMAT.md is the page to them;
// a value that changes here is a new format.

import { objectHeader_bytes, tag_bytes } from '../crypto/index.js';

const mebibyte = 1024 * 1024;

export const packMagic = 'RRBPACK1';
export const footerMagic = 'RRBPEND1';
export const directoryVersion = 1;

/** Sections of a pack for `seal`; the index of a block is its position, records and directory have index 0. */
export const packSections = { block: 1, records: 2, directory: 3 } as const;

/** u32 records length ‖ u32 directory length ‖ u32 block count ‖ u32 zero ‖ magic. */
export const footerOffsets = {
  recordsLength: 0,
  directoryLength: 4,
  blockCount: 8,
  zero: 12,
  magic: 16,
} as const;
export const footer_bytes = 24;

export const chunkId_bytes = 32;

export const packLimits = {
  /** A builder says that it is full from here on. */
  target_bytes: 16 * mebibyte,
  targetChunks: 131_072,
  /** A reader refuses more, whatever an object claims. */
  pack_bytes: 104 * mebibyte,
  blocks: 16_384,
  chunks: 262_144,
  chunksPerBlock: 65_536,
  block_bytes: 5 * mebibyte,
  chunk_bytes: 4 * mebibyte,
  /** Plain bytes. One row of a file of 1.9 TB fits. */
  records_bytes: 64 * mebibyte,
  directory_bytes: 12 * mebibyte,
} as const;

/** Records of the largest size that is allowed as they are stored: codec, length, bytes that did not compress, tag. */
export const maximumStoredRecords_bytes = 1 + 8 + packLimits.records_bytes + tag_bytes;

/** No pack is smaller: header, records and directory of at least a byte each, footer. */
export const minimumPack_bytes = objectHeader_bytes + 2 * (tag_bytes + 1) + footer_bytes;
