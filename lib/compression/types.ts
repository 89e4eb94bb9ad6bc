// What a zstd binding has to offer; index.ts picks one. Frames of every binding are read by every other.

export interface Zstd {
  readonly name: 'node:zlib' | 'libzstd' | 'wasm';

  /**
   * One zstd frame that states its content size. `level` 1 (fast) … 19 (small). The result is new memory, or the beginning of
   * `room` where the binding can use that: it is large enough if it has `compressBound` bytes.
   */
  compress(plain: Uint8Array, level: number, room?: Buffer): Buffer;

  /**
   * The content of exactly one frame, exactly `plain_bytes` of it. Allocates no more than that, whatever the frame says.
   * Throws damaged('compression.damaged') for anything else. The result is new memory, or `room` (at least that long; not
   * shared) where the binding can use it.
   */
  decompress(stored: Uint8Array, plain_bytes: number, room?: Buffer): Buffer;
}

/** No frame of `size` bytes is longer: ZSTD_COMPRESSBOUND of zstd.h. */
export function compressBound(size: number): number {
  return size + (size >> 8) + (size < 131_072 ? (131_072 - size) >> 11 : 0);
}
