// A worker's part in reading a very large file: finds cuts in a range, tells whether ranges are what they were, stores ranges.
// What belongs together is the main thread's matter (big-file.ts).

import fs from 'node:fs';
import { joinPath } from '../bytes/path.js';
import type { Cutter } from '../chunking/index.js';
import { chunkId, type RepositoryKeys } from '../crypto/index.js';
import { type ReadBuffer } from '../posix/directory.js';
import { openLong } from '../posix/long-path.js';
import { readCut } from './file-reader.js';
import type { Range } from './messages.js';
import type { PackMaker } from './pack-maker.js';

export const bigFileFlags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;

export interface BigFileWorkOptions {
  readonly root: Buffer;
  readonly keys: RepositoryKeys;
  readonly cutter: Cutter;
  readonly window: ReadBuffer;
  readonly packs: PackMaker;
}

export class BigFileWork {
  readonly #options: BigFileWorkOptions;

  constructor(options: BigFileWorkOptions) {
    this.#options = options;
  }

  #open<T>(path: Uint8Array, use: (fd: number) => T): T {
    const fd = openLong(joinPath(this.#options.root, path), bigFileFlags);
    try {
      return use(fd);
    } finally {
      fs.closeSync(fd);
    }
  }

  /** Where chunks end from the beginning of the range on, as far as the range decides it; to its end if the file ends there. */
  cut(path: Uint8Array, { offset, size_bytes }: Range, meet: readonly number[]): number[] {
    const met = new Set(meet);
    const cuts: number[] = [];
    this.#open(path, (fd) =>
      readCut(this.#options, fd, offset, offset + size_bytes, (_, position) => {
        cuts.push(position);
        return !met.has(position);
      }),
    );
    return cuts;
  }

  identify(path: Uint8Array, ranges: readonly Range[], ids: readonly Uint8Array[]): boolean[] {
    const { keys } = this.#options;
    return this.#open(path, (fd) =>
      ranges.map((range, index) => {
        const plain = this.#read(fd, range);
        return plain !== undefined && chunkId(keys, plain).equals(ids[index]!);
      }),
    );
  }

  store(path: Uint8Array, ranges: readonly Range[]): Uint8Array[] {
    const ids: Uint8Array[] = [];
    this.#open(path, (fd) => {
      for (const range of ranges) {
        const plain = this.#read(fd, range);
        if (plain === undefined) return;
        ids.push(this.#options.packs.store(plain).id!);
      }
    });
    return ids;
  }

  /** Undefined if the file ends before the range does. */
  #read(fd: number, { offset, size_bytes }: Range): Buffer | undefined {
    const { window } = this.#options;
    let held_bytes = 0;
    while (held_bytes < size_bytes) {
      const count = window.read(fd, held_bytes, size_bytes - held_bytes, offset + held_bytes);
      if (count === 0) return undefined;
      held_bytes += count;
    }
    return window.bytes.subarray(0, size_bytes);
  }
}
