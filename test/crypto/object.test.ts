import fc from 'fast-check';
import t from 'tap';

import {
  cryptoReady,
  deriveKeys,
  hmacSha256,
  newObjectKey,
  objectHeader_bytes,
  open,
  openObjectHeader,
  seal,
  tag_bytes,
} from '../../lib/crypto/index.js';
import { wrap } from '../../lib/crypto/wrap.js';
import { runs } from '../runs.js';

await cryptoReady();

const magic = 'RRBTEST1';
const repositoryId = '0123456789abcdef0123456789abcdef';
const otherId = 'fedcba9876543210fedcba9876543210';
const keys = deriveKeys(Buffer.alloc(32, 1));
const otherKeys = deriveKeys(Buffer.alloc(32, 2));
const object = newObjectKey(keys, magic, repositoryId);
const context = Buffer.from('context');
const plain = Buffer.from('plain text of a section');
const notAuthentic = { code: 'crypto.not_authentic', kind: 'damaged' } as const;

const flip = (bytes: Uint8Array, bit: number): Buffer => {
  const flipped = Buffer.from(bytes);
  flipped[bit >> 3]! ^= 1 << (bit & 7);
  return flipped;
};

t.test('the header has the layout of the format', async (t) => {
  const { header, key } = object;
  t.equal(header.length, 132);
  t.equal(objectHeader_bytes, 132);
  t.equal(header.toString('latin1', 0, 8), magic);
  t.same([...header.subarray(8, 12)], [1, 0, 0, 0]);
  t.equal(header.toString('hex', 12, 28), repositoryId);
  t.same(header.subarray(28, 60), hmacSha256(key, Buffer.from('rrbackup object key commitment 1')));
  t.notOk(header.includes(key));
});

t.test('a header gives its key back, also with the object after it', async (t) => {
  t.same(openObjectHeader(keys, magic, repositoryId, object.header), object);
  t.same(openObjectHeader(keys, magic, repositoryId, Buffer.concat([object.header, plain])), object);
});

t.test('a header written by format version 1 opens for ever', async (t) => {
  const golden = Buffer.from(
    '5252425445535431010000000123456789abcdef0123456789abcdefa2819e5a8f9baf3ca02f6f0ae6d5337695effae435e9c6e33186591a002a6ef423a3133d821eb74baf8288902a49ba7172de61ee622ee7ad0c694d630885384f8ff262032b38e7efb8df85268e38cbe9f3ad5fd9debca1a622b4d51becef1f790a0561804d46ec49',
    'hex',
  );
  const opened = openObjectHeader(keys, magic, repositoryId, golden);
  t.same(
    open(
      opened,
      3,
      2 ** 40 + 5,
      context,
      Buffer.from('fc3802436a8004299ce46c39cf0da32190e7195aea916f0966b49c8eee1db8580be60bc9de5876', 'hex'),
    ),
    plain,
  );
});

t.test('every flipped bit of a header is rejected', async (t) => {
  for (let bit = 0; bit < objectHeader_bytes * 8; bit++) {
    const byte = bit >> 3;
    const expected =
      byte < 8
        ? { code: 'crypto.wrong_kind', kind: 'damaged' as const }
        : byte < 10
          ? { code: 'format.newer', kind: 'newer_format' as const }
          : byte < 12
            ? { code: 'crypto.bad_header', kind: 'damaged' as const }
            : byte < 28
              ? { code: 'crypto.other_repository', kind: 'tampered' as const }
              : notAuthentic;
    t.throws(
      () => openObjectHeader(keys, magic, repositoryId, flip(object.header, bit)),
      expected,
      `bit ${bit}`,
    );
  }
});

t.test('every shortened header is rejected', async (t) => {
  for (let length = 0; length < objectHeader_bytes; length++)
    t.throws(() => openObjectHeader(keys, magic, repositoryId, object.header.subarray(0, length)), {
      code: 'crypto.short_header',
      kind: 'damaged',
    });
});

t.test('another magic, another repository, other keys', async (t) => {
  t.throws(() => openObjectHeader(keys, 'RRBTEST2', repositoryId, object.header), {
    code: 'crypto.wrong_kind',
  });
  t.throws(() => openObjectHeader(keys, magic, otherId, object.header), {
    code: 'crypto.other_repository',
    kind: 'tampered',
  });
  t.throws(() => openObjectHeader(otherKeys, magic, repositoryId, object.header), notAuthentic);
});

t.test('a wrapped key moved to another object, magic or repository is rejected', async (t) => {
  const other = newObjectKey(keys, magic, repositoryId);
  const wrappedMoved = Buffer.concat([other.header.subarray(0, 60), object.header.subarray(60)]);
  t.throws(() => openObjectHeader(keys, magic, repositoryId, wrappedMoved), notAuthentic);
  for (const [otherMagic, id] of [
    ['RRBTEST2', repositoryId],
    [magic, otherId],
  ] as const) {
    const start = newObjectKey(keys, otherMagic, id).header.subarray(0, 28);
    const moved = Buffer.concat([start, object.header.subarray(28)]);
    t.throws(() => openObjectHeader(keys, otherMagic, id, moved), notAuthentic);
  }
});

