// One thread's buffer for stored blocks, and the loop around pread that fills it.

import fs from 'node:fs';

const smallest_bytes = 256 * 1024;

export class BlockBuffer {
  #bytes = Buffer.alloc(0);

  /** `length` bytes of the file from `offset` on, valid until the next call; undefined where it ends before. Throws as node:fs. */
  read(descriptor: number, offset: number, length: number): Buffer | undefined {
    // Not from Node's pool, and used again: a fresh buffer of this size would cost a page fault every 4 KiB.
    if (this.#bytes.length < length) this.#bytes = Buffer.allocUnsafeSlow(Math.max(length, smallest_bytes));
    let filled = 0;
    while (filled < length) {
      const count = fs.readSync(descriptor, this.#bytes, filled, length - filled, offset + filled);
      if (count === 0) return undefined;
      filled += count;
    }
    return this.#bytes.subarray(0, length);
  }
}
