// Builds one pack in memory. All of it has been read back: nothing leaves here that does not decode to the bytes that went in
// (a compressor that corrupts at one level is a bug that other tools have shipped). Never uploads.

import { ByteReader, ByteWriter } from '../bytes/cursor.js';
import { compressBound, defaultLevel, type Zstd } from '../compression/index.js';
import {
  newObjectKey,
  objectHeader_bytes,
  seal,
  sha256,
  tag_bytes,
  type ObjectKey,
  type RepositoryKeys,
} from '../crypto/index.js';
import { compress, encodeBody } from './body.js';
import { damaged } from '../errors/index.js';
import { decodeBlock, type DecodeRoom, openEnd } from './decode.js';
import {
  chunkId_bytes,
  directoryVersion,
  footer_bytes,
  footerMagic,
  packLimits,
  packMagic,
  packSections,
} from './layout.js';
import { decodeBlocks, encodeBlock } from './table.js';
import type { BlockChunk, BlockInfo, ChunkId, EncodedPackInfo, PackInfo } from './types.js';

export interface PackContext {
  readonly keys: RepositoryKeys;
  /** 32 hex digits. */
  readonly repositoryId: string;
  readonly zstd: Zstd;
}

export interface BuiltPack {
  /** In memory that all threads share. */
  readonly bytes: Buffer<SharedArrayBuffer>;
  /** `versionId` is '' until the store has given one. */
  readonly encodedInfo: EncodedPackInfo;
  /** The same, decoded when it is asked for. */
  readonly info: PackInfo;
}

/** Which chunk of the pack it is, counted over all its blocks; undefined if the pack does not hold it. */
export type ChunkIndex = (id: ChunkId) => number | undefined;

/** Blocks are compressed into it and read back by way of it, one after another: one thread needs it once. */
let workshop: (DecodeRoom & { readonly compressed: Buffer }) | undefined;

function workRoom(): NonNullable<typeof workshop> {
  return (workshop ??= {
    compressed: Buffer.allocUnsafeSlow(compressBound(packLimits.block_bytes)),
    opened: Buffer.allocUnsafeSlow(compressBound(packLimits.block_bytes)),
    plain: Buffer.allocUnsafeSlow(packLimits.block_bytes),
  });
}

/**
 * Memory of a pack that is begun, and of one that has outgrown that: room for most packs, of which nothing unused costs memory.
 * Threads share it: memory that is handed over has the engine of each look for garbage, again and again.
 */
const beginning_bytes = 1 << 20;
const usual_bytes = packLimits.target_bytes + packLimits.block_bytes;

/** Call cryptoReady once before the first. */
export class PackBuilder {
  readonly #context: PackContext;
  readonly #key: ObjectKey;
  /** The object as far as it is written. */
  #bytes: Buffer<SharedArrayBuffer>;
  #length = objectHeader_bytes;
  /** The directory's part about blocks, as far as they are known. */
  readonly #table = new ByteWriter();
  #blockCount = 0;
  #chunkCount = 0;

  /** `memory`: of a pack that is done with, to be used again: fresh memory costs a page fault every 4 KiB. */
  constructor(context: PackContext, memory = new SharedArrayBuffer(beginning_bytes)) {
    this.#bytes = Buffer.from(memory);
    this.#context = context;
    this.#key = newObjectKey(context.keys, packMagic, context.repositoryId);
    this.#bytes.set(this.#key.header);
  }

  /** What the pack will weigh without its records. */
  get size_bytes(): number {
    return this.#length + this.#table.length + 32 + tag_bytes + footer_bytes;
  }

  get chunkCount(): number {
    return this.#chunkCount;
  }

  get blockCount(): number {
    return this.#blockCount;
  }

  /** Time to finish. One more block would still be accepted. */
  get isFull(): boolean {
    return (
      this.size_bytes >= packLimits.target_bytes ||
      this.#chunkCount >= packLimits.targetChunks ||
      this.#blockCount >= packLimits.blocks - 1
    );
  }

