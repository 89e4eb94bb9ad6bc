// A worker's part in reading a very large file: finds cuts in a range, tells whether ranges are what they were, stores ranges.
// What belongs together is the main thread's matter (big-file.ts).

import type { Cutter } from '../chunking/index.js';
import { chunkId, type RepositoryKeys } from '../crypto/index.js';
import { type ReadBuffer } from '../posix/directory.js';
import { describe, readCut } from './file-reader.js';
import type { Range } from './messages.js';
import type { PackMaker } from './pack-maker.js';

/** The file cannot be read; the message says why, for people. */
export class UnreadableError extends Error {}

/** Throws UnreadableError where `read` throws anything. */
export function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UnreadableError(describe(error), { cause: error });
  }
}

export interface BigFileWorkOptions {
  readonly keys: RepositoryKeys;
  readonly cutter: Cutter;
  readonly window: ReadBuffer;
  readonly packs: PackMaker;
}

/** Descriptors are the main thread's: so everybody reads the same file, whatever its name means by now. */
export class BigFileWork {
  readonly #options: BigFileWorkOptions;

  constructor(options: BigFileWorkOptions) {
    this.#options = options;
  }

  /** Where chunks end from the beginning of the range on, as far as the range decides it; to its end if the file ends there. */
  cut(fd: number, { offset, size_bytes }: Range, meet: readonly number[]): number[] {
    const met = new Set(meet);
    const cuts: number[] = [];
    reading(() =>
      readCut(this.#options, fd, offset, offset + size_bytes, (_, position) => {
        cuts.push(position);
        return !met.has(position);
      }),
    );
    return cuts;
  }

  identify(fd: number, ranges: readonly Range[], ids: readonly Uint8Array[]): boolean[] {
    const { keys } = this.#options;
    return ranges.map((range, index) => {
      const plain = reading(() => this.#read(fd, range));
      return plain !== undefined && chunkId(keys, plain).equals(ids[index]!);
    });
  }

  store(fd: number, ranges: readonly Range[]): Uint8Array[] {
    const ids: Uint8Array[] = [];
    for (const range of ranges) {
      const plain = reading(() => this.#read(fd, range));
      if (plain === undefined) break;
      ids.push(this.#options.packs.store(plain).id!);
    }
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
