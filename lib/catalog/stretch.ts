// A stretch of rows of one table, all in one buffer that is used again: what lmdb would copy into two buffers a row, which
// costs more than reading it. Knows no row format. Only for reading; lmdb calls it back for each key and value.

const initial_bytes = 4096;
const byHand_bytes = 64;

export class Stretch {
  bytes = Buffer.allocUnsafeSlow(initial_bytes);
  /** Of each row: where its key begins and ends, where its stored value begins and ends. */
  readonly places: number[] = [];
  #used = 0;

  get rows(): number {
    return this.places.length / 4;
  }

  get used_bytes(): number {
    return this.#used;
  }

  clear(): void {
    this.places.length = 0;
    this.#used = 0;
  }

  /** Forgets the row that was read last. */
  drop(): void {
    this.#used = this.places.at(-4) ?? 0;
    this.places.length -= 4;
  }

  add(source: Buffer, start: number, end: number): void {
    const at = this.#used;
    if (at + end - start > this.bytes.length) this.#grow(at + end - start);
    const { bytes } = this;
    // lmdb's own buffer claims to be as long as the value, which copy() does not take well; and short copies are faster by hand.
    if (end - start > byHand_bytes)
      bytes.set(new Uint8Array(source.buffer, source.byteOffset + start, end - start), at);
    else for (let index = start; index < end; index++) bytes[at + index - start] = source[index]!;
    this.#used = at + end - start;
    this.places.push(at, this.#used);
  }

  /** A view, valid until the stretch is filled again. */
  key(row: number): Buffer {
    return this.bytes.subarray(this.places[row * 4], this.places[row * 4 + 1]);
  }

  /** The stored value with its checksum; the same. */
  stored(row: number): Buffer {
    return this.bytes.subarray(this.places[row * 4 + 2], this.places[row * 4 + 3]);
  }

  #grow(least_bytes: number): void {
    const grown = Buffer.allocUnsafeSlow(Math.max(least_bytes, this.bytes.length * 2));
    this.bytes.copy(grown);
    this.bytes = grown;
  }
}

let filled: Stretch | undefined;

/** While `read` runs, what the coders below are given goes into `stretch`. */
export function filling(stretch: Stretch, read: () => void): void {
  const before = filled;
  filled = stretch;
  try {
    read();
  } finally {
    filled = before;
  }
}

/** How lmdb is to read keys and values of a table that is only read in stretches. */
export const stretchCoders = {
  keyEncoder: {
    writeKey(key: Buffer, target: Buffer, start: number): number {
      target.set(key, start);
      return start + key.length;
    },
    readKey(source: Buffer, start: number, end: number): undefined {
      filled?.add(source, start, end);
    },
  },
  encoder: {
    encode(): never {
      throw new Error('a table that is read in stretches is not written');
    },
    decode(source: Buffer, size_bytes: number): undefined {
      filled?.add(source, 0, size_bytes);
    },
  },
};
