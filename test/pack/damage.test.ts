import t from 'tap';
import { ByteWriter } from '../../lib/bytes/cursor.js';
import { newObjectKey, objectHeader_bytes, seal, sha256 } from '../../lib/crypto/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { verifyPack } from '../../lib/pack/decode.js';
import { encodeBody } from '../../lib/pack/body.js';
import { footer_bytes, packLimits } from '../../lib/pack/layout.js';
import { packKey } from '../../lib/pack/names.js';
import { PackReader } from '../../lib/pack/reader.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { buildPack, noise, packContext, placesOf } from './fixture.js';

const context = await packContext();
const none = Buffer.alloc(0);
const blocks = [[Buffer.from('to be, or not to be, '.repeat(8)), Buffer.from('small')], [noise(100)]];

/** A pack without blocks, made with the repository's keys, whose directory and footer are somebody's invention. */
function verifyForged(directory: Uint8Array, footer?: Uint8Array): void {
  const key = newObjectKey(context.keys, 'RRBPACK1', context.repositoryId);
  const records = seal(key, 2, 0, none, encodeBody(context.zstd, none, 1000));
  const sealed = seal(key, 3, 0, none, directory);
  const honest = new ByteWriter()
    .u32(records.length)
    .u32(sealed.length)
    .u32(0)
    .u32(0)
    .raw(Buffer.from('RRBPEND1'));
  const bytes = Buffer.concat([key.header, records, sealed, footer ?? honest.take()]);
  verifyPack(context, bytes, sha256(bytes).toString('hex'));
}

const kindsOfDamage = new Set(['damaged', 'tampered', 'newer_format']);

/** Undefined if the work threw as it should; else what it did instead. */
function surprise(work: () => unknown): unknown {
  try {
    work();
    return 'accepted';
  } catch (error) {
    return error instanceof RrbackupError && kindsOfDamage.has(error.kind) ? undefined : error;
  }
}

t.test('every byte of a pack, changed in turn, is noticed', async (t) => {
  const { bytes, info } = buildPack(context, blocks);
  const inspect = (flipped: Buffer) =>
    surprise(() => verifyPack(context, flipped, sha256(flipped).toString('hex')));
  for (let index = 0; index < bytes.length; index++) {
    const flipped = Buffer.from(bytes);
    flipped[index]! ^= 1 << (index % 8);
    const found = inspect(flipped);
    if (found !== undefined) t.fail(`byte ${index}`, { found });
    if (surprise(() => verifyPack(context, flipped, info.name)) !== undefined)
      t.fail(`byte ${index} against its name`);
  }
  t.equal(inspect(bytes), 'accepted');
});

t.test('every bit of the header is noticed', async (t) => {
  const { bytes } = buildPack(context, blocks);
  for (let bit = 0; bit < objectHeader_bytes * 8; bit++) {
    const flipped = Buffer.from(bytes);
    flipped[bit >> 3]! ^= 1 << (bit % 8);
    const found = surprise(() => verifyPack(context, flipped, sha256(flipped).toString('hex')));
    if (found !== undefined) t.fail(`bit ${bit}`, { found });
  }
});

t.test('a pack cut anywhere, or with bytes behind it, is refused', async (t) => {
  const { bytes } = buildPack(context, blocks);
  for (let length = 0; length < bytes.length; length++) {
    const cut = bytes.subarray(0, length);
    const found = surprise(() => verifyPack(context, cut, sha256(cut).toString('hex')));
    if (found !== undefined) t.fail(`${length} bytes`, { found });
  }
  const longer = Buffer.concat([bytes, Buffer.of(0)]);
  t.equal(
    surprise(() => verifyPack(context, longer, sha256(longer).toString('hex'))),
    undefined,
  );
});

t.test("blocks in each other's place are refused", async (t) => {
  const { bytes, info } = buildPack(context, [[noise(50, 1)], [noise(50, 2)]]);
  const [first, second] = info.blocks;
  const secondAt = objectHeader_bytes + first!.stored_bytes;
  const swapped = Buffer.concat([
    bytes.subarray(0, objectHeader_bytes),
    bytes.subarray(secondAt, secondAt + second!.stored_bytes),
    bytes.subarray(objectHeader_bytes, secondAt),
    bytes.subarray(secondAt + second!.stored_bytes),
  ]);
  t.throws(() => verifyPack(context, swapped, sha256(swapped).toString('hex')), { code: 'pack.damaged' });
});

t.test('the forger of these tests can also be honest', async () => {
  verifyForged(
    new ByteWriter()
      .varint(1)
      .varint(0)
      .varint(18)
      .varint(objectHeader_bytes + 18)
      .take(),
    undefined,
  );
});

