// A repository in memory for restores: scans a real tree into a catalog of trees and packs the chunks, so that restoring is
// tested without threads, stores and LMDB.

import fs from 'node:fs';
import { loadZstd } from '../../lib/compression/index.js';
import { chunkId, cryptoReady, type RepositoryKeys } from '../../lib/crypto/index.js';
import { missing } from '../../lib/store/failures.js';
import type { Entry, Segment } from '../../lib/manifest/types.js';
import { blockPlaces, PackBuilder, PackReader, packKey } from '../../lib/pack/index.js';
import type { BlockChunk } from '../../lib/pack/types.js';
import { openLong } from '../../lib/posix/long-path.js';
import { dataExtents } from '../../lib/posix/sparse.js';
import type { RestoreSource } from '../../lib/restore/index.js';
import type { GetOptions, ObjectStore } from '../../lib/store/types.js';
import { MemoryCatalog } from './memory-catalog.js';
import { absolutePath, realTree } from './real-tree.js';

await cryptoReady();
const zstd = await loadZstd();

const otherKey = Buffer.alloc(32, 8);
export const keys: RepositoryKeys = {
  chunkId: Buffer.alloc(32, 7),
  gear: otherKey,
  wrap: otherKey,
  stream: otherKey,
  descriptor: otherKey,
};

const chunk_bytes = 1 << 20;
const chunksInBlock = 16;
const block_bytes = 2 << 20;
const blocksInPack = 8;

export class MemoryRepository implements RestoreSource {
  readonly catalog = Object.assign(new MemoryCatalog(), {
    version: (_stream: string, sequence: number) =>
      this.catalog.root('', sequence) && ({ header: { sourcePath: Buffer.from('/the/source') } } as never),
  });
  readonly #objects = new Map<string, Buffer>();
  readonly context = {
    keys,
    repositoryId: '0'.repeat(32),
    zstd,
    store: { get: this.#get.bind(this) } as Pick<ObjectStore, 'get'> as ObjectStore,
  };
  readonly packs = new PackReader(this.context);
  readonly localBlocks = { kind: 'none' } as const;
  /** Requests so far. */
  reads = 0;
  /** Awaited before each read. */
  beforeRead: () => Promise<void> = () => Promise.resolve();
  #builder = new PackBuilder(this.context);
  #block: { plain: Buffer; id: Buffer }[] = [];
  #known = new Set<string>();

  /** The tree under `root` as version `sequence`. */
  add(root: string, sequence: number): void {
    const entries: (readonly [Buffer, Entry])[] = [];
    for (const [path, entry] of realTree(root)) {
      const content = entry.type === 'file' ? this.#store(absolutePath(root, path), entry.size_bytes) : [];
      entries.push([path, { ...entry, content }]);
    }
    this.#closeBlock();
    this.#closePack();
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
    if (this.#known.has(key)) return id;
    this.#known.add(key);
    const size_bytes = this.#block.reduce((sum, chunk) => sum + chunk.plain.length, 0);
    if (this.#block.length === chunksInBlock || size_bytes >= block_bytes) this.#closeBlock();
    this.#block.push({ plain, id });
    return id;
  }

  #closeBlock(): void {
    if (this.#block.length === 0) return;
    const chunks = this.#block.map(({ plain, id }): BlockChunk => ({ id, size_bytes: plain.length }));
    this.#builder.addBlock(Buffer.concat(this.#block.map(({ plain }) => plain)), chunks);
    this.#block = [];
    if (this.#builder.blockCount === blocksInPack) this.#closePack();
  }

  #closePack(): void {
    if (this.#builder.blockCount === 0) return;
    const { bytes, info } = this.#builder.finish(() => Buffer.alloc(0));
    this.#builder = new PackBuilder(this.context);
    this.#objects.set(packKey(info.name), bytes);
    for (const { id, place } of [...blockPlaces(info)].flat())
      this.catalog.places.set(Buffer.from(id).toString('hex'), place);
  }

  /** Turns a bit of the first block of the first pack; a second call turns it back. */
  turnBit(): void {
    const [bytes] = this.#objects.values();
    const [place] = this.catalog.places.values();
    bytes![place!.blockOffset_bytes]! ^= 1;
  }

  async #get(key: string, { range, signal }: GetOptions = {}): Promise<Buffer> {
    this.reads++;
    await this.beforeRead();
    signal?.throwIfAborted();
    const bytes = this.#objects.get(key);
    if (bytes === undefined) throw missing('memory', key);
    return range === undefined ? bytes : bytes.subarray(range.offset, range.offset + range.length);
  }
}
