// The named constants of the manifest's bytes and every limit on them, shared by writers and readers. FORMAT.md is the page to
// them; a value that changes here is a new format.

import { objectHeader_bytes, tag_bytes } from '../crypto/index.js';

const mebibyte = 1024 * 1024;

export const commitMagic = 'RRBCOMM1';
export const partMagic = 'RRBPART1';
export const checkpointMagic = 'RRBCHKP1';

/** The only section of a manifest object; its index is 0. */
export const bodySection = 1;

/** First byte of a log entry's body. */
export const logKinds = { version: 1, maintenance: 2 } as const;

/** Bound into a part's seal: a part of packs never passes for one of rows. */
export const partTypes = { packs: 1, rows: 2 } as const;
export type PartType = (typeof partTypes)[keyof typeof partTypes];

export const manifestLimits = {
  /** Plain bytes of a root or a part. */
  body_bytes: 16 * mebibyte,
  /** A part is stored when it holds this much. */
  part_bytes: 4 * mebibyte,
  /** What the root takes in instead of a last part, for packs and for rows each. */
  inline_bytes: mebibyte / 2,
  path_bytes: 65_536,
  target_bytes: 65_536,
  xattrName_bytes: 255,
  xattrValue_bytes: mebibyte,
  xattrs_bytes: 8 * mebibyte,
  /** Linux lists 64 KiB of names at the most. */
  xattrs: 65_536,
  /** A longer content goes on in the next row. */
  segmentsPerRow: 65_536,
  /** Of one content, over all its rows: so many fit in the records of one pack, whatever else stands there. */
  segmentsPerFile: 1_572_864,
  rowsPerRecords: 1_048_576,
  pathsPerRecords_bytes: 128 * mebibyte,
  /** Leaves room in a root for the references to parts. */
  header_bytes: 8 * mebibyte,
  sequence: 9_999_999_999,
  text_bytes: 4096,
  name_bytes: 256,
  names: 262_144,
  identifier_bytes: 16,
  hash_bytes: 32,
} as const;

/** No manifest object is larger as it is stored. */
export const maximumObject_bytes = objectHeader_bytes + 1 + 8 + manifestLimits.body_bytes + tag_bytes;
