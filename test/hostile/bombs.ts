// Objects that somebody with the repository's keys has made to fill the memory of whoever reads them. Each is small and correctly
// sealed; what is inside lies, or unpacks to as much as the format allows. What is 'full of' something lies in nothing.

import { ByteWriter } from '../../lib/bytes/cursor.js';
import { newObjectKey, seal } from '../../lib/crypto/index.js';
import { encodeHeader } from '../../lib/manifest/header.js';
import { commitMagic, manifestLimits } from '../../lib/manifest/layout.js';
import { rootBinding } from '../../lib/manifest/object.js';
import { packLimits } from '../../lib/pack/layout.js';
import type { PackContext } from '../../lib/pack/encode.js';
import { headerOf, stream } from '../manifest/fixture.js';

/** Files of bombs that are read by one process. Which zstd it has matters to those of frames alone. */
export const groups = {
  frames: (file: string): boolean => /unpack|frame|say/.test(file),
  packs: (file: string): boolean => !groups.frames(file) && file.startsWith('pack-'),
  others: (file: string): boolean => !groups.frames(file) && !file.startsWith('pack-'),
};
export const isGroup = (name: string): name is keyof typeof groups => name in groups;

const none = Buffer.alloc(0);
const MiB = 2 ** 20;
const huge = 2 ** 32;
/** The largest that can be written at all. */
const enormous = 2 ** 53 - 1;

/** A zstd frame that says `stated_bytes` and unpacks to `unpacked_bytes` zeros. */
function frame(stated_bytes: number, unpacked_bytes: number, windowLog?: number): Buffer {
  const block_bytes = 128 * 1024;
  const blocks = Math.max(1, Math.ceil(unpacked_bytes / block_bytes));
  // Single segment, or a window of its own; a content size of eight bytes.
  const head = new ByteWriter().u32(0xfd2fb528).u8(windowLog === undefined ? 0xe0 : 0xc0);
  if (windowLog !== undefined) head.u8((windowLog - 10) << 3);
  head.u64(BigInt(stated_bytes));
  for (let index = 0; index < blocks; index++) {
    const isLast = index === blocks - 1 ? 1 : 0;
    const header = (block_bytes << 3) | (1 << 1) | isLast;
    head
      .u16(header & 0xffff)
      .u8(header >> 16)
      .u8(0);
  }
  return head.take();
}

const zstdBody = (stated_bytes: number, bytes: Buffer): Buffer =>
  new ByteWriter().u8(1).varint(stated_bytes).raw(bytes).take();
const plainBody = (bytes: Uint8Array): Buffer =>
  new ByteWriter().u8(0).varint(bytes.length).raw(bytes).take();

interface PackParts {
  /** Of one block, plain. */
  readonly block?: Buffer;
  readonly records?: Buffer;
  readonly directory?: Buffer;
}

function packOf(context: PackContext, { block, records = plainBody(none), directory }: PackParts): Buffer {
  const key = newObjectKey(context.keys, 'RRBPACK1', context.repositoryId);
  const sealedBlock = block === undefined ? none : seal(key, 1, 0, none, block);
  const sealedRecords = seal(key, 2, 0, none, records);
  const honest = new ByteWriter().varint(1).varint(block === undefined ? 0 : 1);
  if (block !== undefined) {
    honest.varint(sealedBlock.length).varint(packLimits.block_bytes).u8(1).varint(2);
    honest.raw(Buffer.alloc(32, 1)).varint(4 * MiB);
    honest.raw(Buffer.alloc(32, 2)).varint(MiB);
  }
  honest.varint(sealedRecords.length).varint(key.header.length + sealedBlock.length + sealedRecords.length);
  const sealedDirectory = seal(key, 3, 0, none, directory ?? honest.take());
  const footer = new ByteWriter()
    .u32(sealedRecords.length)
    .u32(sealedDirectory.length)
    .u32(block === undefined ? 0 : 1)
    .u32(0)
    .raw(Buffer.from('RRBPEND1'));
  return Buffer.concat([key.header, sealedBlock, sealedRecords, sealedDirectory, footer.view()]);
}

