// zstd from the system's shared library through koffi. One compression and one decompression context per thread, for
// making them costs more than compressing a small block.

import { RrbackupError } from '../errors/index.js';
import { checkFrame, notZstd } from './frame.js';
import { compressBound, type Zstd } from './types.js';

const libraryName = process.platform === 'darwin' ? 'libzstd.1.dylib' : 'libzstd.so.1';

/** koffi gives a size_t as a number where that is exact; error codes are close to 2^64 and come as a bigint. */
type Size = number | bigint;

interface Library {
  createCCtx(): unknown;
  createDCtx(): unknown;
  freeCCtx(context: unknown): Size;
  freeDCtx(context: unknown): Size;
  compress(
    context: unknown,
    to: Uint8Array,
    room: number,
    from: Uint8Array,
    size: number,
    level: number,
  ): Size;
  decompress(context: unknown, to: Uint8Array, room: number, from: Uint8Array, size: number): Size;
  isError(size: Size): number;
  errorName(size: Size): string;
}

async function openLibrary(): Promise<Library | undefined> {
  try {
    const { default: koffi } = await import('koffi');
    const library = koffi.load(libraryName);
    return {
      createCCtx: library.func('void *ZSTD_createCCtx()'),
      createDCtx: library.func('void *ZSTD_createDCtx()'),
      freeCCtx: library.func('size_t ZSTD_freeCCtx(void *context)'),
      freeDCtx: library.func('size_t ZSTD_freeDCtx(void *context)'),
      compress: library.func(
        'size_t ZSTD_compressCCtx(void *context, void *to, size_t room, const void *from, size_t size, int level)',
      ),
      decompress: library.func(
        'size_t ZSTD_decompressDCtx(void *context, void *to, size_t room, const void *from, size_t size)',
      ),
      isError: library.func('unsigned int ZSTD_isError(size_t size)'),
      errorName: library.func('const char *ZSTD_getErrorName(size_t size)'),
    };
  } catch {
    return undefined; // no koffi for this platform or no such library: the next binding will do
  }
}

export async function loadLibzstd(): Promise<Zstd | undefined> {
  const library = await openLibrary();
  if (library === undefined) return undefined;
  const compressing = library.createCCtx();
  const decompressing = library.createDCtx();
  process.once('exit', () => {
    library.freeCCtx(compressing);
    library.freeDCtx(decompressing);
  });
  let scratch = Buffer.alloc(0);
  return {
    name: 'libzstd',
    compress(plain, level, room) {
      const bound = compressBound(plain.length);
      if (room === undefined && scratch.length < bound) scratch = Buffer.allocUnsafeSlow(bound);
      const into = room ?? scratch;
      const size = library.compress(compressing, into, into.length, plain, plain.length, level);
      if (library.isError(size) !== 0)
        throw new RrbackupError({
          code: 'compression.failed',
          kind: 'failure',
          message: `zstd could not compress ${plain.length} bytes: ${library.errorName(size)}`,
        });
      const frame = into.subarray(0, Number(size));
      return room === undefined ? Buffer.from(frame) : frame;
    },
    decompress(stored, plain_bytes, room) {
      checkFrame(stored, plain_bytes);
      const plain = room?.subarray(0, plain_bytes) ?? Buffer.allocUnsafe(plain_bytes);
      const size = library.decompress(decompressing, plain, plain_bytes, stored, stored.length);
      if (library.isError(size) !== 0) throw notZstd(library.errorName(size));
      if (Number(size) !== plain_bytes) throw notZstd(`it gives ${size} bytes, not ${plain_bytes}`);
      return plain;
    },
  };
}
