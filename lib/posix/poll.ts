// Whether a descriptor has something to read, without waiting for it.

import { declare } from './libc.js';

const poll = declare('int poll(void *descriptors, unsigned long count, int timeout_ms)');
const POLLIN = 1;

/** The function given back tells; true also where reading would end with an error. */
export function readiness(descriptor: number): () => boolean {
  // struct pollfd: the descriptor, what is asked for, what is so.
  const entry = new ArrayBuffer(8);
  new Int32Array(entry, 0, 1).set([descriptor]);
  new Int16Array(entry, 4, 2).set([POLLIN, 0]);
  const bytes = new Uint8Array(entry);
  return () => poll(bytes, 1, 0) !== 0;
}