t.test('a wrapped key that its commitment does not name is rejected', async (t) => {
  const start = object.header.subarray(0, 28);
  const rewrapped = wrap(keys.wrap, start, Buffer.alloc(32, 9));
  const header = Buffer.concat([object.header.subarray(0, 60), rewrapped]);
  t.throws(() => openObjectHeader(keys, magic, repositoryId, header), notAuthentic);
});

t.test('what a section is sealed with opens it', async () => {
  const index = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  const section = fc.integer({ min: 0, max: 0xffff_ffff });
  fc.assert(
    fc.property(
      section,
      index,
      fc.uint8Array(),
      fc.uint8Array({ maxLength: 2000 }),
      (section, index, context, plain) => {
        const object = newObjectKey(keys, magic, repositoryId);
        const sealed = seal(object, section, index, context, plain);
        return (
          sealed.length === plain.length + tag_bytes &&
          open(object, section, index, context, sealed).equals(plain)
        );
      },
    ),
    runs(100),
  );
});

t.test('every flipped bit, every other length, and any other place is rejected', async (t) => {
  const sealed = seal(object, 3, 7, context, plain);
  for (let bit = 0; bit < sealed.length * 8; bit++)
    t.throws(() => open(object, 3, 7, context, flip(sealed, bit)), notAuthentic, `section, bit ${bit}`);
  for (let bit = 0; bit < context.length * 8; bit++)
    t.throws(() => open(object, 3, 7, flip(context, bit), sealed), notAuthentic, `context, bit ${bit}`);
  for (let length = 0; length < sealed.length; length++)
    t.throws(() => open(object, 3, 7, context, sealed.subarray(0, length)), notAuthentic, `length ${length}`);
  t.throws(() => open(object, 3, 7, context, Buffer.concat([sealed, Buffer.alloc(1)])), notAuthentic);
  for (const [section, index] of [
    [2, 7],
    [3, 6],
    [3, 7 + 2 ** 32],
    [7, 3],
  ] as const)
    t.throws(
      () => open(object, section, index, context, sealed),
      notAuthentic,
      `section ${section}, index ${index}`,
    );
  t.throws(() => open(object, 3, 7, Buffer.alloc(0), sealed), notAuthentic);
  t.throws(() => open(newObjectKey(keys, magic, repositoryId), 3, 7, context, sealed), notAuthentic);
  for (let bit = 0; bit < 28 * 8; bit++)
    t.throws(
      () => open({ key: object.key, header: flip(object.header, bit) }, 3, 7, context, sealed),
      notAuthentic,
    );
});

t.test('each object has a key of its own', async (t) => {
  const seen = new Set<string>();
  for (let count = 0; count < 1000; count++)
    seen.add(newObjectKey(keys, magic, repositoryId).key.toString('hex'));
  t.equal(seen.size, 1000);
});

t.test('no two places share a nonce', async (t) => {
  // Sealing zeros shows the key stream, which is the same only where key and nonce are.
  const object = newObjectKey(keys, magic, repositoryId);
  const streams = new Set<string>();
  const places: [number, number][] = [];
  for (const section of [0, 1, 2, 255, 256, 0xffff_ffff])
    for (const index of [0, 1, 2, 255, 256, 0xffff_ffff, 2 ** 32, 2 ** 40, Number.MAX_SAFE_INTEGER])
      places.push([section, index]);
  for (let index = 3; index < 20_000; index++) places.push([3 + (index % 2), index]);
  for (const [section, index] of places)
    streams.add(seal(object, section, index, context, Buffer.alloc(16)).toString('hex', 0, 16));
  t.equal(streams.size, places.length);
});

t.test('one place is sealed once, and only by who made the object', async (t) => {
  const object = newObjectKey(keys, magic, repositoryId);
  const empty = Buffer.alloc(0);
  seal(object, 1, 0, context, plain);
  t.throws(() => seal(object, 1, 0, context, plain), /sealed already/);
  seal(object, 1, 5, context, empty);
  t.throws(() => seal(object, 1, 4, context, plain), /sealed already/);
  seal(object, 2, 0, context, plain);
  seal(object, 1, 6, context, plain);
  t.throws(() => seal(openObjectHeader(keys, magic, repositoryId, object.header), 9, 0, context, plain));
});

t.test('places that do not exist are programming errors', async (t) => {
  for (const [section, index] of [
    [-1, 0],
    [2 ** 32, 0],
    [0.5, 0],
    [0, -1],
    [0, 2 ** 53],
    [0, 0.5],
    [NaN, 0],
  ] as const)
    t.throws(() => seal(object, section, index, context, plain), RangeError);
  for (const wrong of ['SHORT', 'TOOLONG99', 'ümlaut12'])
    t.throws(() => newObjectKey(keys, wrong, repositoryId), RangeError);
});
