// Cuts files where their content says so: FastCDC with normalised chunking (Xia et al., USENIX ATC 2016), keyed. Pure: bytes
// in, cut points out; reads no file and knows no chunk id. Stored data depends on every number here: changing one
// changes nothing that is stored, but no new chunk would meet an old one again.
//
// The algorithm, for somebody who writes it again. All arithmetic is modulo 2^32.
//
//   gear[0 … 255]  u32 little-endian from 1024 bytes: HMAC-SHA256(repository's gear key, u32 LE block number), blocks 0 … 31
//   hash(p)        0, then for each of the 32 bytes b that end before offset p:  hash = hash * 2 + gear[b]
//                  (older bytes have been shifted out, so it depends on these 32 only)
//   chunk          starts at s; ends at the first p of
//                    s + 256 KiB ≤ p < s + 1 MiB   where the top 22 bits of hash(p) are zero
//                    s + 1 MiB   ≤ p < s + 4 MiB   where the top 18 bits of hash(p) are zero
//                    s + 4 MiB
//                  or at the end of the file. So a file of up to 256 KiB is one chunk, whatever it holds.
//
// Random bytes give chunks of 1.17 MiB on average: hard to cut before 1 MiB, easy after, hence of similar sizes.

const KiB = 1024;
const MiB = 1024 * KiB;

export const chunkLimits = {
  minimum_bytes: 256 * KiB,
  average_bytes: MiB,
  maximum_bytes: 4 * MiB,
} as const;

/** The top 22 and the top 18 bits: two more and two fewer than the 20 of one MiB. */
const hardMask = 0xffff_fc00 | 0;
const easyMask = 0xffff_c000 | 0;

const window_bytes = 32;
const table_bytes = 1024;

/** 256 numbers, one for each byte; may be shared with worker threads. */
export type GearTable = Int32Array;

/** The table from 1024 bytes that look random (lib/crypto's expandGear makes them from the repository's gear key). */
export function gearTable(gearKey: Uint8Array): GearTable {
  if (gearKey.length !== table_bytes) throw new RangeError(`a gear table is made from ${table_bytes} bytes`);
  const view = new DataView(gearKey.buffer, gearKey.byteOffset, gearKey.byteLength);
  return Int32Array.from({ length: 256 }, (_, index) => view.getInt32(index * 4, true));
}

/**
 * The end offset of the chunk that starts at `start` of `bytes`, of which those before `end` are there. `isLast`: the file
 * ends at `end`. -1: more bytes are needed to decide, which happens only if !isLast and fewer than maximum_bytes are there.
 * The answer does not depend on how many more bytes than that are there.
 */
export function nextCut(
  table: GearTable,
  bytes: Uint8Array,
  start: number,
  end: number,
  isLast: boolean,
): number {
  if (start < 0 || end > bytes.length || start > end)
    throw new RangeError(`not a window: ${start} to ${end}`);
  const isWhole = isLast || end - start >= chunkLimits.maximum_bytes;
  if (end - start <= chunkLimits.minimum_bytes) return isLast ? end : -1;

  const stop = Math.min(end, start + chunkLimits.maximum_bytes);
  const easyFrom = Math.min(stop, start + chunkLimits.average_bytes);
  let cut = firstCut(table, bytes, start + chunkLimits.minimum_bytes, easyFrom, hardMask);
  if (cut < 0) cut = firstCut(table, bytes, easyFrom, stop, easyMask);
  if (cut >= 0) return cut;
  return isWhole ? stop : -1;
}

/**
 * The first p, from ≤ p < to, where hash(p) has none of the bits of `mask`; or -1. Two bytes a step: in V8 nearly twice as
 * fast as one, for the additions of the second do not wait for the first.
 */
function firstCut(table: GearTable, bytes: Uint8Array, from: number, to: number, mask: number): number {
  let hash = 0;
  for (let at = from - window_bytes; at < from; at++) hash = ((hash << 1) + table[bytes[at]!]!) | 0;
  if (from < to && (hash & mask) === 0) return from;

  let at = from;
  for (; at + 2 < to; at += 2) {
    const gear = table[bytes[at]!]!;
    const middle = ((hash << 1) + gear) | 0;
    hash = ((hash << 2) + (((gear << 1) + table[bytes[at + 1]!]!) | 0)) | 0;
    if ((middle & mask) === 0) return at + 1;
    if ((hash & mask) === 0) return at + 2;
  }
  if (at + 1 < to) {
    hash = ((hash << 1) + table[bytes[at]!]!) | 0;
    if ((hash & mask) === 0) return at + 1;
  }
  return -1;
}
