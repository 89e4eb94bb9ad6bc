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

import { gearModule } from './gear-module.js';

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

/** What a hash depends on. */
const hashed_bytes = 32;
const table_bytes = 1024;

type FirstCut = (from: number, to: number, mask: number, hash: number) => number;

/** As much of it as is needed: its types are part of TypeScript's DOM library only. */
interface WebAssemblyNamespace {
  readonly Memory: new (pages: { initial: number; maximum: number }) => { readonly buffer: ArrayBuffer };
  readonly Module: new (bytes: Uint8Array) => object;
  readonly Instance: new (
    module: object,
    imports: { gear: { memory: object } },
  ) => { readonly exports: { readonly firstCut: FirstCut } };
}
const { WebAssembly: wasm } = globalThis as unknown as { readonly WebAssembly: WebAssemblyNamespace };

/** Where the bytes begin in the module's memory; the gear table lies before them. */
const windowAt = 65_536;
const page_bytes = 65_536;

/** Finds cuts in its window, a piece of memory of its own that files are read into. One thread's own. */
export class Cutter {
  /** Put here what is to be cut. It stays where it is. */
  readonly window: Buffer;
  readonly #gear: Uint32Array;
  readonly #firstCut: FirstCut;

  /** `gearKey`: 1024 bytes that look random (lib/crypto's expandGear makes them from the repository's gear key). */
  constructor(gearKey: Uint8Array, window_bytes: number) {
    if (gearKey.length !== table_bytes)
      throw new RangeError(`a gear table is made from ${table_bytes} bytes`);
    const pages = Math.ceil((windowAt + window_bytes) / page_bytes);
    const memory = new wasm.Memory({ initial: pages, maximum: pages });
    new Uint8Array(memory.buffer).set(gearKey);
    this.window = Buffer.from(memory.buffer, windowAt, window_bytes);
    this.#gear = new Uint32Array(memory.buffer, 0, table_bytes / 4);
    const module = new wasm.Module(Buffer.from(gearModule, 'base64'));
    const { exports } = new wasm.Instance(module, { gear: { memory } });
    this.#firstCut = exports.firstCut;
  }

  /**
   * The end offset of the chunk that starts at `start` of the window, of which the bytes before `end` are there. `isLast`: the
   * file ends at `end`. -1: more bytes are needed to decide, which happens only if !isLast and fewer than maximum_bytes are
   * there. The answer does not depend on how many more bytes than that are there.
   */
  nextCut(start: number, end: number, isLast: boolean): number {
    if (start < 0 || end > this.window.length || start > end)
      throw new RangeError(`not a window: ${start} to ${end}`);
    const isWhole = isLast || end - start >= chunkLimits.maximum_bytes;
    if (end - start <= chunkLimits.minimum_bytes) return isLast ? end : -1;

    const stop = Math.min(end, start + chunkLimits.maximum_bytes);
    const easyFrom = Math.min(stop, start + chunkLimits.average_bytes);
    let cut = this.#cutBetween(start + chunkLimits.minimum_bytes, easyFrom, hardMask);
    if (cut < 0) cut = this.#cutBetween(easyFrom, stop, easyMask);
    if (cut >= 0) return cut;
    return isWhole ? stop : -1;
  }

  /** The first p, from ≤ p < to, where hash(p) has none of the bits of `mask`; or -1. */
  #cutBetween(from: number, to: number, mask: number): number {
    let hash = 0;
    for (let at = from - hashed_bytes; at < from; at++)
      hash = ((hash << 1) + this.#gear[this.window[at]!]!) | 0;
    if (from < to && (hash & mask) === 0) return from;
    const cut = this.#firstCut(windowAt + from, windowAt + to, mask, hash);
    return cut < 0 ? -1 : cut - windowAt;
  }
}
