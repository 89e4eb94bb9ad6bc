// Cursors over bytes: little-endian fixed widths, LEB128 varints, checked lengths. Knows no domain. A reader never reads
// past its end and never allocates on the word of the input.

import { damaged } from '../errors/index.js';

const maximumSafe = BigInt(Number.MAX_SAFE_INTEGER);
const int31 = 0x7fff_ffff;
/** Of a number up to 2^53 - 1. */
const longestVarint_bytes = 8;
/** So few bytes are copied faster one by one. */
const byHand_bytes = 40;

export class ByteWriter {
  #buffer: Buffer;
  #length = 0;

  constructor(initialCapacity_bytes = 1024) {
    this.#buffer = Buffer.allocUnsafe(initialCapacity_bytes);
  }

  get length(): number {
    return this.#length;
  }

  #reserve(size: number): number {
    const at = this.#length;
    if (at + size > this.#buffer.length) this.#grow(at + size);
    this.#length = at + size;
    return at;
  }

  #grow(least_bytes: number): void {
    const grown = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, least_bytes));
    this.#buffer.copy(grown, 0, 0, this.#length);
    this.#buffer = grown;
  }

  /** The least significant eight bits of it. */
  u8(value: number): this {
    const at = this.#reserve(1);
    this.#buffer[at] = value;
    return this;
  }

  u16(value: number): this {
    const at = this.#reserve(2);
    this.#buffer.writeUInt16LE(value, at);
    return this;
  }

  u32(value: number): this {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32LE(value, at);
    return this;
  }

  u64(value: bigint): this {
    const at = this.#reserve(8);
    this.#buffer.writeBigUInt64LE(value, at);
    return this;
  }

  /** An unsigned integer up to 2^53 - 1, LEB128. */
  varint(value: number): this {
    let at = this.#length;
    if (at + longestVarint_bytes > this.#buffer.length) this.#grow(at + longestVarint_bytes);
    const buffer = this.#buffer;
    let rest = value;
    if ((value & int31) !== value) {
      if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a varint: ${value}`);
      // Bit operations are for what fits in 31 bits.
      for (; rest > int31; rest = Math.floor(rest / 0x80)) buffer[at++] = (rest % 0x80) | 0x80;
    }
    for (; rest >= 0x80; rest >>= 7) buffer[at++] = (rest & 0x7f) | 0x80;
    buffer[at++] = rest;
    this.#length = at;
    return this;
  }

  /** An unsigned integer of up to 64 bits, LEB128. */
  varint64(value: bigint): this {
    let rest = BigInt.asUintN(64, value);
    if (rest <= maximumSafe) return this.varint(Number(rest));
    while (rest >= 0x80n) {
      this.u8(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    return this.u8(Number(rest));
  }

  /** A signed integer of up to 64 bits: zigzag, then LEB128. */
  signed64(value: bigint): this {
    return this.varint64(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));
  }

  /** The bytes, or those from `from` on. */
  raw(bytes: Uint8Array, from = 0): this {
    const size = bytes.length - from;
    const at = this.#reserve(size);
    const buffer = this.#buffer;
    if (size > byHand_bytes) buffer.set(from === 0 ? bytes : bytes.subarray(from), at);
    else for (let index = 0; index < size; index++) buffer[at + index] = bytes[from + index]!;
    return this;
  }

  /** A varint length, then the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.varint(bytes.length).raw(bytes);
  }

  text(text: string): this {
    return this.bytes(Buffer.from(text, 'utf8'));
  }

  /** What was written, as a view: valid until the next write. */
  view(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  /** What was written, as a copy of its own. */
  take(): Buffer {
    return Buffer.from(this.view());
  }

  reset(): this {
    this.#length = 0;
    return this;
  }
}

export class ByteReader {
  readonly #buffer: Buffer;
  readonly #what: string;
  #at: number;

  /** `what` names the thing being read, for the error message. */
  constructor(bytes: Uint8Array, what: string) {
    this.#buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
    this.#at = 0;
  }

  get remaining(): number {
    return this.#buffer.length - this.#at;
  }

  get position(): number {
    return this.#at;
  }

  fail(why: string): never {
    throw damaged('format.damaged', `${this.#what} is damaged: ${why} at byte ${this.#at}`);
  }

  #advance(size: number): number {
    if (size > this.remaining) this.fail(`it ends ${size - this.remaining} bytes early`);
    const at = this.#at;
    this.#at += size;
    return at;
  }

  u8(): number {
    return this.#buffer[this.#advance(1)]!;
  }

  u16(): number {
    return this.#buffer.readUInt16LE(this.#advance(2));
  }

  u32(): number {
    return this.#buffer.readUInt32LE(this.#advance(4));
  }

  u64(): bigint {
    return this.#buffer.readBigUInt64LE(this.#advance(8));
  }

  /** An unsigned LEB128 integer of at most `maximum` (default 2^53 - 1). */
  varint(maximum = Number.MAX_SAFE_INTEGER): number {
    const buffer = this.#buffer;
    let at = this.#at;
    // Behind the end there are no bytes, which ends every loop and is noticed once.
    let byte = buffer[at++]!;
    let value = byte & 0x7f;
    if (byte >= 0x80) {
      byte = buffer[at++]!;
      value |= (byte & 0x7f) << 7;
      for (let shift = 14; byte >= 0x80 && shift < 28; shift += 7) {
        byte = buffer[at++]!;
        value |= (byte & 0x7f) << shift;
      }
      for (let scale = 2 ** 28; byte >= 0x80; scale *= 0x80) {
        if (scale === 2 ** 56) this.fail('a number is too large');
        byte = buffer[at++]!;
        value += (byte & 0x7f) * scale;
      }
    }
    if (at > buffer.length) this.fail('it ends 1 bytes early');
    if (value > maximum) this.fail(`${value} is over the limit of ${maximum}`);
    this.#at = at;
    return value;
  }

  varint64(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (value >> 64n) this.fail('a number is too large');
        return value;
      }
    }
    return this.fail('a number is too large');
  }

  signed64(): bigint {
    const value = this.varint64();
    return BigInt.asIntN(64, (value >> 1n) ^ -(value & 1n));
  }

  skip(size: number): void {
    this.#advance(size);
  }

  /** A view of the next `size` bytes. */
  raw(size: number): Buffer {
    const at = this.#advance(size);
    return this.#buffer.subarray(at, at + size);
  }

  /** A view of bytes by their positions. */
  view(from: number, to: number): Buffer {
    return this.#buffer.subarray(from, to);
  }

  /** A varint length of at most `maximum`, then that many bytes, as a view. */
  bytes(maximum: number): Buffer {
    return this.raw(this.varint(maximum));
  }

  text(maximum_bytes: number): string {
    return this.bytes(maximum_bytes).toString('utf8');
  }

  /** Call when nothing may follow. */
  end(): void {
    if (this.remaining > 0) this.fail(`${this.remaining} bytes too many`);
  }
}
