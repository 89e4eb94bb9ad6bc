// A repository in memory for restores: scans a real tree into a catalog of trees and keeps the chunks, so that restoring is
// tested without packs, stores and encryption.

import fs from 'node:fs';
import { type ScanOptions, scan } from '../../lib/backup/scan.js';
import { makeExcludes } from '../../lib/backup/exclude.js';
import { chunkId, type RepositoryKeys } from '../../lib/crypto/index.js';
import { damaged } from '../../lib/errors/index.js';
import type { Entry, Segment } from '../../lib/manifest/types.js';
import type { ChunkPlace } from '../../lib/pack/types.js';
import { openLong } from '../../lib/posix/long-path.js';
import { dataExtents } from '../../lib/posix/sparse.js';
import type { RestoreSource } from '../../lib/restore/index.js';
import { MemoryCatalog } from './memory-catalog.js';

const zeroKey = Buffer.alloc(32);
export const keys: RepositoryKeys = {
  chunkId: Buffer.alloc(32, 7),
  gear: zeroKey,
  wrap: zeroKey,
  stream: zeroKey,
  descriptor: zeroKey,
};

const chunk_bytes = 1 << 20;
const chunksInBlock = 16;
const blocksInPack = 8;

export class MemoryRepository implements RestoreSource {
  readonly catalog = Object.assign(new MemoryCatalog(), {
    version: (_stream: string, sequence: number) =>
      this.catalog.root('', sequence) && ({ header: { sourcePath: Buffer.from('/the/source') } } as never),
  });
  readonly context = { keys };
  readonly packs = { readBlocks: this.#readBlocks.bind(this), chunkFrom: this.#chunkFrom.bind(this) };
  /** Requests so far, and blocks whose reading fails as damaged. */
  reads = 0;
  readonly broken = new Set<string>();
  /** Awaited before each read. */
  beforeRead: () => Promise<void> = () => Promise.resolve();
  readonly #blocks = new Map<string, Buffer[]>();
  #block = 0;

  /** The tree under `root` as version `sequence`. */
  add(root: string, sequence: number): void {
    const entries: (readonly [Buffer, Entry])[] = [];
    const options: ScanOptions = {
      root: Buffer.from(root),
      excludes: makeExcludes([]),
      oneFileSystem: false,
      excludeCaches: false,
      skip: [],
    };
    for (const found of scan(options)) {
      if (found.kind !== 'entry') continue;
      const entry = found.complete()!;
      const absolute = Buffer.concat([Buffer.from(`${root}/`), found.path]);
      const content = entry.type === 'file' ? this.#store(absolute, entry.size_bytes) : [];
      entries.push([found.path, { ...entry, content }]);
    }
    this.catalog.setVersion(sequence, entries);
  }

  #store(absolute: Buffer, size_bytes: number): Segment[] {
    const fd = openLong(absolute, fs.constants.O_RDONLY);
    const segments: Segment[] = [];
    let at = 0;
    try {
      for (const extent of dataExtents(fd, 0, size_bytes)) {
        if (extent.offset > at) segments.push({ kind: 'hole', size_bytes: extent.offset - at });
        at = extent.offset + extent.size_bytes;
        for (let offset = extent.offset; offset < at; offset += chunk_bytes) {
          const plain = Buffer.alloc(Math.min(chunk_bytes, at - offset));
          fs.readSync(fd, plain, 0, plain.length, offset);
          segments.push({ kind: 'chunk', id: this.addChunk(plain), size_bytes: plain.length });
        }
      }
    } finally {
      fs.closeSync(fd);
    }
    if (size_bytes > at) segments.push({ kind: 'hole', size_bytes: size_bytes - at });
    return segments;
  }

  addChunk(plain: Buffer): Buffer {
    const id = chunkId(keys, plain);
    const key = id.toString('hex');
    if (this.catalog.places.has(key)) return id;
    let pack = `pack ${Math.floor(this.#block / blocksInPack)}`;
    let blocks = this.#blocks.get(`${pack} ${this.#block}`);
    if (blocks?.length === chunksInBlock) {
      this.#block++;
      pack = `pack ${Math.floor(this.#block / blocksInPack)}`;
      blocks = undefined;
    }
    if (!blocks) this.#blocks.set(`${pack} ${this.#block}`, (blocks = []));
    const offset_bytes = blocks.reduce((sum, { length }) => sum + length, 0);
    blocks.push(plain);
    const place: ChunkPlace = {
      pack,
      packVersionId: '',
      packHeader: Buffer.alloc(0),
      block: this.#block,
      blockOffset_bytes: this.#block * 1000,
      blockStored_bytes: 1000,
      blockPlain_bytes: offset_bytes + plain.length,
      codec: 0,
      offset_bytes,
      size_bytes: plain.length,
    };
    this.catalog.places.set(key, place);
    return id;
  }

  async #readBlocks(places: readonly ChunkPlace[], signal?: AbortSignal): Promise<Map<number, Buffer>> {
    this.reads++;
    await this.beforeRead();
    signal?.throwIfAborted();
    const found = new Map<number, Buffer>();
    for (const { pack, block } of places) {
      const key = `${pack} ${block}`;
      if (this.broken.has(key)) throw damaged('pack.damaged', `block ${block} of ${pack} is damaged`);
      found.set(block, Buffer.concat(this.#blocks.get(key)!));
    }
    return found;
  }

  #chunkFrom(block: Buffer, place: ChunkPlace, id: Uint8Array): Buffer {
    const chunk = block.subarray(place.offset_bytes, place.offset_bytes + place.size_bytes);
    if (!chunkId(keys, chunk).equals(id))
      throw damaged('pack.wrong_chunk', 'not the chunk that was asked for');
    return chunk;
  }
}
