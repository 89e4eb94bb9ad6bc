// How little memory a process makes do with. Knows nothing of what it is used for.

import v8 from 'node:v8';
import { declare } from './libc.js';

const mallopt = declare('int mallopt(int parameter, int value)');
const malloc_trim = declare('int malloc_trim(size_t kept)');
const M_MMAP_THRESHOLD = -3;
const M_ARENA_MAX = -8;
const large_bytes = 256 * 1024;
const arenas = 2;
const trim_ms = 500;

/**
 * glibc keeps large pieces of freed memory for each thread once it has seen some of them; after this they go back to the system
 * when they are freed, and threads share what is kept of small ones. For processes that handle large buffers for days. Elsewhere
 * than on glibc it does nothing.
 */
export function returnFreedMemory(): void {
  try {
    mallopt(M_MMAP_THRESHOLD, large_bytes);
    mallopt(M_ARENA_MAX, arenas);
  } catch {
    // Another C library, with habits of its own.
  }
}

/**
 * While much data goes through: what the C library keeps between pieces that are in use goes back twice a second, and the
 * engine's memory for new objects stays as large as it is (4 to 8 MB instead of 48), which costs a little more work. Returns
 * what ends it.
 */
export function saveMemory(): () => void {
  returnFreedMemory();
  v8.setFlagsFromString('--semi-space-growth-factor=1');
  const timer = setInterval(trim, trim_ms).unref();
  return () => {
    clearInterval(timer);
    v8.setFlagsFromString('--semi-space-growth-factor=2');
  };
}

function trim(): void {
  try {
    malloc_trim(0);
  } catch {
    // As above.
  }
}
