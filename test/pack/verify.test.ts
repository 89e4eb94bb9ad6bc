// A pack made with the repository's keys, every seal and sum in order, whose directory gives a chunk an id that is not its own:
// nothing but the id itself shows that.

import t from 'tap';
import { BlockDecoder } from '../../lib/pack/block-decoder.js';
import { PackBuilder } from '../../lib/pack/encode.js';
import { verifyPack } from '../../lib/pack/index.js';
import { chunksOf, packContext, placesOf } from './fixture.js';

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
