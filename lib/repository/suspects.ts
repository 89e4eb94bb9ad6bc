// Stored objects that a check has read and found damaged. This machine remembers them until they are found in order, or nobody
// needs them any more: whatever looks at the repository next reads these again, even if it reads no other contents. A small
// file, a line for each pack; losing it costs a pass over the contents.

import fs from 'node:fs';
import path from 'node:path';
import type { PackName } from '../pack/types.js';
import type { LocationState } from './state.js';

const packName = /^[0-9a-f]{64}$/;
/** Stands for the parts of log entries and of checkpoints: they are all read again. */
const manifestLine = 'manifest';

export class Suspects {
  readonly #state: LocationState;
  readonly #remembered: ReadonlySet<string>;
  readonly #found = new Set<string>();
  #isKept = true;

  /** What no one can have written is left out. */
  constructor(state: LocationState) {
    this.#state = state;
    this.#remembered = new Set(recall(this.#file));
  }

  get #file(): string {
    return path.join(this.#state.directory, 'damaged');
  }

  /** Of before. */
  get packs(): ReadonlySet<PackName> {
    return new Set([...this.#remembered].filter((line) => line !== manifestLine));
  }

  /** Of before: something of the manifest is damaged that its roots and the store's listing do not show. */
  get hasManifest(): boolean {
    return this.#remembered.has(manifestLine);
  }

  /** Whether the next command knows what this one has found. */
  get isKept(): boolean {
    return this.#isKept;
  }

  /** Remembered from here on, though the caller may never come to its end. */
  add(pack: PackName): void {
    this.#add(pack);
  }

  addManifest(): void {
    this.#add(manifestLine);
  }

  #add(line: string): void {
    if (this.#found.has(line)) return;
    this.#found.add(line);
    if (!this.#remembered.has(line))
      this.#write(() => fs.appendFileSync(this.#file, `${line}\n`, { mode: 0o600 }));
  }

  /** Everything remembered that `wasLookedAt` has been looked at again: what of it is damaged has been added anew. */
  settle(wasLookedAt: { readonly manifest: boolean; pack(name: PackName): boolean }): void {
    const kept = [...this.#remembered].filter((line) =>
      line === manifestLine ? !wasLookedAt.manifest : !wasLookedAt.pack(line),
    );
    const lines = new Set([...kept, ...this.#found]);
    if (lines.size === this.#remembered.size && [...lines].every((line) => this.#remembered.has(line)))
      return;
    this.#write(() => {
      if (lines.size === 0) return fs.rmSync(this.#file, { force: true });
      const temporary = `${this.#file}.${process.pid}.new`;
      fs.writeFileSync(temporary, [...lines].map((line) => `${line}\n`).join(''), { mode: 0o600 });
      fs.renameSync(temporary, this.#file);
    });
  }

  #write(work: () => void): void {
    const done = this.#state.attempt(() => {
      work();
      return true;
    });
    this.#isKept &&= done === true;
  }
}

function recall(file: string): string[] {
  try {
    const lines = fs.readFileSync(file, 'utf8').split('\n');
    return lines.filter((line) => line === manifestLine || packName.test(line));
  } catch {
    return [];
  }
}
