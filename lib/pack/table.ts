// The table of a pack's blocks and chunks: the same bytes in a pack's own directory and in the commit that adds the pack.
// Decoding checks every number before it is used; offsets follow by addition.

import type { ByteReader } from '../bytes/cursor.js';
import { type ByteWriter } from '../bytes/cursor.js';
import { objectHeader_bytes, tag_bytes } from '../crypto/index.js';
import { checkCodec } from './body.js';
import { chunkId_bytes, footer_bytes, packLimits } from './layout.js';
import { codecs, type BlockChunk, type BlockInfo, type EncodedPackInfo, type PackInfo } from './types.js';

const minimumChunk_bytes = chunkId_bytes + 1;
const minimumBlock_bytes = 4 + minimumChunk_bytes;

export function encodeBlock(writer: ByteWriter, block: BlockInfo): void {
  writer.varint(block.stored_bytes).varint(block.plain_bytes).u8(block.codec).varint(block.chunks.length);
  for (const chunk of block.chunks) writer.raw(chunk.id).varint(chunk.size_bytes);
}

/** The blocks and chunks of a table as bare numbers: a table may have a quarter of a million of them. */
export interface FlatBlocks {
  /** Of each block: stored and plain bytes, codec, number of chunks. */
  readonly blocks: readonly number[];
  /** Of each chunk: where its id lies, and its plain bytes. */
  readonly chunks: readonly number[];
}

/** varint block count, then the blocks. All that may be wrong with them is seen here. */
function scanBlocks(reader: ByteReader, what: string): { blocks: number[]; chunks: number[] } {
  const blockCount = reader.varint(packLimits.blocks);
  if (blockCount * minimumBlock_bytes > reader.remaining) reader.fail(`${blockCount} blocks`);
  const blocks: number[] = [];
  const chunks: number[] = [];
  for (let block = 0; block < blockCount; block++) {
    const stored_bytes = reader.varint(packLimits.block_bytes + tag_bytes);
    const plain_bytes = reader.varint(packLimits.block_bytes);
    const codec = checkCodec(reader.u8(), what);
    const isPossible =
      codec === codecs.stored
        ? stored_bytes === plain_bytes + tag_bytes
        : stored_bytes > tag_bytes && stored_bytes <= plain_bytes + tag_bytes;
    if (!isPossible) reader.fail(`a block of ${plain_bytes} bytes cannot be stored in ${stored_bytes}`);
    const count = reader.varint(packLimits.chunksPerBlock);
    if (count === 0 || count * minimumChunk_bytes > reader.remaining)
      reader.fail(`${count} chunks in a block`);
    let total_bytes = 0;
    for (let index = 0; index < count; index++) {
      chunks.push(reader.position);
      reader.skip(chunkId_bytes);
      const size_bytes = reader.varint(packLimits.chunk_bytes);
      if (size_bytes === 0) reader.fail('an empty chunk');
      total_bytes += size_bytes;
      chunks.push(size_bytes);
    }
    if (total_bytes !== plain_bytes)
      reader.fail(`chunks of ${total_bytes} bytes in a block of ${plain_bytes}`);
    blocks.push(stored_bytes, plain_bytes, codec, count);
    if (chunks.length > 2 * packLimits.chunks) reader.fail(`more than ${packLimits.chunks} chunks`);
  }
  return { blocks, chunks };
}

/** The same as objects. Ids are views of the reader's bytes. */
export function decodeBlocks(reader: ByteReader, what: string): BlockInfo[] {
  const flat = scanBlocks(reader, what);
  const blocks: BlockInfo[] = [];
  let chunk = 0;
  for (let at = 0; at < flat.blocks.length; at += 4) {
    const chunks: BlockChunk[] = [];
    for (const end = chunk + 2 * flat.blocks[at + 3]!; chunk < end; chunk += 2) {
      const id_at = flat.chunks[chunk]!;
      chunks.push({ id: reader.view(id_at, id_at + chunkId_bytes), size_bytes: flat.chunks[chunk + 1]! });
    }
    blocks.push({
      stored_bytes: flat.blocks[at]!,
      plain_bytes: flat.blocks[at + 1]!,
      codec: checkCodec(flat.blocks[at + 2]!, what),
      chunks,
    });
  }
  return blocks;
}

/** name 32 ‖ version id ‖ varint size ‖ object header 132 ‖ varint block count ‖ blocks. */
export function encodePackInfo(writer: ByteWriter, info: PackInfo | EncodedPackInfo): void {
  writer.raw(Buffer.from(info.name, 'hex')).text(info.versionId).varint(info.size_bytes).raw(info.header);
  if ('blockTable' in info) writer.varint(info.blockCount).raw(info.blockTable);
  else {
    writer.varint(info.blocks.length);
    for (const block of info.blocks) encodeBlock(writer, block);
  }
}

/** Longest version id that any store may hand out; S3 promises at most 1,024 bytes. */
export const versionId_bytes = 1024;

type PackHead = Omit<PackInfo, 'blocks'>;

function decodePackHead(reader: ByteReader): PackHead {
  const name = reader.raw(32).toString('hex');
  const versionId = reader.text(versionId_bytes);
  const size_bytes = reader.varint(packLimits.pack_bytes);
  const header = reader.raw(objectHeader_bytes);
  return { name, versionId, size_bytes, header };
}

function checkSize(reader: ByteReader, { size_bytes }: PackHead, stored_bytes: number): void {
  const needed_bytes = stored_bytes + objectHeader_bytes + footer_bytes;
  if (needed_bytes > size_bytes) reader.fail(`blocks of ${needed_bytes} bytes in a pack of ${size_bytes}`);
}

/** Header and ids are views of the reader's bytes. */
export function decodePackInfo(reader: ByteReader, what: string): PackInfo {
  const head = decodePackHead(reader);
  const blocks = decodeBlocks(reader, what);
  checkSize(
    reader,
    head,
    blocks.reduce((sum, block) => sum + block.stored_bytes, 0),
  );
  return { ...head, blocks };
}

/** A pack with its table as it lies in `bytes`, which is all of what encodePackInfo wrote; nothing of it is an object. */
export interface FlatPackInfo extends PackHead, FlatBlocks {
  readonly bytes: Buffer;
}

/** The same for whoever keeps the bytes and has a million chunks to take in. Views of the reader's bytes. */
export function scanPackInfo(reader: ByteReader, what: string): FlatPackInfo {
  const start = reader.position;
  const head = decodePackHead(reader);
  const { blocks, chunks } = scanBlocks(reader, what);
  let stored_bytes = 0;
  for (let at = 0; at < blocks.length; at += 4) stored_bytes += blocks[at]!;
  checkSize(reader, head, stored_bytes);
  for (let at = 0; at < chunks.length; at += 2) chunks[at] = chunks[at]! - start;
  return { ...head, blocks, chunks, bytes: reader.view(start, reader.position) };
}
