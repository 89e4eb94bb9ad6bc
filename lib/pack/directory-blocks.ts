// Blocks read in place out of the packs of a directory store. Keeps the files of the packs used last open. Never writes.

import fs from 'node:fs';
import path from 'node:path';
import { LRUCache } from 'lru-cache';
import { BlockBuffer } from './block-buffer.js';
import { isPossiblePlace } from './block-decoder.js';
import type { LocalBlocks } from './local-blocks.js';
import { packKey } from './names.js';
import type { ChunkPlace, PackName } from './types.js';

/** For each thread that reads. */
const openFiles = 32;

// As the store opens them: follows no symlink and waits for no fifo.
const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;

export class DirectoryBlocks implements LocalBlocks {
  readonly #root: string;
  readonly #buffer = new BlockBuffer();
  readonly #files = new LRUCache<PackName, number>({
    max: openFiles,
    dispose: (descriptor) => fs.closeSync(descriptor),
  });

  constructor(root: string) {
    this.#root = root;
  }

  read(place: ChunkPlace): Buffer | undefined {
    if (!isPossiblePlace(place)) return undefined;
    try {
      const bytes = this.#buffer.read(
        this.#fileOf(place.pack),
        place.blockOffset_bytes,
        place.blockStored_bytes,
      );
      if (bytes === undefined) this.reject(place);
      return bytes;
    } catch {
      // The store, which is asked next, says in words what is wrong.
      this.reject(place);
      return undefined;
    }
  }

  #fileOf(pack: PackName): number {
    const known = this.#files.get(pack);
    if (known !== undefined) return known;
    const descriptor = fs.openSync(path.join(this.#root, packKey(pack)), flags);
    this.#files.set(pack, descriptor);
    return descriptor;
  }

  /** A pack that was put back whole is another file under the same name. */
  reject({ pack }: ChunkPlace): void {
    this.#files.delete(pack);
  }

  close(): void {
    this.#files.clear();
  }
}
