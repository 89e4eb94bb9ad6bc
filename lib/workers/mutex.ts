// A lock between threads in four bytes of shared memory (Drepper, "Futexes Are Tricky", the second mutex). Not re-entrant; for
// sections of microseconds, in which nothing may wait and nothing may throw halfway.

const free = 0;
const held = 1;
/** Held, and somebody may be waiting for it. */
const contended = 2;

export class SharedMutex {
  readonly #words: Int32Array;
  readonly #at: number;

  /** `words[at]` belongs to the lock from now on; it begins as 0. */
  constructor(words: Int32Array, at: number) {
    this.#words = words;
    this.#at = at;
  }

  run<T>(section: () => T): T {
    this.#lock();
    try {
      return section();
    } finally {
      this.#unlock();
    }
  }

  #lock(): void {
    const words = this.#words;
    let state = Atomics.compareExchange(words, this.#at, free, held);
    if (state === free) return;
    if (state !== contended) state = Atomics.exchange(words, this.#at, contended);
    while (state !== free) {
      Atomics.wait(words, this.#at, contended);
      state = Atomics.exchange(words, this.#at, contended);
    }
  }

  #unlock(): void {
    if (Atomics.exchange(this.#words, this.#at, free) === contended) Atomics.notify(this.#words, this.#at, 1);
  }
}
