// Checks of which each stands alone: a pack made with the repository's keys, every seal and sum in order, whose directory gives a
// chunk an id that is not its own; and lengths that would be allocated or asked for before any seal is looked at.

import t from 'tap';
import { BlockDecoder } from '../../lib/pack/block-decoder.js';
import { PackBuilder } from '../../lib/pack/encode.js';
import { packKey, readPackEnd, verifyPack } from '../../lib/pack/index.js';
import { footer_bytes, footerOffsets } from '../../lib/pack/layout.js';
import { MemoryStore } from '../../lib/store/memory.js';
import type { GetOptions } from '../../lib/store/types.js';
import { buildPack, chunksOf, packContext, placesOf } from './fixture.js';

void t.test('the bytes of a chunk are those of its id, or it is none', async (t) => {
  const context = await packContext();
  const plains = [Buffer.from('one'), Buffer.from('two')];
  const [one, two] = chunksOf(context, plains);
  for (const [chunks, wrong] of [
    [[one!, two!], []],
    [[two!, two!], [0]],
    [[one!, one!], [1]],
  ] as const) {
    const builder = new PackBuilder(context);
    const plain = Buffer.concat(plains);
    builder.addBlock(plain, chunks);
    const { bytes, info } = builder.finish(() => Buffer.alloc(0));
    const verify = (): unknown => verifyPack(context, bytes, info.name);
    if (wrong.length === 0) t.doesNotThrow(verify);
    else t.throws(verify, { code: 'pack.damaged', message: /bytes of chunk/ });
    const decoder = new BlockDecoder(context);
    for (const [index, place] of placesOf(info).entries()) {
      const read = (): unknown => decoder.chunkFrom(plain, place, chunks[index]!.id);
      if (wrong.some((position) => position === index)) t.throws(read, { code: 'pack.damaged' });
      else t.doesNotThrow(read);
    }
  }
});

void t.test('a place that no block has is refused before memory is taken for it', async (t) => {
  const context = await packContext();
  const { bytes, info } = buildPack(context, [[Buffer.from('content')]]);
  const [place] = placesOf(info);
  const end = place!.blockOffset_bytes + place!.blockStored_bytes;
  const stored = bytes.subarray(place!.blockOffset_bytes, end);
  const decoder = new BlockDecoder(context, { reusesMemory: true });
  t.equal(decoder.decode(place!, stored).toString(), 'content');
  for (const blockPlain_bytes of [2 ** 33, 2 ** 50])
    t.throws(() => decoder.decode({ ...place!, blockPlain_bytes }, stored), { code: 'pack.damaged' });
});

void t.test('a footer that lies has nothing asked of the store', async (t) => {
  class Asked extends MemoryStore {
    readonly ranges: (GetOptions['range'] | undefined)[] = [];

    override get(key: string, options: GetOptions = {}): Promise<Buffer> {
      this.ranges.push(options.range);
      return super.get(key, options);
    }
  }
  const context = await packContext();
  const { bytes, info } = buildPack(context, [[Buffer.from('content')]]);
  for (const [name, at] of Object.entries(footerOffsets)) {
    const store = new Asked();
    const forged = Buffer.from(bytes);
    forged.writeUInt32LE(0xffff_fff0, forged.length - footer_bytes + at);
    const { versionId } = await store.put(packKey(info.name), forged);
    const stored = { name: info.name, versionId, size_bytes: forged.length };
    await t.rejects(readPackEnd({ ...context, store }, stored), { code: 'pack.damaged' }, name);
    const beyond = store.ranges.filter((range) => range!.offset + range!.length > forged.length);
    t.strictSame([store.ranges.length, beyond], [2, []], name);
  }
});