/** The records of a run that has begun, up to the number of rows. */
const recordsStart = (): ByteWriter =>
  new ByteWriter().varint(1).raw(Buffer.alloc(16)).raw(Buffer.alloc(16)).varint(1).varint(0).u8(0);

/** An added file, up to its extended attributes. */
const rowStart = ({ name = 'a', size_bytes = 0, goesOn = false } = {}): ByteWriter => {
  const writer = new ByteWriter()
    .u8(goesOn ? 0x81 : 1)
    .varint(0)
    .bytes(Buffer.from(name))
    .u8(1);
  // mode, uid, gid, two times, inode, device, links, size
  for (const number of [0o644, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, size_bytes]) writer.varint(number);
  return writer;
};

const segmentsPerRow = 65_536;

/** A file of so many times the same segment, of a byte each, in as many rows as writers would make of it. */
function fileOf(count: number, segment: Uint8Array): ByteWriter {
  const writer = rowStart({ size_bytes: count, goesOn: count > segmentsPerRow }).varint(0);
  for (let from = 0; from < count; from += segmentsPerRow) {
    const to = Math.min(count, from + segmentsPerRow);
    if (from > 0) writer.u8(to < count ? 0x84 : 4);
    writer.varint(to - from).raw(Buffer.alloc((to - from) * segment.length, segment));
  }
  return writer;
}

const hole = Buffer.of(1, 1);
const literal = Buffer.concat([Buffer.alloc(33), Buffer.of(1)]);

/** As many as a body of so many bytes has room for, with a little besides. */
const room = (body_bytes: number, segment: Uint8Array): number =>
  Math.floor((body_bytes - 64 * 1024) / segment.length);

/** Small files in a directory, by names of seven digits. */
function manyFiles(count: number): ByteWriter {
  const writer = new ByteWriter();
  for (let index = 0; index < count; index++)
    writer.raw(
      rowStart({ name: `${1_000_000 + index}` })
        .varint(0)
        .varint(0)
        .view(),
    );
  return writer;
}

