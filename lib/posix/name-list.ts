// The names of a directory in byte order, in one buffer: raw bytes, a NUL behind each. Cheap to cut into pieces, to send to
// another thread and to point system calls at; no object for each name.

export class NameList {
  /** Each name with a NUL behind it. */
  readonly bytes: Buffer;
  readonly #starts: Uint32Array;

  private constructor(bytes: Buffer, starts: Uint32Array) {
    this.bytes = bytes;
    this.#starts = starts;
  }

  /** From the bytes of another list. */
  static of(bytes: Uint8Array): NameList {
    const own = Buffer.allocUnsafeSlow(Math.max(minimum_bytes, bytes.length)).subarray(0, bytes.length);
    own.set(bytes);
    const starts = [0];
    for (let at = own.indexOf(0); at >= 0; at = own.indexOf(0, at + 1)) starts.push(at + 1);
    return new NameList(own, Uint32Array.from(starts));
  }

  /** From names as latin1 text, one character a byte; sorts them. */
  static from(names: string[]): NameList {
    names.sort();
    let size_bytes = minimum_bytes;
    for (const name of names) size_bytes += name.length + 1;
    const bytes = Buffer.allocUnsafeSlow(size_bytes);
    const starts = new Uint32Array(names.length + 1);
    let count = 0;
    let at = 0;
    let before: string | undefined;
    for (const name of names) {
      // A directory that is written to while it is listed may show a name twice.
      if (name === before) continue;
      before = name;
      for (let index = 0; index < name.length; index++) bytes[at++] = name.charCodeAt(index);
      bytes[at++] = 0;
      starts[++count] = at;
    }
    return new NameList(bytes.subarray(0, at), starts.subarray(0, count + 1));
  }

  get count(): number {
    return this.#starts.length - 1;
  }

  /** Where name `index` begins in `bytes`; it ends before `start(index + 1) - 1`. */
  start(index: number): number {
    return this.#starts[index]!;
  }

  /** A view. */
  name(index: number): Buffer {
    return this.bytes.subarray(this.#starts[index], this.#starts[index + 1]! - 1);
  }

  indexOf(name: Uint8Array): number {
    for (let index = 0; index < this.count; index++) if (this.name(index).equals(name)) return index;
    return -1;
  }

  /** The bytes of names `from` … `to` - 1: a copy, alone in its memory. */
  slice(from: number, to: number): Uint8Array {
    return new Uint8Array(this.bytes.subarray(this.#starts[from], this.#starts[to]));
  }
}

/** Small buffers may be moved by the engine, and system calls are given addresses. */
const minimum_bytes = 4096;
