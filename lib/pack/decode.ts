// From a pack's bytes to what they mean, everything checked before it is used: the end (footer, directory, records), one
// block, or a whole pack. Never returns bytes that are not authentic; every error names the pack.

import { ByteReader } from '../bytes/cursor.js';
import type { Zstd } from '../compression/index.js';
import {
  chunkId,
  objectHeader_bytes,
  open,
  openObjectHeader,
  sha256,
  tag_bytes,
  type ObjectKey,
} from '../crypto/index.js';
import { damaged, newerFormat } from '../errors/index.js';
import type { ObjectStore } from '../store/types.js';
import { decodeBody } from './body.js';
import type { PackContext } from './encode.js';
import { fetchExact } from './fetch.js';
import {
  directoryVersion,
  footer_bytes,
  footerMagic,
  footerOffsets,
  maximumStoredRecords_bytes,
  minimumPack_bytes,
  packLimits,
  packMagic,
  packSections,
} from './layout.js';
import { packKey } from './names.js';
import { naming } from './naming.js';
import { decodeBlocks } from './table.js';
import { codecs, type BlockInfo, type Codec, type PackInfo, type PackName } from './types.js';

const noContext = new Uint8Array(0);
const damage = 'pack.damaged';

/** One request usually brings the whole end of a pack. */
const endGuess_bytes = 64 * 1024;

/** What a listing or a journal knows of a pack. */
export interface StoredPack {
  readonly name: PackName;
  /** '' on a store without versions. */
  readonly versionId: string;
  readonly size_bytes: number;
}

/** What the end of a pack says. */
export interface PackEnd {
  readonly info: PackInfo;
  /** Plain payload; lib/manifest/records.ts reads it. */
  readonly records: Buffer;
}

export function openPackHeader(
  context: Omit<PackContext, 'zstd'>,
  name: PackName,
  header: Uint8Array,
): ObjectKey {
  return naming(damage, `pack ${name}`, () =>
    openObjectHeader(context.keys, packMagic, context.repositoryId, header),
  );
}

/** Memory that is used again: large blocks taken anew cost page faults. Each has room for the block. */
export interface DecodeRoom {
  readonly opened: Buffer;
  readonly plain: Buffer;
}

/** The plain bytes of one stored block of pack `name`: new memory, or a view of the room if one is given. */
export function decodeBlock(
  zstd: Zstd,
  key: ObjectKey,
  name: PackName,
  block: { readonly index: number; readonly codec: Codec; readonly plain_bytes: number },
  stored: Uint8Array,
  room?: DecodeRoom,
): Buffer {
  return naming(damage, `pack ${name}, block ${block.index}`, () => {
    const bytes = open(key, packSections.block, block.index, noContext, stored, room?.opened);
    if (block.codec === codecs.zstd) return zstd.decompress(bytes, block.plain_bytes, room?.plain);
    if (bytes.length !== block.plain_bytes)
      throw damaged(damage, `it holds ${bytes.length} bytes instead of ${block.plain_bytes}`);
    return bytes;
  });
}

export interface Footer {
  readonly records_bytes: number;
  readonly directory_bytes: number;
  readonly blockCount: number;
}

function decodeFooter(footer: Buffer, size_bytes: number): Footer {
  if (
    footer.toString('latin1', footerOffsets.magic) !== footerMagic ||
    footer.readUInt32LE(footerOffsets.zero) !== 0
  )
    throw damaged(damage, 'it does not end as a pack');
  const records_bytes = footer.readUInt32LE(footerOffsets.recordsLength);
  const directory_bytes = footer.readUInt32LE(footerOffsets.directoryLength);
  const blockCount = footer.readUInt32LE(footerOffsets.blockCount);
  const isPossible =
    records_bytes <= maximumStoredRecords_bytes &&
    directory_bytes <= packLimits.directory_bytes &&
    directory_bytes > tag_bytes &&
    blockCount <= packLimits.blocks &&
    objectHeader_bytes + records_bytes + directory_bytes + footer_bytes <= size_bytes;
  if (!isPossible) throw damaged(damage, 'its footer holds impossible lengths');
  return { records_bytes, directory_bytes, blockCount };
}

function checkSize(size_bytes: number): void {
  if (size_bytes < minimumPack_bytes || size_bytes > packLimits.pack_bytes)
    throw damaged(damage, `a pack cannot have ${size_bytes} bytes`);
}

function decodeDirectory(plain: Buffer, footer: Footer, size_bytes: number): BlockInfo[] {
  const what = 'its directory';
  const reader = new ByteReader(plain, what);
  const version = reader.varint();
  if (version !== directoryVersion) throw newerFormat(what);
  const blocks = decodeBlocks(reader, what);
  const records_bytes = reader.varint();
  const total_bytes = reader.varint();
  reader.end();
  const sum_bytes = blocks.reduce(
    (sum, block) => sum + block.stored_bytes,
    objectHeader_bytes + records_bytes,
  );
  const fits =
    blocks.length === footer.blockCount &&
    records_bytes === footer.records_bytes &&
    total_bytes === sum_bytes &&
    total_bytes + footer.directory_bytes + footer_bytes === size_bytes;
  if (!fits) reader.fail('its lengths do not add up to the object');
  return blocks;
}

