// Has the kernel fetch the next files of a directory while one is read, as long as reading waits for a disk: it has many
// requests to put in order then, instead of one. Where everything is in memory it does nothing. Advice only.

import { closeFile, type OpenDirectory, type ReadBuffer } from '../posix/directory.js';
import type { NameList } from '../posix/name-list.js';
import { willNeed } from '../posix/read-ahead.js';
import { FileStatus } from '../posix/status.js';
import { typeOf } from './status-entry.js';

/** After a read that had to wait, so many files are seen to ahead: where they all are in memory, it was chance. */
const filesPerWait = 256;
/** How far ahead, at most; and how much of each file, so that no more is fetched than stays in memory until it is read. */
const maximumAhead = 32;
const maximumOfFile_bytes = 1024 * 1024;
/** For each file that was read in a row so many are expected to be: of a directory that is the same but for one, few. */
const aheadPerFile = 4;
/** Names between two files that are read in a row. */
const maximumGap = 4;

export class ReadAhead {
  readonly #window: ReadBuffer;
  readonly #status = new FileStatus();
  #waits = 0;
  #left = 0;
  #names: NameList | undefined;
  #last = 0;
  #inARow = 0;
  /** Names before this one have been seen to. */
  #next = 0;

  /** `window`: what the files are read into. */
  constructor(window: ReadBuffer) {
    this.#window = window;
  }

  /** Call when the file at `index` is about to be read. */
  reading(directory: OpenDirectory, names: NameList, index: number): void {
    if (this.#window.waits !== this.#waits) {
      this.#waits = this.#window.waits;
      this.#left = filesPerWait;
    }
    const isInRow = names === this.#names && index - this.#last <= maximumGap;
    this.#inARow = isInRow ? this.#inARow + 1 : 1;
    this.#names = names;
    this.#last = index;
    if (this.#left === 0) return;
    this.#left--;
    const from = isInRow ? Math.max(this.#next, index + 1) : index + 1;
    const ahead = Math.min(maximumAhead, this.#inARow * aheadPerFile);
    const to = Math.min(names.count, index + 1 + ahead);
    for (let at = from; at < to; at++) this.#fetch(directory, names, at);
    this.#next = Math.max(from, to);
  }

  #fetch(directory: OpenDirectory, names: NameList, index: number): void {
    const status = this.#status;
    try {
      // To open what is no file may have consequences.
      if (!directory.look(names, index, status) || typeOf(status.mode) !== 'file') return;
      if (status.size_bytes === 0) return;
      const fd = directory.open(names, index);
      willNeed(fd, 0, Math.min(status.size_bytes, maximumOfFile_bytes));
      closeFile(fd);
    } catch {
      // Whoever reads it will say why it cannot be read.
    }
  }
}
