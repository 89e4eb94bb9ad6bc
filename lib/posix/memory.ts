// How the C library gives memory back. Knows nothing of what it is used for.

import { declare } from './libc.js';

const mallopt = declare('int mallopt(int parameter, int value)');
const M_MMAP_THRESHOLD = -3;
const M_ARENA_MAX = -8;
const large_bytes = 256 * 1024;
const arenas = 2;

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
