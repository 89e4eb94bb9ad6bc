// Blocks read in place out of the packs of a directory store. Keeps the files of the packs used last open. Never writes.

import fs from 'node:fs';
import path from 'node:path';
import { LRUCache } from 'lru-cache';
import { pathOfOpen, readFlags, stepFlags } from '../posix/step.js';
import { willNeed } from '../posix/read-ahead.js';
import { BlockBuffer } from './block-buffer.js';
import { isPossiblePlace } from './block-decoder.js';
import type { LocalBlocks } from './local-blocks.js';
import { packKey } from './names.js';
import type { ChunkPlace, PackName } from './types.js';

/** For each thread that reads. */
const openFiles = 32;
/** Asked of the disk behind a block, where the blocks behind it will be read, too. */
const ahead_bytes = 8 * 2 ** 20;

interface OpenPack {
  readonly descriptor: number;
  /** How far the disk was asked to read. */
  asked: number;
}

/** As the store opens its objects: each directory from the one above it, never through a symlink. */
function openBelow(directory: string, [name, ...rest]: readonly string[]): number {
  const at = path.join(directory, name!);
  if (rest.length === 0) return openRegular(at);
  const descriptor = fs.openSync(at, stepFlags());
  try {
    return openBelow(pathOfOpen(descriptor, at), rest);
  } finally {
    fs.closeSync(descriptor);
  }
}

/** A device of somebody's could keep this thread waiting. */
function openRegular(at: string): number {
  const descriptor = fs.openSync(at, readFlags);
  if (fs.fstatSync(descriptor).isFile()) return descriptor;
  fs.closeSync(descriptor);
  throw new Error('no regular file');
}

/** With its slash the root is followed where it is a symlink: the user has named it. */
const openPack = (root: string, name: PackName): number =>
  openBelow(root, ['./', ...packKey(name).split('/')]);

export class DirectoryBlocks implements LocalBlocks {
  readonly #root: string;
  readonly #buffer = new BlockBuffer();
  readonly #files = new LRUCache<PackName, OpenPack>({
    max: openFiles,
    dispose: ({ descriptor }) => fs.closeSync(descriptor),
  });

  readonly #readsOn: boolean;

  /** `readsOn`: most blocks are followed by those that lie behind them. */
  constructor(root: string, { readsOn = false } = {}) {
    this.#root = root;
    this.#readsOn = readsOn;
  }

  read(place: ChunkPlace): Buffer | undefined {
    if (!isPossiblePlace(place)) return undefined;
    try {
      const pack = this.#packOf(place.pack);
      const { blockOffset_bytes: offset, blockStored_bytes: length } = place;
      if (this.#readsOn) this.#ask(pack, offset + length);
      const bytes = this.#buffer.read(pack.descriptor, offset, length);
      if (bytes === undefined) this.reject(place);
      return bytes;
    } catch {
      // The store, which is asked next, says in words what is wrong.
      this.reject(place);
      return undefined;
    }
  }

  #packOf(name: PackName): OpenPack {
    const known = this.#files.get(name);
    if (known !== undefined) return known;
    const descriptor = openPack(this.#root, name);
    const pack = { descriptor, asked: 0 };
    this.#files.set(name, pack);
    return pack;
  }

  /** In large steps, so that the disk is ahead and few calls are made. */
  #ask(pack: OpenPack, end: number): void {
    if (pack.asked > end + ahead_bytes / 2) return;
    const from = Math.max(pack.asked, end);
    pack.asked = end + ahead_bytes;
    willNeed(pack.descriptor, from, pack.asked - from);
  }

  /** A pack that was put back whole is another file under the same name. */
  reject({ pack }: ChunkPlace): void {
    this.#files.delete(pack);
  }

  close(): void {
    this.#files.clear();
  }
}
