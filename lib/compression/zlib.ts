// zstd from node:zlib, which has it from Node 22.15 and 23.8 on.

import * as zlib from 'node:zlib';

import { checkFrame, notZstd } from './frame.js';
import { compressBound, type Zstd } from './types.js';

/** The types of Node 20, which the project compiles against, do not have these. */
interface ZstdFunctions {
  zstdCompressSync?(
    plain: Uint8Array,
    options: { chunkSize: number; params: Record<number, number> },
  ): Buffer;
  zstdDecompressSync?(stored: Uint8Array, options: { chunkSize: number; maxOutputLength: number }): Buffer;
}

/** ZSTD_c_compressionLevel of zstd.h; in node:zlib's constants too, where they are typed. */
const compressionLevel = 100;

/** node:zlib takes no smaller output buffer. */
const minimumChunk_bytes = 64;

export function loadZlib(): Zstd | undefined {
  const { zstdCompressSync, zstdDecompressSync } = zlib as ZstdFunctions;
  if (zstdCompressSync === undefined || zstdDecompressSync === undefined) return undefined;
  return {
    name: 'node:zlib',
    compress(plain, level) {
      const stored = zstdCompressSync(plain, {
        // For the whole result at once, so that node:zlib neither grows nor joins.
        chunkSize: Math.max(minimumChunk_bytes, compressBound(plain.length)),
        params: { [compressionLevel]: level },
      });
      // The result is a view of that whole room, which would stay in memory with it.
      return Buffer.from(stored);
    },
    decompress(stored, plain_bytes) {
      checkFrame(stored, plain_bytes);
      let plain: Buffer;
      try {
        plain = zstdDecompressSync(stored, {
          chunkSize: Math.max(minimumChunk_bytes, plain_bytes),
          maxOutputLength: Math.max(1, plain_bytes),
        });
      } catch (error) {
        throw notZstd('zstd refuses it', error);
      }
      if (plain.length !== plain_bytes) throw notZstd(`it gives ${plain.length} bytes, not ${plain_bytes}`);
      return plain;
    },
  };
}
