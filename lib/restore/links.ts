// Hard links: the first name of a file is put back like any other, the others wait for it and are linked to it. Which names are
// one file is told by their row: alike in every byte, content included. Inode and device alone are not enough: device numbers
// are dealt out anew at every boot, inodes are used again, and what could not be read stands with old ones.

import type { Frame } from './directories.js';
import type { PlannedRow } from './plan.js';

/** A name that is to be put back. */
export interface Place {
  readonly frame: Frame;
  readonly row: PlannedRow;
  readonly path: Buffer;
}

interface Group {
  first: Place;
  state: 'underway' | 'there';
  /** Names of the version that have not come yet. */
  left: number;
  waiting: Place[];
}

export class Links {
  readonly #groups = new Map<number, Group>();
  #waiting = 0;

  /** Names that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /** What to do with the next name: put it back as `first` (undefined: with its content), or nothing until `settle` gives it back. */
  add(place: Place): 'wait' | { readonly first: Place | undefined } {
    const { id, links } = place.row;
    if (links <= 1) return { first: undefined };
    const group = this.#groups.get(id);
    if (group === undefined) {
      this.#groups.set(id, { first: place, state: 'underway', left: links - 1, waiting: [] });
      return { first: undefined };
    }
    group.left--;
    if (group.state === 'there') {
      if (group.left <= 0) this.#groups.delete(id);
      return { first: group.first };
    }
    group.waiting.push(place);
    this.#waiting++;
    return 'wait';
  }

  /** A first name stands, or could not be put back. What was waiting for it, to be put back now. */
  settle(
    place: Place,
    isThere: boolean,
  ): readonly { readonly place: Place; readonly first: Place | undefined }[] {
    const { id } = place.row;
    const group = this.#groups.get(id);
    if (group?.state !== 'underway' || group.first !== place) return [];
    if (isThere) {
      group.state = 'there';
      const ready = group.waiting.map((waiting) => ({ place: waiting, first: place }));
      this.#waiting -= ready.length;
      group.waiting = [];
      if (group.left <= 0) this.#groups.delete(id);
      return ready;
    }
    const next = group.waiting.shift();
    if (next === undefined) {
      // The next name that comes is the first, if any does.
      this.#groups.delete(id);
      return [];
    }
    this.#waiting--;
    group.first = next;
    return [{ place: next, first: undefined }];
  }
}
