import t from 'tap';
import { readPackEnd } from '../../lib/pack/decode.js';
import { PackBuilder } from '../../lib/pack/encode.js';
import { packKey } from '../../lib/pack/names.js';
import { decodeRecords, encodeRecords, type PackRecords } from '../../lib/manifest/records.js';
import { chunksOf } from '../pack/fixture.js';
import { added, directory, headerOf, manifestContext, stream } from './fixture.js';

const context = await manifestContext();
const plains = [Buffer.from('first'), Buffer.from('second')];
const chunks = chunksOf(context, plains);
const elsewhere = { kind: 'chunk', id: Buffer.alloc(32, 9), size_bytes: 4 } as const;

const rows = [
  added('', directory),
  added('both', {
    size_bytes: 15,
    content: [{ kind: 'chunk', ...chunks[1]! }, elsewhere, { kind: 'chunk', ...chunks[0]! }],
  }),
  { op: 'removed', path: Buffer.from('gone') } as const,
];
const header = headerOf(1, '');
const records: PackRecords = { stream, run: header.run, sequence: 1, part: 3, rows };
const last: PackRecords = { ...records, last: { header, otherPacks: ['ab'.repeat(32), 'cd'.repeat(32)] } };

function builtWith(records: PackRecords) {
  const builder = new PackBuilder(context);
  builder.addBlock(Buffer.concat(plains), chunks);
  return builder.finish((chunkIndex) => encodeRecords(records, chunkIndex));
}

t.test('a pack alone tells what it was written for', async (t) => {
  for (const expected of [records, last, { ...records, rows: [] }]) {
    const { bytes, info } = builtWith(expected);
    const { versionId } = await context.store.put(packKey(info.name), bytes);
    const end = await readPackEnd(context, { name: info.name, versionId, size_bytes: bytes.length });
    const { firstPath, rowCount, rows, ...decoded } = decodeRecords(end.records, end.info);
    t.same({ ...decoded, rows: [...rows()] }, expected);
    t.same([...rows()], expected.rows, 'and once more');
    t.same([rowCount, firstPath], [expected.rows.length, expected.rows[0]?.path]);
  }
});

t.test('rows name chunks of their own pack by position', async (t) => {
  const own = encodeRecords(records, (id) => chunks.findIndex((chunk) => chunk.id === id));
  const literal = encodeRecords(records, () => undefined);
  t.ok(own.length <= literal.length - 2 * 31 - 2);
  const { info } = builtWith(records);
  t.throws(() => decodeRecords(own, { ...info, blocks: [] }), {
    code: 'manifest.damaged',
    message: new RegExp(info.name),
  });
});

t.test('every truncation is refused', async (t) => {
  const payload = encodeRecords(last, () => undefined);
  const { info } = builtWith(last);
  for (let length = 0; length < payload.length; length++)
    t.throws(() => decodeRecords(payload.subarray(0, length), info), /damaged/);
  const more = Buffer.concat([payload, Buffer.of(3, 0, 1, 0x7a)]);
  t.throws(() => decodeRecords(more, info), { code: 'manifest.damaged' }, 'a row too many');
});

t.test('a later version is newer; a header of another commit is damage', async (t) => {
  const { info } = builtWith(last);
  const payload = Buffer.from(encodeRecords(last, () => undefined));
  payload[0] = 2;
  t.throws(() => decodeRecords(payload, info), { code: 'format.newer' });
  const other: PackRecords = { ...last, last: { header: headerOf(2, 'ab'.repeat(32)), otherPacks: [] } };
  t.throws(
    () =>
      decodeRecords(
        encodeRecords(other, () => undefined),
        info,
      ),
    { code: 'manifest.damaged' },
  );
  t.throws(() => encodeRecords({ ...records, rows: [...rows].reverse() }, () => undefined), {
    code: 'manifest.bad_row',
  });
});
