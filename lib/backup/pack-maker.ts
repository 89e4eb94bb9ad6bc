// A worker's packs: chunks that the repository does not have yet go into blocks, blocks into a pack, rows into its records, and
// a pack that is full goes to the main thread. Waits while too many of them are on their way. Never talks to the store.

import type { CatalogReader } from '../catalog/types.js';
import { compressBound } from '../compression/index.js';
import { chunkId } from '../crypto/index.js';
import { encodeRecordsOf } from '../manifest/records.js';
import { type EncodedRow, type OwnBlock, RecordRows, type StoredSegment } from '../manifest/row-stream.js';
import type { VersionHeader } from '../manifest/types.js';
import { PackBuilder, type PackContext } from '../pack/encode.js';
import type { BlockChunk, ChunkId, PackName } from '../pack/types.js';
import type { ChunkTable } from './chunk-table.js';
import type { FinishedPack } from './messages.js';

/** Smaller chunks share blocks of about this size. */
const blockTarget_bytes = 128 * 1024;
const blockTargetChunks = 16_384;
/** A pack is closed when its records weigh this much before compression, even if its blocks would have room. */
const recordsTarget_bytes = 8 * 1024 * 1024;
/** Parts of a large chunk that tell whether compressing it is worth a try: so many, of so many bytes. */
const samples = 8;
const sample_bytes = 4096;
const sampleLevel = 1;

export interface PackMakerOptions extends PackContext {
  readonly catalog: Pick<CatalogReader, 'hasChunk'>;
  readonly table: ChunkTable;
  readonly orphansUsed: Uint8Array;
  readonly stream: string;
  readonly run: string;
  readonly sequence: number;
  /** null: nothing is compressed. */
  readonly compressionLevel: number | null;
  /** The number of the next pack among those of the run. */
  nextPart(): number;
  /** May wait. */
  send(pack: FinishedPack): void;
  /** Memory of a pack that was sent and is stored, if there is any. */
  spareMemory(): SharedArrayBuffer | undefined;
}

export class PackMaker {
  readonly #options: PackMakerOptions;
  #builder: PackBuilder;
  #records = new RecordRows();

  // Small chunks wait here until they fill a block.
  readonly #block = Buffer.allocUnsafeSlow(2 * blockTarget_bytes);
  #blockLength_bytes = 0;
  #blockChunks: BlockChunk[] = [];
  #ownBlock: OwnBlock;

  readonly #sample = Buffer.allocUnsafeSlow(samples * sample_bytes);
  readonly #sampleRoom = Buffer.allocUnsafeSlow(compressBound(samples * sample_bytes));

  /** Plain bytes of chunks that were new to the repository, and bytes of the blocks that hold them. */
  newBytes = 0;
  storedBytes = 0;

  constructor(options: PackMakerOptions) {
    this.#options = options;
    this.#builder = new PackBuilder(options);
    this.#ownBlock = { records: this.#records, firstChunk: -1 };
  }

  /** Sees to it that the chunk is stored. `plain` may be re-used at once. */
  store(plain: Uint8Array): StoredSegment {
    const { keys } = this.#options;
    const id = chunkId(keys, plain);
    const size_bytes = plain.length;
    if (this.#isStored(id)) return { id, size_bytes, own: undefined };
    this.newBytes += size_bytes;
    const chunk = { id, size_bytes };
    let own: StoredSegment['own'];
    if (size_bytes >= blockTarget_bytes) {
      own = { block: { records: this.#records, firstChunk: this.#builder.chunkCount }, position: 0 };
      this.#addBlock(plain, [chunk], this.#levelFor(plain));
    } else {
      own = { block: this.#ownBlock, position: this.#blockChunks.length };
      this.#block.set(plain, this.#blockLength_bytes);
      this.#blockLength_bytes += size_bytes;
      this.#blockChunks.push(chunk);
      const isFull =
        this.#blockLength_bytes >= blockTarget_bytes || this.#blockChunks.length >= blockTargetChunks;
      if (isFull) this.flushBlock();
    }
    this.#closeIfFull();
    return { id, size_bytes, own };
  }

  /** Puts a row into the records of the pack at hand. */
  record(row: EncodedRow): void {
    this.#records.add(row);
    this.#closeIfFull();
  }

  /** The next row may stand anywhere in the tree. */
  endRun(): void {
    this.#records.endRun();
  }

  /** Whether closing would give a pack with anything in it. */
  get isEmpty(): boolean {
    return this.#builder.chunkCount === 0 && this.#blockChunks.length === 0 && this.#records.count === 0;
  }

  flushBlock(): void {
    if (this.#blockChunks.length === 0) return;
    this.#ownBlock.firstChunk = this.#builder.chunkCount;
    const plain = this.#block.subarray(0, this.#blockLength_bytes);
    this.#addBlock(plain, this.#blockChunks, this.#options.compressionLevel);
    this.#ownBlock = { records: this.#records, firstChunk: -1 };
    this.#blockChunks = [];
    this.#blockLength_bytes = 0;
  }

  /** `last`: the commit's header, and the other packs that belong to it. */
  close(last?: { header: VersionHeader; otherPacks: readonly PackName[] }): void {
    this.flushBlock();
    const { stream, run, sequence, nextPart, send } = this.#options;
    const about = { stream, run, sequence, part: nextPart(), ...(last === undefined ? {} : { last }) };
    const { bytes, encodedInfo } = this.#builder.finish(() => encodeRecordsOf(about, this.#records));
    send({ bytes, info: encodedInfo });
    this.#builder = new PackBuilder(this.#options, this.#options.spareMemory());
    this.#records = new RecordRows();
    this.#ownBlock = { records: this.#records, firstChunk: -1 };
  }

  #closeIfFull(): void {
    const { length_bytes, isFull } = this.#records;
    if (this.#builder.isFull || length_bytes >= recordsTarget_bytes || isFull) this.close();
  }

  #addBlock(plain: Uint8Array, chunks: readonly BlockChunk[], level: number | null): void {
    const before_bytes = this.#builder.size_bytes;
    this.#builder.addBlock(plain, chunks, level);
    this.storedBytes += this.#builder.size_bytes - before_bytes;
  }

  #isStored(id: ChunkId): boolean {
    const { catalog, table, orphansUsed } = this.#options;
    if (catalog.hasChunk(id)) return true;
    const claim = table.claim(id);
    if (claim.kind === 'orphan') orphansUsed[claim.pack] = 1;
    return claim.kind !== 'mine';
  }

  /** Photographs, films and archives are recognised by a few samples: compressing them in vain would take most of the time. */
  #levelFor(plain: Uint8Array): number | null {
    const { compressionLevel, zstd } = this.#options;
    if (compressionLevel === null) return null;
    const step = Math.floor((plain.length - sample_bytes) / (samples - 1));
    for (let index = 0; index < samples; index++)
      this.#sample.set(plain.subarray(index * step, index * step + sample_bytes), index * sample_bytes);
    const compressed = zstd.compress(this.#sample, sampleLevel, this.#sampleRoom);
    return compressed.length < this.#sample.length * incompressible ? compressionLevel : null;
  }
}

/** zstd stores what it cannot compress, with a few bytes around it. */
const incompressible = 0.99;
