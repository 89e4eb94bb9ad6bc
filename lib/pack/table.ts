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

function decodeBlockInfo(reader: ByteReader, what: string): BlockInfo {
  const stored_bytes = reader.varint(packLimits.block_bytes + tag_bytes);
  const plain_bytes = reader.varint(packLimits.block_bytes);
  const codec = checkCodec(reader.u8(), what);
  const isPossible =
    codec === codecs.stored
      ? stored_bytes === plain_bytes + tag_bytes
      : stored_bytes > tag_bytes && stored_bytes <= plain_bytes + tag_bytes;
  if (!isPossible) reader.fail(`a block of ${plain_bytes} bytes cannot be stored in ${stored_bytes}`);
  const count = reader.varint(packLimits.chunksPerBlock);
  if (count === 0 || count * minimumChunk_bytes > reader.remaining) reader.fail(`${count} chunks in a block`);
  const chunks: BlockChunk[] = [];
  let total_bytes = 0;
  for (let index = 0; index < count; index++) {
    const id = reader.raw(chunkId_bytes);
    const size_bytes = reader.varint(packLimits.chunk_bytes);
    if (size_bytes === 0) reader.fail('an empty chunk');
    total_bytes += size_bytes;
    chunks.push({ id, size_bytes });
  }
  if (total_bytes !== plain_bytes) reader.fail(`chunks of ${total_bytes} bytes in a block of ${plain_bytes}`);
  return { stored_bytes, plain_bytes, codec, chunks };
}

/** varint block count, then the blocks. */
export function decodeBlocks(reader: ByteReader, what: string): BlockInfo[] {
  const count = reader.varint(packLimits.blocks);
  if (count * minimumBlock_bytes > reader.remaining) reader.fail(`${count} blocks`);
  const blocks: BlockInfo[] = [];
  let chunkCount = 0;
  for (let index = 0; index < count; index++) {
    const block = decodeBlockInfo(reader, what);
    chunkCount += block.chunks.length;
    if (chunkCount > packLimits.chunks) reader.fail(`more than ${packLimits.chunks} chunks`);
    blocks.push(block);
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

/** Header and ids are views of the reader's bytes. */
export function decodePackInfo(reader: ByteReader, what: string): PackInfo {
  const name = reader.raw(32).toString('hex');
  const versionId = reader.text(versionId_bytes);
  const size_bytes = reader.varint(packLimits.pack_bytes);
  const header = reader.raw(objectHeader_bytes);
  const blocks = decodeBlocks(reader, what);
  const needed_bytes = blocks.reduce(
    (sum, block) => sum + block.stored_bytes,
    objectHeader_bytes + footer_bytes,
  );
  if (needed_bytes > size_bytes) reader.fail(`blocks of ${needed_bytes} bytes in a pack of ${size_bytes}`);
  return { name, versionId, size_bytes, header, blocks };
}
