// What the kernel asks for, told by a thread that answers it to the one that reads ahead: a queue in shared memory, so that telling
// costs next to nothing and news can be taken in the middle of work. One thread puts, one takes; neither ever waits.

export type Hint =
  /** The kernel asked for bytes of a file. */
  | { readonly kind: 'read'; readonly row: number; readonly offset: number; readonly end: number }
  /** It has listed a directory of a version to its end, and so knows the files in it. */
  | { readonly kind: 'listed'; readonly row: number; readonly sequence: number };

/** More would only be old news when they are heard. */
const capacity = 2048;
/** Kind, row, and two more. */
const fields = 4;
const kinds = { read: 0, listed: 1 } as const;
/** Counted modulo 2^32: how many were put, how many taken. */
const counter = { put: 0, taken: 1, words: 2 } as const;

export class HintQueue {
  /** May be given to the other thread. */
  readonly memory: SharedArrayBuffer;
  readonly #counters: Int32Array;
  readonly #fields: Float64Array;

  constructor(memory = new SharedArrayBuffer(4 * counter.words + 8 * fields * capacity)) {
    this.memory = memory;
    this.#counters = new Int32Array(memory, 0, counter.words);
    this.#fields = new Float64Array(memory, 4 * counter.words);
  }

  get isEmpty(): boolean {
    return this.#waiting === 0;
  }

  /** False, and nothing done, where there are too many that nobody took. */
  put(hint: Hint): boolean {
    if (this.#waiting >= capacity) return false;
    const at = fields * this.#slot(counter.put);
    this.#fields[at] = kinds[hint.kind];
    this.#fields[at + 1] = hint.row;
    this.#fields[at + 2] = hint.kind === 'read' ? hint.offset : hint.sequence;
    this.#fields[at + 3] = hint.kind === 'read' ? hint.end : 0;
    Atomics.add(this.#counters, counter.put, 1);
    return true;
  }

  take(): Hint | undefined {
    if (this.isEmpty) return undefined;
    const at = fields * this.#slot(counter.taken);
    const kind = this.#fields[at]!;
    const row = this.#fields[at + 1]!;
    const first = this.#fields[at + 2]!;
    const end = this.#fields[at + 3]!;
    Atomics.add(this.#counters, counter.taken, 1);
    return kind === kinds.read
      ? { kind: 'read', row, offset: first, end }
      : { kind: 'listed', row, sequence: first };
  }

  get #waiting(): number {
    return (Atomics.load(this.#counters, counter.put) - Atomics.load(this.#counters, counter.taken)) | 0;
  }

  #slot(which: number): number {
    return (Atomics.load(this.#counters, which) >>> 0) % capacity;
  }
}
