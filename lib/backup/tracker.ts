// What a run knows of itself while it goes on: figures, what could not be read, how far it is. Tells the caller's progress.

import { printable } from '../bytes/path.js';
import type { Comparison } from './compare.js';
import { estimate } from './estimate.js';
import type { VersionStatistics } from '../manifest/types.js';
import { groupName, userName } from '../posix/names.js';
import type { Run } from '../progress.js';
import type { OpenSource } from './source.js';
import type { Remarks, Unreadable } from './messages.js';
import { addFigures, type Figures, noFigures } from './tally.js';

/** More names than a person would look at are left out: of users and groups, and of files that went wrong. */
const maximumNames = 4096;
const maximumNamed = 1000;

/** The first of what went wrong, and how often it did: a million files that cannot be read take no memory for each. */
export class Named<T> {
  readonly first: T[] = [];
  count = 0;

  add(one: T): void {
    if (this.first.length < maximumNamed) this.first.push(one);
    this.count++;
  }
}

export class Tracker {
  readonly figures: Figures = noFigures();
  readonly unreadable = new Named<Unreadable>();
  readonly unstable = new Named<Uint8Array>();
  /** Of the users and groups that own what a version changes, kept in its header for people and other machines. */
  readonly userNames = new Map<number, string>();
  readonly groupNames = new Map<number, string>();
  readonly #run: Run;
  #totals: { files_total?: number; bytes_total?: number } = {};

  constructor(run: Run) {
    this.#run = run;
  }

  /** How much there is: as in the version before, or counted meanwhile if there is none. Only who watches needs to know. */
  expect(
    before: VersionStatistics | undefined,
    comparison: () => Comparison,
    source: Pick<OpenSource, 'isOpen'>,
  ): void {
    if (this.#run.onProgress === undefined) return;
    if (before === undefined) {
      const isOver = (): boolean => !source.isOpen || this.#run.signal?.aborted === true;
      void estimate(comparison, isOver).then((totals) => (this.#totals = totals ?? {}));
      return;
    }
    const { files, directories, others, bytes } = before;
    this.#totals = { files_total: files + directories + others, bytes_total: bytes };
  }

  add(figures: Figures, path: Uint8Array | undefined): void {
    addFigures(this.figures, figures);
    const { files, bytes } = this.figures.done;
    this.#run.onProgress?.({
      phase: 'read',
      files_done: files,
      bytes_done: bytes,
      ...this.#totals,
      ...(path === undefined ? {} : { current: printable(path) }),
    });
  }

  remark(remarks: Remarks, path: Uint8Array | undefined): void {
    for (const one of remarks.unreadable) this.unreadable.add(one);
    for (const path of remarks.unstable) this.unstable.add(path);
    for (const warning of remarks.warnings) this.#run.onWarning?.(warning);
    for (const id of remarks.users) note(this.userNames, id, userName);
    for (const id of remarks.groups) note(this.groupNames, id, groupName);
    this.add(remarks.figures, path);
  }
}

function note(names: Map<number, string>, id: number, nameOf: (id: number) => string | undefined): void {
  if (names.has(id) || names.size >= maximumNames) return;
  const name = nameOf(id);
  if (name !== undefined) names.set(id, name);
}
