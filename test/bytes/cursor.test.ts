// The fast ways through numbers and names say what the plain definitions say.

import fc from 'fast-check';
import t from 'tap';
import { ByteReader, ByteWriter } from '../../lib/bytes/cursor.js';
import { hasSafeNames, isSafeName } from '../../lib/bytes/path.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { decodeTime, encodeTime } from '../../lib/manifest/entry.js';

/** LEB128 as its definition has it. */
function leb128(value: bigint): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7n) {
    if (rest < 0x80n) return [...bytes, Number(rest)];
    bytes.push(Number(rest & 0x7fn) | 0x80);
  }
}

const anyNumber = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat(),
  fc
    .tuple(fc.nat(52), fc.constantFrom(-1, 0, 1))
    .map(([bits, by]) => Math.max(0, Math.min(Number.MAX_SAFE_INTEGER, 2 ** bits + by))),
);

void t.test('varints are LEB128, whatever their size', (test) => {
  fc.assert(
    fc.property(fc.array(anyNumber), (numbers) => {
      const writer = new ByteWriter(1);
      for (const number of numbers) writer.varint(number);
      test.strictSame(
        [...writer.view()],
        numbers.flatMap((number) => leb128(BigInt(number))),
      );
      const reader = new ByteReader(writer.view(), 'numbers');
      for (const number of numbers) if (reader.varint() !== number) throw new Error(`not ${number}`);
      reader.end();
    }),
    { numRuns: 500 },
  );
  for (const number of [-1, 0.5, 2 ** 53, NaN, Infinity])
    test.throws(() => new ByteWriter().varint(number), RangeError, `${number}`);
  test.end();
});

void t.test('a varint that is cut short, too long or over its limit is refused where it begins', (test) => {
  const refused: [number[], number?][] = [
    [[]],
    [[0x80]],
    [[0xff, 0xff, 0xff, 0xff]],
    [[0xff, 0xff, 0xff, 0xff, 0xff]],
    [[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]],
    [[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]],
    [[0x05], 4],
  ];
  for (const [bytes, maximum] of refused) {
    const reader = new ByteReader(Buffer.from([7, ...bytes]), 'a number');
    reader.u8();
    test.throws(() => reader.varint(maximum), RrbackupError, bytes.join());
    test.equal(reader.position, 1);
  }
  test.end();
});

void t.test('times come back, also at the edges of seconds and far away', (test) => {
  const second_ns = 1_000_000_000n;
  const time = fc
    .tuple(
      fc.oneof(fc.bigInt(-(2n ** 51n) + 1n, 2n ** 51n - 1n), fc.bigInt(-3n, 3n), fc.bigInt(0n, 2n ** 32n)),
      fc.oneof(fc.constantFrom(0n, 1n, -1n), fc.bigInt(0n, second_ns - 1n)),
    )
    .map(([seconds, rest_ns]) => seconds * second_ns + rest_ns);
  fc.assert(
    fc.property(time, (time_ns) => {
      const writer = new ByteWriter();
      encodeTime(writer, time_ns);
      const seconds = time_ns / second_ns - (time_ns < 0n && time_ns % second_ns !== 0n ? 1n : 0n);
      const plain = new ByteWriter()
        .varint(Number(seconds < 0n ? -2n * seconds - 1n : 2n * seconds))
        .varint(Number(time_ns - seconds * second_ns));
      if (!writer.view().equals(plain.view())) throw new Error('encoded otherwise');
      return decodeTime(new ByteReader(writer.view(), 'a time')) === time_ns;
    }),
    { numRuns: 3000 },
  );
  for (const time_ns of [2n ** 51n * second_ns + second_ns, -(2n ** 90n), 2n ** 90n])
    test.throws(
      () => {
        encodeTime(new ByteWriter(), time_ns);
      },
      { code: 'manifest.entry_too_large' },
    );
  test.end();
});

void t.test('safe names', (test) => {
  const long = 'n'.repeat(255);
  for (const name of ['a', '.a', '...', '..a', long, '\xff'])
    test.ok(isSafeName(Buffer.from(name, 'latin1')));
  for (const name of ['', '.', '..', 'a/b', '/', 'a\0', `${long}n`])
    test.notOk(isSafeName(Buffer.from(name)));
  const component = fc.constantFrom('a', 'bc', '.', '..', '...', '', 'x\0', long, `${long}n`);
  fc.assert(
    fc.property(fc.array(component, { minLength: 1, maxLength: 4 }), (names) => {
      const path = Buffer.from(names.join('/'));
      const isRoot = path.length === 0;
      return hasSafeNames(path, 0) === (isRoot || names.every((name) => isSafeName(Buffer.from(name))));
    }),
    { numRuns: 1000 },
  );
  test.end();
});