  /**
   * Compresses and seals one block: `plain` is the chunks one after another (at most 65,536 chunks, 5 MiB). `plain` and the
   * ids may be re-used once this has returned. `level` as zstd counts them; null: stored as it is. Throws 'pack.damaged'
   * rather than keep what does not read back.
   */
  addBlock(plain: Uint8Array, chunks: readonly BlockChunk[], level: number | null = defaultLevel): void {
    this.#checkBlock(plain, chunks);
    const { zstd } = this.#context;
    const room = workRoom();
    const { codec, bytes } = compress(zstd, plain, level ?? undefined, room.compressed);
    const index = this.#blockCount;
    const sealed = this.#seal(packSections.block, index, bytes);
    const stored = { index, codec, plain_bytes: plain.length };
    if (Buffer.compare(decodeBlock(zstd, this.#key, 'in the making', stored, sealed, room), plain) !== 0)
      throw damaged(damage, 'a block of a new pack does not read back as it was written');
    encodeBlock(this.#table, { stored_bytes: sealed.length, plain_bytes: plain.length, codec, chunks });
    this.#blockCount++;
    this.#chunkCount += chunks.length;
  }

  /** Seals at the end of what is written. */
  #seal(section: number, index: number, plain: Uint8Array): Buffer {
    const room = this.#room(plain.length + tag_bytes);
    return seal(this.#key, section, index, noContext, plain, room);
  }

  /** The next `size` bytes, taken. */
  #room(size: number): Buffer {
    const from = this.#length;
    if (from + size > this.#bytes.length) {
      const grown = Buffer.from(new SharedArrayBuffer(Math.max(usual_bytes, 2 * (from + size))));
      this.#bytes.copy(grown, 0, 0, from);
      this.#bytes = grown;
    }
    this.#length = from + size;
    return this.#bytes.subarray(from, from + size);
  }

  #checkBlock(plain: Uint8Array, chunks: readonly BlockChunk[]): void {
    let total_bytes = 0;
    for (const { id, size_bytes } of chunks) {
      if (id.length !== chunkId_bytes) throw new RangeError(`a chunk id of ${id.length} bytes`);
      if (!(size_bytes > 0 && size_bytes <= packLimits.chunk_bytes))
        throw new RangeError(`a chunk of ${size_bytes} bytes`);
      total_bytes += size_bytes;
    }
    if (total_bytes !== plain.length || total_bytes === 0 || total_bytes > packLimits.block_bytes)
      throw new RangeError(`a block of ${plain.length} bytes with chunks of ${total_bytes}`);
    if (chunks.length > packLimits.chunksPerBlock) throw new RangeError(`a block of ${chunks.length} chunks`);
    if (this.#blockCount >= packLimits.blocks) throw new RangeError('too many blocks in a pack');
    if (this.#chunkCount + chunks.length > packLimits.chunks)
      throw new RangeError('too many chunks in a pack');
  }

  /**
   * The whole object. `records` is asked for the records' payload (lib/manifest/records.ts) with a resolver, so that rows can
   * name a chunk of this pack by its position. Throws rather than return bytes that do not read back.
   */
  finish(records: (chunkIndex: ChunkIndex) => Uint8Array): BuiltPack {
    const payload = records(this.#chunkIndex());
    const endAt = this.#length;
    const body = encodeBody(this.#context.zstd, payload, packLimits.records_bytes);
    const records_bytes = this.#seal(packSections.records, 0, body).length;
    const directory = new ByteWriter(this.#table.length + 32)
      .varint(directoryVersion)
      .varint(this.#blockCount)
      .raw(this.#table.view())
      .varint(records_bytes)
      .varint(endAt + records_bytes);
    const directory_bytes = this.#seal(packSections.directory, 0, directory.view()).length;
    const footer = new ByteWriter(footer_bytes)
      .u32(records_bytes)
      .u32(directory_bytes)
      .u32(this.#blockCount)
      .u32(0)
      .raw(Buffer.from(footerMagic, 'ascii'));
    this.#room(footer_bytes).set(footer.view());
    const bytes = this.#bytes.subarray(0, this.#length);
    const name = sha256(bytes).toString('hex');
    const end = openEnd(this.#context, name, this.#key, bytes.length, bytes.subarray(endAt));
    if (!end.records.equals(payload) || !end.directory.equals(directory.view()))
      throw damaged(damage, `the end of pack ${name} does not read back as it was written`);
    const { header } = this.#key;
    const about = { name, versionId: '', size_bytes: bytes.length, header };
    const blocks = (): BlockInfo[] => this.#decodedBlocks();
    return {
      bytes,
      encodedInfo: { ...about, blockCount: this.#blockCount, blockTable: new Uint8Array(this.#table.view()) },
      get info() {
        return { ...about, blocks: blocks() };
      },
    };
  }

  #decodedBlocks(): BlockInfo[] {
    const table = new ByteWriter(this.#table.length + 8).varint(this.#blockCount).raw(this.#table.view());
    return decodeBlocks(new ByteReader(table.view(), 'a new pack'), 'a new pack');
  }

  #chunkIndex(): ChunkIndex {
    let known: Map<string, number> | undefined;
    return (id) => {
      known ??= positions(this.#decodedBlocks());
      return known.get(Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1'));
    };
  }
}

const noContext = new Uint8Array(0);
const damage = 'pack.damaged';

function positions(blocks: readonly BlockInfo[]): Map<string, number> {
  const known = new Map<string, number>();
  let position = 0;
  for (const block of blocks)
    for (const { id } of block.chunks) known.set(Buffer.from(id).toString('latin1'), position++);
  return known;
}
