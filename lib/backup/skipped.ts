// What is never part of a backup, whatever the rules say: our own files, by path and, as many paths lead to one place, by what
// stands there.

import fs from 'node:fs';
import type { FileStatus } from '../posix/status.js';
import { withoutTrailingSlash } from './source.js';

export class Skipped {
  readonly #paths: readonly Buffer[];
  /** By the low half of the inode number: that of most entries is none of these. Roots of file systems share theirs. */
  readonly #places = new Map<number, fs.BigIntStats[]>();

  /** Absolute paths; those where nothing stands are fine. */
  constructor(paths: readonly Uint8Array[]) {
    this.#paths = paths.map(withoutTrailingSlash);
    for (const path of this.#paths) {
      const stats = statIfPossible(path);
      if (stats === undefined) continue;
      const low = Number(stats.ino & 0xffff_ffffn);
      this.#places.set(low, [...(this.#places.get(low) ?? []), stats]);
    }
  }

  hasPlace(status: FileStatus): boolean {
    const places = this.#places.get(status.inodeLow);
    if (places === undefined) return false;
    return places.some(
      ({ ino, dev }) =>
        Number(ino >> 32n) === status.inodeHigh &&
        Number(dev & 0xffff_ffffn) === status.deviceLow &&
        Number(dev >> 32n) === status.deviceHigh,
    );
  }

  hasPath(absolute: Uint8Array): boolean {
    return this.#paths.some((path) => path.equals(absolute));
  }

  /** Whether `hasPath` is true for any entry of this directory. */
  hasPathIn(absolute: Buffer): boolean {
    return this.#paths.some(
      (path) => path.length > absolute.length && path.subarray(0, absolute.length).equals(absolute),
    );
  }
}

/** Another user's mount, or a dead one, does not answer: its path is known all the same. */
function statIfPossible(path: Buffer): fs.BigIntStats | undefined {
  try {
    return fs.statSync(path, { bigint: true });
  } catch {
    return undefined;
  }
}
