// Up to where in the order of the walk everything is as it should be, while entries settle in any order. Pure; holds only what
// is under way.

import { comparePaths } from '../bytes/path.js';

export class Mark {
  /** In the order of the walk, as a set keeps it. */
  readonly #underway = new Set<Buffer>();
  #last: Buffer = Buffer.alloc(0);
  #wrong: Buffer | undefined;

  /** The next entry of the walk. */
  add(path: Buffer): void {
    this.#underway.add(path);
    this.#last = path;
  }

  /** One that was added, by the same buffer. */
  settle(path: Buffer, isRight: boolean): void {
    this.#underway.delete(path);
    if (!isRight) this.fail(path);
  }

  /** What is there, or below there, is not as it should be and will not be. */
  fail(path: Buffer): void {
    if (this.#wrong === undefined || comparePaths(path, this.#wrong) < 0) this.#wrong = path;
  }

  /** Everything before this path is as it should be. */
  get before(): Buffer {
    const [first = this.#last] = this.#underway;
    return this.#wrong !== undefined && comparePaths(this.#wrong, first) < 0 ? this.#wrong : first;
  }
}
