// A second decoder of packs, written from FORMAT.md alone. If this test breaks, either the page or the format has changed.

import { createHash, createHmac } from 'node:crypto';
import t from 'tap';
import { buildPack, packContext, repositoryId } from './fixture.js';
import { numbers, openSection, plainOf, subkey, zstd } from './second-decoder.js';

function decode(object: Buffer): { chunks: Buffer[]; records: Buffer } {
  const footer = object.subarray(-24);
  const [records_bytes, directory_bytes, blocks] = [0, 4, 8].map((at) => footer.readUInt32LE(at)) as [
    number,
    number,
    number,
  ];
  const directoryAt = object.length - 24 - directory_bytes;
  const directory = numbers(openSection(object, 3, 0, directoryAt, directory_bytes));
  if (directory.varint() !== 1 || directory.varint() !== blocks) throw new Error('directory');
  const chunks: Buffer[] = [];
  let offset = 132;
  for (let index = 0; index < blocks; index++) {
    const stored_bytes = directory.varint();
    const plain_bytes = directory.varint();
    const codec = directory.raw(1)[0]!;
    const bytes = openSection(object, 1, index, offset, stored_bytes);
    const plain = numbers(codec === 1 ? zstd.decompress(bytes, plain_bytes) : bytes);
    const count = directory.varint();
    for (let number = 0; number < count; number++) {
      const id = directory.raw(32);
      const chunk = plain.raw(directory.varint());
      if (!createHmac('sha256', subkey(1)).update(chunk).digest().equals(id)) throw new Error('chunk id');
      chunks.push(chunk);
    }
    offset += stored_bytes;
  }
  if (directory.varint() !== records_bytes || directory.varint() !== directoryAt) throw new Error('totals');
  return { chunks, records: plainOf(openSection(object, 2, 0, offset, records_bytes)) };
}

t.test('a pack is what the page says', async (t) => {
  const blocks = [[Buffer.from('again and '.repeat(100)), Buffer.from('b')], [Buffer.from('c')]];
  const { bytes, info } = buildPack(await packContext(), blocks, Buffer.from('records '.repeat(40)));
  t.equal(createHash('sha256').update(bytes).digest('hex'), info.name);
  t.same(decode(bytes), { chunks: blocks.flat(), records: Buffer.from('records '.repeat(40)) });
  t.equal(bytes.subarray(12, 28).toString('hex'), repositoryId);
});

t.test('the example of the page', async (t) => {
  const { bytes } = buildPack(await packContext(), [[Buffer.from('hello')]], Buffer.alloc(0));
  t.equal(bytes.subarray(0, 12).toString('hex'), '5252425041434b3101000000');
  t.equal(openSection(bytes, 1, 0, 132, 21).toString(), 'hello');
  t.equal(openSection(bytes, 2, 0, 153, 18).toString('hex'), '0000');
  const directory = openSection(bytes, 3, 0, 171, 58);
  t.equal(directory.subarray(0, 6).toString('hex'), '010115050001');
  t.equal(directory.subarray(38).toString('hex'), '0512ab01');
  t.equal(bytes.subarray(229).toString('hex'), '120000003a000000010000000000000052524250454e4431');
});
