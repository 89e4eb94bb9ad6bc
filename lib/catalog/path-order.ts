// The path of the row before, which the next one has to follow. Keeps it where it lies, so that no row is copied for it.

const slash = 0x2f;

export class PathOrder {
  #last: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  #hasRows = false;

  /** How many bytes this path has in common with the one before; undefined if it does not follow it in path order. */
  follow(bytes: Buffer, start: number, end: number): number | undefined {
    const last = this.#last;
    const lastStart = this.#start;
    const last_bytes = this.#end - lastStart;
    const length = Math.min(end - start, last_bytes);
    let shared = 0;
    while (shared < length && last[lastStart + shared] === bytes[start + shared]) shared++;
    const left = shared < last_bytes ? last[lastStart + shared]! : -1;
    const right = shared < end - start ? bytes[start + shared]! : -1;
    const isBehind = right >= 0 && (left === slash || left < 0 || (right !== slash && left < right));
    if (!isBehind && this.#hasRows) return undefined;
    this.#hasRows = true;
    this.#last = bytes;
    this.#start = start;
    this.#end = end;
    return shared;
  }

  /** The next rows lie elsewhere, and these need not be kept for one path. */
  moveOut(): void {
    this.#last = Buffer.from(this.#last.subarray(this.#start, this.#end));
    this.#end = this.#last.length;
    this.#start = 0;
  }
}