/** What the end of a pack holds, opened and not looked at any further. */
export interface OpenedEnd {
  readonly footer: Footer;
  readonly directory: Buffer;
  readonly records: Buffer;
}

/** `end` is records ‖ directory ‖ footer. */
export function openEnd(
  context: PackContext,
  name: PackName,
  key: ObjectKey,
  size_bytes: number,
  end: Buffer,
): OpenedEnd {
  return naming(damage, `pack ${name}`, () => {
    const footer = decodeFooter(end.subarray(end.length - footer_bytes), size_bytes);
    const sealed = end.subarray(footer.records_bytes, footer.records_bytes + footer.directory_bytes);
    const directory = naming(damage, 'its directory', () =>
      open(key, packSections.directory, 0, noContext, sealed),
    );
    const stored = end.subarray(0, footer.records_bytes);
    const records = decodeBody(
      context.zstd,
      naming(damage, 'its records', () => open(key, packSections.records, 0, noContext, stored)),
      packLimits.records_bytes,
      'its records',
    );
    return { footer, directory, records };
  });
}

function decodeEnd(
  context: PackContext,
  name: PackName,
  key: ObjectKey,
  size_bytes: number,
  end: Buffer,
): PackEnd {
  const { footer, directory, records } = openEnd(context, name, key, size_bytes, end);
  const blocks = naming(damage, `pack ${name}`, () => decodeDirectory(directory, footer, size_bytes));
  return { info: { name, versionId: '', size_bytes, header: key.header, blocks }, records };
}

/**
 * Directory and records of a stored pack, with two or three ranged requests. `stored` is what a listing says of it. That the
 * object hashes to its name is not checked here (that takes all of it), but nothing is returned that is not authentic.
 */
export async function readPackEnd(
  context: PackContext & { readonly store: ObjectStore },
  stored: StoredPack,
  signal?: AbortSignal,
): Promise<PackEnd> {
  const { name, versionId, size_bytes } = stored;
  naming(damage, `pack ${name}`, () => checkSize(size_bytes));
  const read = (offset: number, length: number) =>
    fetchExact(context.store, packKey(name), { versionId, range: { offset, length }, signal });
  const guess_bytes = Math.min(endGuess_bytes, size_bytes);
  const [header, tail] = await Promise.all([
    read(0, objectHeader_bytes),
    read(size_bytes - guess_bytes, guess_bytes),
  ]);
  const key = openPackHeader(context, name, header);
  const footer = naming(damage, `pack ${name}`, () =>
    decodeFooter(tail.subarray(tail.length - footer_bytes), size_bytes),
  );
  const end_bytes = footer.records_bytes + footer.directory_bytes + footer_bytes;
  const end =
    end_bytes <= tail.length
      ? tail.subarray(tail.length - end_bytes)
      : Buffer.concat([await read(size_bytes - end_bytes, end_bytes - tail.length), tail]);
  const decoded = decodeEnd(context, name, key, size_bytes, end);
  return { ...decoded, info: { ...decoded.info, versionId } };
}

/**
 * Everything about a whole pack: its name, its directory and records, every block, every chunk's id. Returns what its end
 * says; throws 'pack.damaged' (damaged), tampered or newer_format.
 */
export function verifyPack(context: PackContext, bytes: Uint8Array, name: PackName): PackEnd {
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (sha256(whole).toString('hex') !== name)
    throw damaged(damage, `pack ${name} does not have the bytes of its name`);
  naming(damage, `pack ${name}`, () => checkSize(whole.length));
  const key = openPackHeader(context, name, whole);
  const footer = naming(damage, `pack ${name}`, () =>
    decodeFooter(whole.subarray(whole.length - footer_bytes), whole.length),
  );
  const endAt = whole.length - footer.records_bytes - footer.directory_bytes - footer_bytes;
  const end = decodeEnd(context, name, key, whole.length, whole.subarray(endAt));
  let offset = objectHeader_bytes;
  for (const [index, block] of end.info.blocks.entries()) {
    const stored = whole.subarray(offset, offset + block.stored_bytes);
    verifyChunks(context, name, block, decodeBlock(context.zstd, key, name, { index, ...block }, stored));
    offset += block.stored_bytes;
  }
  return end;
}

function verifyChunks(context: PackContext, name: PackName, block: BlockInfo, plain: Buffer): void {
  let offset = 0;
  for (const { id, size_bytes } of block.chunks) {
    const chunk = plain.subarray(offset, offset + size_bytes);
    if (!chunkId(context.keys, chunk).equals(id)) throw wrongChunk(name, id);
    offset += size_bytes;
  }
}

export function wrongChunk(name: PackName, id: Uint8Array): Error {
  const hex = Buffer.from(id).toString('hex');
  return damaged(damage, `pack ${name} does not hold the bytes of chunk ${hex} where it should`);
}