export function packBombs(context: PackContext): Readonly<Record<string, Buffer>> {
  const pack = (parts: PackParts): Buffer => packOf(context, parts);
  const records = (writer: ByteWriter): Buffer => pack({ records: plainBody(writer.view()) });
  const rows = (writer: ByteWriter): Buffer => records(recordsStart().varint(1).raw(writer.view()));
  const compressed = (writer: ByteWriter): Buffer =>
    pack({ records: zstdBody(writer.length, context.zstd.compress(writer.view(), 1)) });
  const manyRows = (count: number, rows: ByteWriter): Buffer =>
    compressed(recordsStart().varint(count).raw(rows.view()));
  const directory = (writer: ByteWriter): Buffer => pack({ directory: writer.take() });
  const { block_bytes, records_bytes } = packLimits;
  const { segmentsPerFile } = manifestLimits;
  return {
    'a block that unpacks to 4 GiB': pack({ block: frame(block_bytes, 4096 * MiB) }),
    'a block whose frame says 4 GiB': pack({ block: frame(4096 * MiB, 4096 * MiB) }),
    'a block whose frame wants a window of 2 GiB': pack({ block: frame(block_bytes, block_bytes, 31) }),
    'records that unpack to 4 GiB': pack({
      records: zstdBody(records_bytes, frame(records_bytes, 4096 * MiB)),
    }),
    'records that say 4 GiB': pack({ records: zstdBody(huge, frame(huge, huge)) }),
    'records of as many zeros as there may be': pack({
      records: zstdBody(records_bytes, frame(records_bytes, records_bytes)),
    }),
    'a directory of 2^32 blocks': directory(new ByteWriter().varint(1).varint(huge)),
    'a directory of as many blocks as there may be': directory(
      new ByteWriter().varint(1).varint(packLimits.blocks),
    ),
    'a block of 2^32 chunks': directory(
      new ByteWriter().varint(1).varint(1).varint(100).varint(100).u8(1).varint(huge).raw(Buffer.alloc(40)),
    ),
    'records of 2^32 rows': records(recordsStart().varint(huge)),
    'records of 2^53 rows': records(recordsStart().varint(enormous)),
    'a run of 2^32 packs': records(lastRecords(headerBytes()).varint(huge)),
    '2^32 names of users': records(lastRecords(headerBytes({ names: huge }))),
    'a path of 4 GiB': rows(new ByteWriter().u8(1).varint(0).varint(huge)),
    '2^32 extended attributes': rows(rowStart().varint(huge)),
    'an extended attribute of 4 GiB': rows(rowStart().varint(1).bytes(Buffer.from('user.a')).varint(huge)),
    '2^32 segments': rows(rowStart().varint(0).varint(huge)),
    'a symlink of 4 GiB': rows(symlinkStart().varint(huge)),
    'a file of 33 million holes': manyRows(1, fileOf(room(records_bytes, hole), hole)),
    'a file of one segment too many': manyRows(1, fileOf(segmentsPerFile + 1, hole)),
    '65,537 extended attributes': rows(rowStart().varint(65_537).raw(Buffer.alloc(MiB))),
    'full of rows': manyRows(2 ** 20, manyFiles(2 ** 20)),
    'full of holes': manyRows(1, fileOf(segmentsPerFile, hole)),
    'full of chunks of other packs': manyRows(1, fileOf(segmentsPerFile, literal)),
    'full of names of packs': compressed(
      lastRecords(headerBytes())
        .varint(room(records_bytes, noHash))
        .raw(Buffer.alloc(room(records_bytes, noHash) * noHash.length))
        .varint(0),
    ),
  };
}

const noHash = Buffer.alloc(32);

const symlinkStart = (): ByteWriter => {
  const writer = new ByteWriter().u8(1).varint(0).bytes(Buffer.from('a')).u8(3);
  for (const number of [0o777, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0]) writer.varint(number);
  return writer;
};

/** A version's header; `names`: so many users are said to follow. */
function headerBytes({ names }: { names?: number } = {}): ByteWriter {
  const header = headerOf(1, '', { userNames: new Map(), groupNames: new Map() });
  const writer = new ByteWriter();
  encodeHeader(writer, header);
  if (names === undefined) return writer;
  // Without the two empty lists at its end.
  return new ByteWriter().raw(writer.view().subarray(0, -2)).varint(names);
}

function lastRecords(header: ByteWriter): ByteWriter {
  const { run } = headerOf(1, '');
  return new ByteWriter()
    .varint(1)
    .raw(Buffer.from(stream, 'hex'))
    .raw(Buffer.from(run, 'hex'))
    .varint(1)
    .varint(0)
    .u8(1)
    .raw(header.view());
}

