// Changes inputs as mistakes, broken disks and attackers would. Everything follows from a seed, so that any input comes again.

/** Numbers at which something may tip over, as they are written in varints, fixed widths and text. */
const edges = [
  0n,
  1n,
  2n,
  31n,
  32n,
  127n,
  128n,
  255n,
  256n,
  0x7fffn,
  0xffffn,
  2n ** 16n,
  2n ** 24n,
  2n ** 28n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 40n,
  2n ** 52n,
  2n ** 53n - 1n,
  2n ** 53n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const widths = [1, 2, 4, 8];
const mostChanges = 5;
const longestPiece_bytes = 64;

/** mulberry32: small, and the same on every machine. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** 32 bits. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  below(limit: number): number {
    return this.next() % Math.max(1, limit);
  }

  of<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

type Change = (input: Buffer, random: Random, others: readonly Buffer[]) => Buffer;

const replace = (input: Buffer, from: number, to: number, by: Uint8Array): Buffer =>
  Buffer.concat([input.subarray(0, from), by, input.subarray(to)]);

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

/** Where the varint that begins at `at` ends, if one does. */
function varintEnd(input: Buffer, at: number): number {
  let end = at;
  while (end < input.length - 1 && input[end]! >= 0x80 && end - at < 9) end++;
  return end + 1;
}

function fixed(value: bigint, width_bytes: number, isBig: boolean): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  const own = bytes.subarray(0, width_bytes);
  return isBig ? own.reverse() : own;
}

function piece(input: Buffer, random: Random): [number, number] {
  const from = random.below(input.length + 1);
  return [from, Math.min(input.length, from + 1 + random.below(longestPiece_bytes))];
}

const changes: readonly Change[] = [
  function flipBit(input, random) {
    if (input.length === 0) return input;
    const changed = Buffer.from(input);
    changed[random.below(input.length)]! ^= 1 << random.below(8);
    return changed;
  },
  function setByte(input, random) {
    if (input.length === 0) return input;
    const changed = Buffer.from(input);
    changed[random.below(input.length)] = random.of([
      0,
      1,
      0x7f,
      0x80,
      0xff,
      0x2f,
      0x2e,
      0x0a,
      random.next() & 0xff,
    ]);
    return changed;
  },
  function insertBytes(input, random) {
    const at = random.below(input.length + 1);
    const bytes = Buffer.alloc(1 + random.below(8), random.next() & 0xff);
    return replace(input, at, at, bytes);
  },
  function removeBytes(input, random) {
    const [from, to] = piece(input, random);
    return replace(input, from, to, Buffer.alloc(0));
  },
  function repeatBytes(input, random) {
    const [from, to] = piece(input, random);
    return replace(input, to, to, input.subarray(from, to));
  },
  function moveBytes(input, random) {
    const [from, to] = piece(input, random);
    const at = random.below(input.length + 1);
    return replace(input, at, at, input.subarray(from, to));
  },
  function cut(input, random) {
    return input.subarray(0, random.below(input.length + 1));
  },
  function splice(input, random, others) {
    const other = random.of(others);
    const [from, to] = piece(other, random);
    const at = random.below(input.length + 1);
    const isTail = random.below(2) === 0;
    return isTail
      ? Buffer.concat([input.subarray(0, at), other.subarray(from)])
      : replace(input, at, at, other.subarray(from, to));
  },
  function edgeVarint(input, random) {
    const at = random.below(input.length + 1);
    // An overlong one, too: more bytes than the number needs.
    const isOverlong = random.below(8) === 0;
    const bytes = isOverlong ? Buffer.alloc(1 + random.below(11), 0x80) : varint(random.of(edges));
    return replace(input, at, Math.min(input.length, varintEnd(input, at)), bytes);
  },
  function nearVarint(input, random) {
    if (input.length === 0) return input;
    const at = random.below(input.length);
    const changed = Buffer.from(input);
    changed[at] = (changed[at]! + random.of([-2, -1, 1, 2])) & 0xff;
    return changed;
  },
  function edgeNumber(input, random) {
    const at = random.below(input.length + 1);
    const bytes = fixed(random.of(edges), random.of(widths), random.below(4) === 0);
    return replace(input, at, Math.min(input.length, at + bytes.length), bytes);
  },
  function edgeText(input, random) {
    const found = [...input.toString('latin1').matchAll(/-?\d+/g)];
    if (found.length === 0) return input;
    const { index, 0: number } = random.of(found);
    const text = random.of([`${random.of(edges)}`, '-1', '1e999', '0.5', 'null', '""', '[]', '{}', 'true']);
    return replace(input, index, index + number.length, Buffer.from(text));
  },
];

/** `others`: inputs of the same kind, to take pieces from. */
export function mutate(
  input: Buffer,
  others: readonly Buffer[],
  random: Random,
  longest_bytes: number,
): Buffer {
  let changed = input;
  for (let left = 1 + random.below(mostChanges); left > 0; left--)
    changed = random.of(changes)(changed, random, others);
  return Buffer.from(changed.subarray(0, longest_bytes));
}
