// Builds one pack in memory. What it returns has been read back: nothing leaves here that does not decode to what went in
// (a compressor that corrupts at one level is a bug that other tools have shipped). Never uploads.

import { ByteWriter } from '../bytes/cursor.js';
import { defaultLevel, type Zstd } from '../compression/index.js';
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
import { verifyPack } from './decode.js';
import {
  chunkId_bytes,
  directoryVersion,
  footer_bytes,
  footerMagic,
  packLimits,
  packMagic,
  packSections,
} from './layout.js';
import { encodeBlock } from './table.js';
import type { BlockChunk, BlockInfo, ChunkId, PackInfo } from './types.js';

export interface PackContext {
  readonly keys: RepositoryKeys;
  /** 32 hex digits. */
  readonly repositoryId: string;
  readonly zstd: Zstd;
}

export interface BuiltPack {
  /** Alone in its ArrayBuffer: may be transferred to another thread. */
  readonly bytes: Buffer;
  /** `versionId` is '' until the store has given one. */
  readonly info: PackInfo;
}

/** Which chunk of the pack it is, counted over all its blocks; undefined if the pack does not hold it. */
export type ChunkIndex = (id: ChunkId) => number | undefined;

/** Call cryptoReady once before the first. */
export class PackBuilder {
  readonly #context: PackContext;
  readonly #key: ObjectKey;
  readonly #blocks: BlockInfo[] = [];
  readonly #stored: Buffer[] = [];
  /** The directory's part about blocks, as far as they are known. */
  readonly #table = new ByteWriter();
  #stored_bytes = 0;
  #chunkCount = 0;

  constructor(context: PackContext) {
    this.#context = context;
    this.#key = newObjectKey(context.keys, packMagic, context.repositoryId);
  }

  /** What the pack will weigh without its records. */
  get size_bytes(): number {
    return objectHeader_bytes + this.#stored_bytes + this.#table.length + 32 + tag_bytes + footer_bytes;
  }

  get chunkCount(): number {
    return this.#chunkCount;
  }

  get blockCount(): number {
    return this.#blocks.length;
  }

  /** Time to finish. One more block would still be accepted. */
  get isFull(): boolean {
    return (
      this.size_bytes >= packLimits.target_bytes ||
      this.#chunkCount >= packLimits.targetChunks ||
      this.#blocks.length >= packLimits.blocks - 1
    );
  }

  /**
   * Compresses and seals one block: `plain` is the chunks one after another (at most 65,536 chunks, 5 MiB). `plain` and the
   * ids may be re-used once this has returned. `level` as zstd counts them.
   */
  addBlock(plain: Uint8Array, chunks: readonly BlockChunk[], level: number = defaultLevel): void {
    this.#checkBlock(plain, chunks);
    const { codec, bytes } = compress(this.#context.zstd, plain, level);
    const sealed = seal(this.#key, packSections.block, this.#blocks.length, new Uint8Array(0), bytes);
    const block: BlockInfo = {
      stored_bytes: sealed.length,
      plain_bytes: plain.length,
      codec,
      chunks: chunks.map(({ id, size_bytes }) => ({ id: Buffer.from(id), size_bytes })),
    };
    encodeBlock(this.#table, block);
    this.#blocks.push(block);
    this.#stored.push(sealed);
    this.#stored_bytes += sealed.length;
    this.#chunkCount += chunks.length;
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
    if (this.#blocks.length >= packLimits.blocks) throw new RangeError('too many blocks in a pack');
    if (this.#chunkCount + chunks.length > packLimits.chunks)
      throw new RangeError('too many chunks in a pack');
  }

  /**
   * The whole object. `records` is asked for the records' payload (lib/manifest/records.ts) with a resolver, so that rows can
   * name a chunk of this pack by its position. Throws rather than return bytes that do not read back.
   */
  finish(records: (chunkIndex: ChunkIndex) => Uint8Array): BuiltPack {
    const sealedRecords = this.#sealRecords(records);
    const sealedDirectory = this.#sealDirectory(sealedRecords.length);
    const footer = new ByteWriter(footer_bytes)
      .u32(sealedRecords.length)
      .u32(sealedDirectory.length)
      .u32(this.#blocks.length)
      .u32(0)
      .raw(Buffer.from(footerMagic, 'ascii'));
    const parts = [this.#key.header, ...this.#stored, sealedRecords, sealedDirectory, footer.view()];
    const bytes = joinAlone(parts);
    const name = sha256(bytes).toString('hex');
    verifyPack(this.#context, bytes, name);
    return {
      bytes,
      info: { name, versionId: '', size_bytes: bytes.length, header: this.#key.header, blocks: this.#blocks },
    };
  }

  #sealRecords(records: (chunkIndex: ChunkIndex) => Uint8Array): Buffer {
    const body = encodeBody(this.#context.zstd, records(this.#chunkIndex()), packLimits.records_bytes);
    return seal(this.#key, packSections.records, 0, new Uint8Array(0), body);
  }

  #sealDirectory(records_bytes: number): Buffer {
    const directory = new ByteWriter(this.#table.length + 32)
      .varint(directoryVersion)
      .varint(this.#blocks.length)
      .raw(this.#table.view())
      .varint(records_bytes)
      .varint(objectHeader_bytes + this.#stored_bytes + records_bytes);
    return seal(this.#key, packSections.directory, 0, new Uint8Array(0), directory.view());
  }

  #chunkIndex(): ChunkIndex {
    let known: Map<string, number> | undefined;
    return (id) => {
      known ??= positions(this.#blocks);
      return known.get(Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1'));
    };
  }
}

/** The parts in one buffer that shares its memory with no other, so that it may be transferred to another thread. */
function joinAlone(parts: readonly Buffer[]): Buffer {
  const bytes = Buffer.from(new ArrayBuffer(parts.reduce((sum, part) => sum + part.length, 0)));
  let offset = 0;
  for (const part of parts) offset += part.copy(bytes, offset);
  return bytes;
}

function positions(blocks: readonly BlockInfo[]): Map<string, number> {
  const known = new Map<string, number>();
  let position = 0;
  for (const block of blocks)
    for (const { id } of block.chunks) known.set(Buffer.from(id).toString('latin1'), position++);
  return known;
}