export function commitBombs(context: PackContext): Readonly<Record<string, Buffer>> {
  const commit = (body: Uint8Array): Buffer => {
    const key = newObjectKey(context.keys, commitMagic, context.repositoryId);
    return Buffer.concat([key.header, seal(key, 1, 0, rootBinding(stream, 1), body)]);
  };
  const root = (contents: ByteWriter): Buffer => {
    const plain = new ByteWriter().u8(1).raw(headerBytes().view()).raw(contents.view()).view();
    return commit(zstdBody(plain.length, context.zstd.compress(plain, 1)));
  };
  const inRows = (rows: ByteWriter): Buffer =>
    root(new ByteWriter().varint(0).varint(0).bytes(none).bytes(rows.view()));
  return {
    'a commit that unpacks to 4 GiB': commit(zstdBody(16 * MiB, frame(16 * MiB, 4096 * MiB))),
    'a commit that says 4 GiB': commit(zstdBody(huge, frame(huge, huge))),
    'a commit of 2^32 parts': root(new ByteWriter().varint(huge)),
    'a commit of 2^53 parts': root(new ByteWriter().varint(0).varint(enormous)),
    'a part of 4 GiB': root(
      new ByteWriter()
        .varint(1)
        .raw(Buffer.alloc(32))
        .varint(huge)
        .text('')
        .varint(0)
        .bytes(none)
        .bytes(none),
    ),
    'rows of 4 GiB': root(new ByteWriter().varint(0).varint(0).bytes(none).varint(huge)),
    '2^32 blocks in a table of packs': root(
      new ByteWriter()
        .varint(0)
        .varint(0)
        .bytes(
          new ByteWriter()
            .raw(Buffer.alloc(32))
            .text('')
            .varint(1000)
            .raw(Buffer.alloc(132))
            .varint(huge)
            .view(),
        )
        .bytes(none),
    ),
    '2^32 segments in a commit': inRows(rowStart().varint(0).varint(huge)),
    'a file of 8 million holes in a commit': inRows(fileOf(room(16 * MiB, hole), hole)),
    'a file in 8 million pieces of nothing': inRows(
      rowStart({ goesOn: true })
        .varint(0)
        .varint(0)
        .raw(Buffer.alloc(15 * MiB, Buffer.of(0x84, 0))),
    ),
    'a file in 4 million pieces': inRows(
      rowStart({ goesOn: true })
        .varint(0)
        .varint(0)
        .raw(Buffer.alloc(15 * MiB, Buffer.of(0x84, 1, 1, 1))),
    ),
    'as many parts as a commit has room for': root(
      new ByteWriter()
        .varint(room(16 * MiB, noPart))
        .raw(Buffer.alloc(room(16 * MiB, noPart) * noPart.length, noPart))
        .varint(0)
        .bytes(none)
        .bytes(none),
    ),
  };
}

/** A reference to a part of one byte. */
const noPart = Buffer.concat([Buffer.alloc(32), Buffer.of(1, 0)]);

/** Key slots, as JSON. */
export function slotBombs(repositoryId: string): Readonly<Record<string, Buffer>> {
  const slot = (kdf: object): Buffer =>
    Buffer.from(
      JSON.stringify({
        format: 'rrbackup-key',
        version: 1,
        repository: repositoryId,
        slot: '0123456789abcdef',
        name: 'a@b',
        created: '2026-11-21T00:00:00Z',
        kdf: {
          algorithm: 'argon2id13',
          ops: 2,
          memory_bytes: 64 * MiB,
          salt: Buffer.alloc(16).toString('base64'),
          ...kdf,
        },
        wrapped: Buffer.alloc(72).toString('base64'),
      }),
    );
  return {
    'Argon2 over 1 TiB': slot({ memory_bytes: 2 ** 40 }),
    'Argon2 over 2^53 bytes': slot({ memory_bytes: enormous }),
    'Argon2 over 1e300 bytes': slot({ memory_bytes: 1e300 }),
    'Argon2 of 2^32 - 1 passes': slot({ ops: huge - 1 }),
    'Argon2 of 2^32 passes': slot({ ops: huge }),
    'Argon2 of 2^53 passes': slot({ ops: enormous }),
    'Argon2 over 128 MiB and one byte': slot({ memory_bytes: 128 * MiB + 1 }),
    'Argon2 of nine passes': slot({ ops: 9 }),
    'full of work': slot({ ops: 8, memory_bytes: 128 * MiB }),
    'Argon2 of hardly any memory': slot({ memory_bytes: 8192 }),
    'Argon2 of no pass': slot({ ops: 0 }),
    'a name of a megabyte': slot({ salt: 'A'.repeat(MiB) }),
  };
}
