import t from 'tap';
import { sha256 } from '../../lib/crypto/index.js';
import { readPackEnd, verifyPack } from '../../lib/pack/decode.js';
import { PackBuilder } from '../../lib/pack/encode.js';
import { packLimits } from '../../lib/pack/layout.js';
import { packKey, parsePackKey } from '../../lib/pack/names.js';
import { codecs } from '../../lib/pack/types.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { buildPack, chunksOf, noise, packContext } from './fixture.js';

const context = await packContext();
const text = Buffer.from('the same words again and again, '.repeat(50));
const blocks = [[text, Buffer.from('small')], [noise(5000)], [Buffer.from('x')]];

t.test('a pack is what its name says and reads back', async (t) => {
  const { bytes, info } = buildPack(context, blocks);
  t.equal(info.name, sha256(bytes).toString('hex'));
  t.equal(info.size_bytes, bytes.length);
  t.equal(bytes.byteOffset, 0, 'alone in its memory');
  t.equal(info.versionId, '');
  t.same(
    info.blocks.map(({ codec }) => codec),
    [codecs.zstd, codecs.stored, codecs.stored],
    'compressed only where it pays',
  );
  const end = verifyPack(context, bytes, info.name);
  t.same(end.info, info);
  t.equal(end.records.toString(), 'records');
});

t.test('a pack without blocks carries records alone', async (t) => {
  const { bytes, info } = buildPack(context, [], Buffer.alloc(0));
  t.same(verifyPack(context, bytes, info.name).info.blocks, []);
});

t.test('two packs of the same content share no bytes behind the fixed part of the header', async (t) => {
  t.notSame(buildPack(context, blocks).bytes.subarray(28), buildPack(context, blocks).bytes.subarray(28));
});

t.test('what may be re-used after addBlock is not referred to', async (t) => {
  const builder = new PackBuilder(context);
  const plain = Buffer.from(text);
  const chunks = chunksOf(context, [plain]);
  const [first] = chunks;
  const id = Buffer.from(first!.id);
  builder.addBlock(plain, chunks);
  plain.fill(0);
  first!.id.fill(0);
  const { info } = builder.finish(() => Buffer.alloc(0));
  t.same(info.blocks[0]!.chunks[0]!.id, id);
});

t.test('records find chunks of their own pack by position', async (t) => {
  const builder = new PackBuilder(context);
  for (const plains of blocks) builder.addBlock(Buffer.concat(plains), chunksOf(context, plains));
  t.equal(builder.chunkCount, 4);
  builder.finish((chunkIndex) => {
    const ids = chunksOf(context, blocks.flat()).map(({ id }) => id);
    t.same(ids.map(chunkIndex), [0, 1, 2, 3]);
    t.equal(chunkIndex(Buffer.alloc(32)), undefined);
    return Buffer.alloc(0);
  });
});

t.test('a compressor that corrupts is found before anything is uploaded', async (t) => {
  const zstd = {
    ...context.zstd,
    compress: (plain: Uint8Array, level: number) =>
      context.zstd.compress(Buffer.alloc(plain.length, 1), level),
    decompress: (stored: Uint8Array, plain_bytes: number) => context.zstd.decompress(stored, plain_bytes),
  };
  t.throws(() => buildPack({ ...context, zstd }, blocks), { code: 'pack.damaged' });
});

t.test('addBlock refuses what a reader would', async (t) => {
  const builder = new PackBuilder(context);
  const chunk = { id: Buffer.alloc(32), size_bytes: 3 };
  const three = Buffer.from('abc');
  t.throws(() => builder.addBlock(Buffer.alloc(0), []), RangeError);
  t.throws(() => builder.addBlock(three, [{ ...chunk, size_bytes: 2 }]), RangeError);
  t.throws(() => builder.addBlock(three, [{ ...chunk, id: Buffer.alloc(31) }]), RangeError);
  t.throws(() => builder.addBlock(three, [chunk, { ...chunk, size_bytes: 0 }]), RangeError);
  const large = packLimits.chunk_bytes + 1;
  t.throws(() => builder.addBlock(Buffer.alloc(large), [{ ...chunk, size_bytes: large }]), RangeError);
});

t.test('the largest chunk that there is goes through', async (t) => {
  const plain = noise(packLimits.chunk_bytes);
  const { bytes, info } = buildPack(context, [[plain]]);
  t.equal(info.blocks[0]!.codec, codecs.stored);
  verifyPack(context, bytes, info.name);
});

t.test('the size is known while it is built, and when it is full', async (t) => {
  const builder = new PackBuilder(context);
  const plain = noise(packLimits.chunk_bytes - 1000);
  for (let count = 0; count < 4; count++) {
    t.notOk(builder.isFull);
    builder.addBlock(plain, chunksOf(context, [plain]));
  }
  builder.addBlock(text, chunksOf(context, [text]));
  const small = buildPack(context, blocks, Buffer.alloc(0));
  const again = new PackBuilder(context);
  for (const plains of blocks) again.addBlock(Buffer.concat(plains), chunksOf(context, plains));
  t.ok(Math.abs(again.size_bytes - small.bytes.length) < 64);
});

t.test('the end of a pack, from a few ranged requests', async (t) => {
  const store = new MemoryStore();
  for (const records of [Buffer.from('few'), noise(300_000)]) {
    const { bytes, info } = buildPack(context, blocks, records);
    const { versionId } = await store.put(packKey(info.name), bytes);
    const stored = { name: info.name, versionId, size_bytes: bytes.length };
    const end = await readPackEnd({ ...context, store }, stored);
    t.same(end.info, { ...info, versionId });
    t.same(end.records, records);
    const wrongSize = { ...stored, size_bytes: bytes.length - 1 };
    await t.rejects(readPackEnd({ ...context, store }, wrongSize), { code: 'pack.damaged' });
    await t.rejects(readPackEnd({ ...context, store }, { ...stored, size_bytes: 2 ** 40 }), {
      code: 'pack.damaged',
    });
  }
});

t.test('names', async (t) => {
  const name = 'ab'.repeat(32);
  t.equal(packKey(name), `packs/ab/${name}`);
  t.equal(parsePackKey(packKey(name)), name);
  for (const key of [
    `packs/ac/${name}`,
    `packs/${name}`,
    `packs/ab/${name}0`,
    `packs/ab/${name.toUpperCase()}`,
    'x',
  ])
    t.equal(parsePackKey(key), undefined);
});

t.test('an object of another kind, or of another repository, is refused as what it is', async (t) => {
  const { bytes, info } = buildPack(context, blocks);
  const other = { ...context, repositoryId: 'ff'.repeat(16) };
  t.throws(() => verifyPack(other, bytes, info.name), { kind: 'tampered', message: new RegExp(info.name) });
  const stranger = await packContext(8);
  t.throws(() => verifyPack(stranger, bytes, info.name), {
    code: 'pack.damaged',
    message: new RegExp(info.name),
  });
  t.throws(() => verifyPack(context, bytes, 'ab'.repeat(32)), { code: 'pack.damaged' });
});
