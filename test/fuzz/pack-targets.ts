// Decoders of packs and of the small objects that open a repository: stored bytes, and the plain bytes behind the seal, as
// somebody with the keys (another version of the program, a bug of one) could have written them.

import { ByteReader } from '../../lib/bytes/cursor.js';
import { loadZstd } from '../../lib/compression/index.js';
import { newObjectKey, objectHeader_bytes, seal, sha256 } from '../../lib/crypto/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { parseDescriptor, verifyDescriptor } from '../../lib/keys/descriptor.js';
import { parseSlot } from '../../lib/keys/slots.js';
import { decodeRecords } from '../../lib/manifest/records.js';
import { decodeBody } from '../../lib/pack/body.js';
import { decodeBlock, verifyPack } from '../../lib/pack/decode.js';
import {
  footer_bytes,
  footerMagic,
  footerOffsets,
  packLimits,
  packMagic,
  packSections,
} from '../../lib/pack/layout.js';
import { decodeBlocks, decodePackInfo, encodePackInfo, scanPackInfo } from '../../lib/pack/table.js';
import { ByteWriter } from '../../lib/bytes/cursor.js';
import { type Codec, codecs } from '../../lib/pack/types.js';
import { packContext, repositoryId } from '../pack/fixture.js';
import { same, sameEnding, sameValues } from './same.js';
import type { Target } from './target.js';

const noContext = Buffer.alloc(0);
const smallPack_bytes = 2 ** 20;
const name = '00'.repeat(32);

export async function packTargets(): Promise<Target[]> {
  const context = await packContext();
  const { keys, zstd } = context;
  const bindings = [zstd, await loadZstd('node:zlib'), await loadZstd('wasm')];

  /** A pack with that directory, as far as its blocks have room. */
  const packWith = (directory: Buffer): Buffer => {
    const key = newObjectKey(keys, packMagic, repositoryId);
    const records = seal(key, packSections.records, 0, noContext, Buffer.from([codecs.stored, 1, 7]));
    const sealed = seal(key, packSections.directory, 0, noContext, directory);
    const { count, stored_bytes } = blocksOf(directory);
    const footer = Buffer.alloc(footer_bytes);
    footer.writeUInt32LE(records.length, footerOffsets.recordsLength);
    footer.writeUInt32LE(sealed.length, footerOffsets.directoryLength);
    footer.writeUInt32LE(count, footerOffsets.blockCount);
    footer.write(footerMagic, footerOffsets.magic, 'latin1');
    const blocks = Buffer.alloc(Math.min(stored_bytes, smallPack_bytes));
    return Buffer.concat([key.header, blocks, records, sealed, footer]);
  };

  return [
    {
      name: 'pack',
      read: (input) => verifyPack(context, input, sha256(input).toString('hex')),
    },
    {
      name: 'pack-directory',
      allocated_bytes: 16 * 2 ** 20,
      read: (input) => {
        const pack = packWith(input);
        return verifyPack(context, pack, sha256(pack).toString('hex'));
      },
    },
    {
      // Byte 0: codec; then the length that the directory states, 32 bits; then what was sealed.
      name: 'pack-block',
      allocated_bytes: 2 * packLimits.block_bytes,
      read: (input) => {
        const reader = new ByteReader(input, 'the input');
        const codec: Codec = reader.u8() % 2 === 0 ? codecs.stored : codecs.zstd;
        const plain_bytes = reader.u32() % packLimits.block_bytes;
        const key = newObjectKey(keys, packMagic, repositoryId);
        const stored = seal(key, packSections.block, 0, noContext, reader.raw(reader.remaining));
        const plain = decodeBlock(zstd, key, name, { index: 0, codec, plain_bytes }, stored);
        if (plain.length !== plain_bytes) throw new Error(`${plain.length} bytes instead of ${plain_bytes}`);
      },
    },
    {
      // Older releases of zstd (1.5.4) take some malformed frames that newer ones refuse; the bytes are never other ones.
      name: 'body',
      allocated_bytes: 4 * 2 ** 20,
      share: 300,
      read: (input) =>
        sameValues(bindings.map((binding) => () => decodeBody(binding, input, 2 ** 20, 'a body'))).length,
    },
    {
      name: 'records',
      read: (input) => {
        const chunks = [1, 2, 3].map((byte) => ({ id: Buffer.alloc(32, byte), size_bytes: 100 }));
        const blocks = [{ stored_bytes: 316, plain_bytes: 300, codec: codecs.stored, chunks }];
        const pack = { name, versionId: '', size_bytes: 2000, header: Buffer.alloc(132), blocks };
        return [...decodeRecords(input, pack).rows()].length;
      },
    },
    {
      name: 'pack-table',
      read: (input) =>
        sameEnding([
          () => {
            const reader = new ByteReader(input, 'a table');
            const info = decodePackInfo(reader, 'a table');
            const again = new ByteWriter();
            encodePackInfo(again, info);
            same(decodePackInfo(new ByteReader(again.take(), 'a table'), 'a table'), info);
            return [info.name, info.size_bytes, info.blocks.length, reader.position];
          },
          () => {
            const reader = new ByteReader(input, 'a table');
            const info = scanPackInfo(reader, 'a table');
            return [info.name, info.size_bytes, info.blocks.length / 4, reader.position];
          },
        ]),
    },
    {
      name: 'descriptor',
      read: (input) => {
        verifyDescriptor(parseDescriptor(input), keys);
      },
    },
    {
      name: 'key-slot',
      read: (input) => {
        const { cost } = parseSlot(input, repositoryId);
        if (cost.memory_bytes > 2 ** 27 || cost.ops > 8) throw new Error('a slot of any cost');
      },
    },
  ];
}

/** What a table of blocks adds up to; nothing where it is none. */
function blocksOf(directory: Buffer): { count: number; stored_bytes: number } {
  try {
    const reader = new ByteReader(directory, 'the input');
    reader.varint();
    const blocks = decodeBlocks(reader, 'the input');
    return {
      count: blocks.length,
      stored_bytes: blocks.reduce((sum, block) => sum + block.stored_bytes, 0),
    };
  } catch (error) {
    if (!(error instanceof RrbackupError)) throw error;
    return { count: 0, stored_bytes: objectHeader_bytes };
  }
}
