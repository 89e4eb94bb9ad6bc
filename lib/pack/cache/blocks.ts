// The disk cache as its readers see it: one sparse file for each pack, each stored block at its own offset in the pack. There is
// no index: a hole is a block that is not here, and what a crash or a disk has made of a block does not authenticate. So readers
// and writers of any number of processes need no lock, and everything may be deleted at any time.

import fs from 'node:fs';
import path from 'node:path';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../clock.js';
import { BlockBuffer } from '../block-buffer.js';
import { isPossiblePlace } from '../block-decoder.js';
import type { LocalBlocks } from '../local-blocks.js';
import type { ChunkPlace, PackName } from '../types.js';

/** What decides that a block is not here. Encrypted bytes begin like this once in 2^128 blocks. */
const hole = Buffer.alloc(16);

/** A file's time says when it was last of use, as exactly as this. */
const touchInterval_ms = 5 * 60 * 1000;
const touchedFiles = 4096;

export class CachedBlocks implements LocalBlocks {
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #buffer = new BlockBuffer();
  /** When this thread last gave a file the current time, by the monotonic clock. */
  readonly #touched_ms = new LRUCache<PackName, number>({ max: touchedFiles });

  constructor(directory: string, clock: Clock) {
    this.#directory = directory;
    this.#clock = clock;
  }

  read(place: ChunkPlace): Buffer | undefined {
    if (!isPossiblePlace(place)) return undefined;
    const { pack, blockOffset_bytes, blockStored_bytes } = place;
    return this.#inFile(pack, fs.constants.O_RDONLY, (descriptor) => {
      // A look first: reading a whole hole would fill the page cache with zeros.
      const beginning = this.#buffer.read(descriptor, blockOffset_bytes, hole.length);
      if (beginning === undefined || beginning.equals(hole)) return undefined;
      const bytes = this.#buffer.read(descriptor, blockOffset_bytes, blockStored_bytes);
      if (bytes !== undefined) this.#touch(pack, descriptor);
      return bytes;
    });
  }

  /** Makes it look like a hole. A block that was put right meanwhile is only fetched once more. */
  reject({ pack, blockOffset_bytes }: ChunkPlace): void {
    this.#inFile(pack, fs.constants.O_WRONLY, (descriptor) => {
      fs.writeSync(descriptor, hole, 0, hole.length, blockOffset_bytes);
    });
  }

  close(): void {
    this.#touched_ms.clear();
  }

  /** Opened for each use: an open file would keep the disk full after another process has deleted it. */
  #inFile<T>(pack: PackName, access: number, use: (descriptor: number) => T): T | undefined {
    let descriptor: number | undefined;
    try {
      descriptor = fs.openSync(path.join(this.#directory, pack), access | fs.constants.O_NOFOLLOW);
      return use(descriptor);
    } catch {
      // Gone, or a disk that does not read: the store has the block.
      return undefined;
    } finally {
      if (descriptor !== undefined) fs.closeSync(descriptor);
    }
  }

  #touch(pack: PackName, descriptor: number): void {
    const touched_ms = this.#touched_ms.get(pack);
    const now_ms = this.#clock.monotonic_ms();
    if (touched_ms !== undefined && now_ms - touched_ms < touchInterval_ms) return;
    this.#touched_ms.set(pack, now_ms);
    const now_s = Number(this.#clock.now_ns()) / 1e9;
    try {
      fs.futimesSync(descriptor, now_s, now_s);
    } catch {
      // Not ours, or read-only: as good to read from.
    }
  }
}