t.test('footers that lie are refused', async (t) => {
  const directory = new ByteWriter().varint(1).varint(0).varint(18).varint(150).take();
  const magic = Buffer.from('RRBPEND1');
  const footers = {
    'records too long': new ByteWriter().u32(0xffff_ffff).u32(21).u32(0).u32(0).raw(magic),
    'directory too long': new ByteWriter().u32(18).u32(0xffff_ffff).u32(0).u32(0).raw(magic),
    'both past the beginning': new ByteWriter().u32(5000).u32(5000).u32(0).u32(0).raw(magic),
    'no directory': new ByteWriter().u32(18).u32(0).u32(0).u32(0).raw(magic),
    'too many blocks': new ByteWriter().u32(18).u32(21).u32(0xffff_ffff).u32(0).raw(magic),
    'another block count': new ByteWriter().u32(18).u32(21).u32(1).u32(0).raw(magic),
    'a reserved field': new ByteWriter().u32(18).u32(21).u32(0).u32(1).raw(magic),
    'another magic': new ByteWriter().u32(18).u32(21).u32(0).u32(0).raw(Buffer.from('RRBPEND2')),
  };
  for (const [lie, footer] of Object.entries(footers)) {
    t.equal(footer.length, footer_bytes);
    t.throws(() => verifyForged(directory, footer.take()), { code: 'pack.damaged' }, lie);
  }
});

t.test('a directory of a later version is said to be newer', async (t) => {
  const directory = new ByteWriter().varint(2).take();
  t.throws(() => verifyForged(directory), { code: 'format.newer', kind: 'newer_format' });
});

t.test('directories that lie are refused without allocation', async (t) => {
  const id = Buffer.alloc(32);
  const lies: Record<string, (writer: ByteWriter) => ByteWriter> = {
    'too many blocks': (w) => w.varint(packLimits.blocks + 1),
    'blocks that are not there': (w) => w.varint(packLimits.blocks),
    'a block too large': (w) =>
      w
        .varint(1)
        .varint(17)
        .varint(packLimits.block_bytes + 1)
        .u8(1),
    'a block stored too large': (w) =>
      w
        .varint(1)
        .varint(2 ** 40)
        .varint(5)
        .u8(1),
    'a bomb': (w) => w.varint(1).varint(16).varint(packLimits.block_bytes).u8(1),
    'a stored block of another size': (w) =>
      w.varint(1).varint(20).varint(5).u8(0).varint(1).raw(id).varint(5),
    'chunks that are not there': (w) =>
      w.varint(1).varint(20).varint(5).u8(1).varint(packLimits.chunksPerBlock),
    'too many chunks': (w) =>
      w
        .varint(1)
        .varint(20)
        .varint(5)
        .u8(1)
        .varint(packLimits.chunksPerBlock + 1),
    'no chunk': (w) => w.varint(1).varint(20).varint(5).u8(1).varint(0).raw(Buffer.alloc(40)),
    'an empty chunk': (w) => w.varint(1).varint(20).varint(5).u8(1).varint(1).raw(id).varint(0),
    'a chunk too large': (w) =>
      w
        .varint(1)
        .varint(20)
        .varint(5)
        .u8(1)
        .varint(1)
        .raw(id)
        .varint(2 ** 33),
    'chunks that do not fill the block': (w) =>
      w.varint(1).varint(20).varint(5).u8(1).varint(1).raw(id).varint(4),
    'no totals': (w) => w.varint(0),
    'wrong totals': (w) => w.varint(0).varint(1).varint(1),
    'something behind': (w) => w.varint(0).varint(18).varint(150).u8(0),
  };
  for (const [lie, write] of Object.entries(lies)) {
    const directory = write(new ByteWriter().varint(1)).take();
    t.throws(() => verifyForged(directory), { code: 'pack.damaged' }, lie);
  }
});

t.test('a reader never hands out wrong bytes', async (t) => {
  const store = new MemoryStore();
  const { bytes, info } = buildPack(context, blocks);
  const { versionId } = await store.put(packKey(info.name), bytes);
  const places = placesOf({ ...info, versionId });
  const [first, second] = places;
  const ids = info.blocks.flatMap(({ chunks }) => chunks.map(({ id }) => id));
  const reader = () => new PackReader({ ...context, store });
  const plain = (await reader().readBlocks([first!])).get(0)!;
  t.throws(() => reader().chunkFrom(plain, first!, ids[1]!), {
    code: 'pack.damaged',
    message: new RegExp(info.name),
  });
  t.throws(() => reader().chunkFrom(plain, { ...second!, size_bytes: 50 }, ids[1]!), {
    code: 'pack.damaged',
  });
  for (const wrong of [
    { ...first!, block: 1 },
    { ...first!, codec: 0 as const },
    { ...first!, blockPlain_bytes: first!.blockPlain_bytes + 1 },
    { ...first!, blockOffset_bytes: first!.blockOffset_bytes + 1 },
    { ...first!, blockStored_bytes: first!.blockStored_bytes - 1 },
    { ...first!, blockStored_bytes: 2 ** 40 },
    { ...first!, blockPlain_bytes: 2 ** 40 },
    { ...first!, blockOffset_bytes: 0 },
    { ...first!, packHeader: Buffer.from(first!.packHeader).fill(1, 60) },
  ])
    await t.rejects(reader().readBlocks([wrong]), { code: 'pack.damaged', message: new RegExp(info.name) });
  const flipped = Buffer.from(bytes);
  flipped[objectHeader_bytes + 3]! ^= 1;
  store.tamper(packKey(info.name), flipped);
  await t.rejects(reader().readBlocks([first!]), { code: 'pack.damaged', message: new RegExp(info.name) });
  t.equal((await reader().readBlocks([places[2]!])).get(1)!.length, 100, 'the other block is whole');
});
