// zstd as WebAssembly: the slowest, for machines where nothing else is there.

import { RrbackupError } from '../errors/index.js';
import { checkFrame, notZstd } from './frame.js';
import type { Zstd } from './types.js';

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

export async function loadWasm(): Promise<Zstd> {
  const library = await import('@bokuweb/zstd-wasm');
  await library.init();
  return {
    name: 'wasm',
    compress(plain, level) {
      try {
        return asBuffer(library.compress(plain, level));
      } catch (error) {
        throw new RrbackupError({
          code: 'compression.failed',
          kind: 'failure',
          message: `zstd could not compress ${plain.length} bytes`,
          cause: error,
        });
      }
    },
    decompress(stored, plain_bytes) {
      // It allocates what the frame states, so the frame's word is checked first.
      checkFrame(stored, plain_bytes);
      let plain: Uint8Array;
      try {
        plain = library.decompress(stored);
      } catch (error) {
        throw notZstd('zstd refuses it', error);
      }
      if (plain.length !== plain_bytes) throw notZstd(`it gives ${plain.length} bytes, not ${plain_bytes}`);
      return asBuffer(plain);
    },
  };
}
