// Which packs a pass over the contents has found in order, kept on this machine until the pass is over, so that one that was
// interrupted goes on. A small file: a line that says which pass it is, then a name a line. Losing it costs time only.

import fs from 'node:fs';
import path from 'node:path';
import { randomBytes } from '../crypto/index.js';
import type { PackName } from '../pack/types.js';
import { makeDirectories } from '../posix/new-directory.js';
import { reasonOf } from '../posix/reason.js';
import { readOwnFile } from '../posix/small-file.js';

/** What was in order so long ago need not be any more. */
const longest_ns = 7n * 24n * 3600n * 1_000_000_000n;
const seedPattern = /^[0-9a-f]{32}$/;
const namePattern = /^[0-9a-f]{64}$/;

export interface JournalOptions {
  /** Of what this machine remembers of the repository. */
  readonly directory: string;
  /** Which packs the pass is to read, in words; another selection is another pass. */
  readonly selection: string;
  readonly now_ns: bigint;
  /** An interrupted pass is not gone on with. */
  readonly startsAnew: boolean;
  onWarning?(message: string): void;
}

interface Beginning {
  readonly selection: string;
  readonly began_ns: bigint;
  readonly seed: string;
}

export class VerifyJournal {
  readonly #file: string;
  readonly #options: JournalOptions;
  readonly #done = new Set<PackName>();
  #beginning: Beginning;
  #isWritten = true;

  constructor(options: JournalOptions) {
    this.#options = options;
    this.#file = path.join(options.directory, 'check.journal');
    const { selection, now_ns } = options;
    this.#beginning = { selection, began_ns: now_ns, seed: randomBytes(16).toString('hex') };
    if (!options.startsAnew && this.#resume()) return;
    const { seed } = this.#beginning;
    this.#write(() => {
      makeDirectories(options.directory);
      // What is no file would be waited for.
      fs.rmSync(this.#file, { force: true });
      fs.writeFileSync(this.#file, `${JSON.stringify({ selection, began_ns: String(now_ns), seed })}\n`, {
        mode: 0o600,
        flag: 'wx',
      });
    });
  }

  /** Chooses the packs of a random selection, the same in the whole pass. */
  get seed(): string {
    return this.#beginning.seed;
  }

  get began_ns(): bigint {
    return this.#beginning.began_ns;
  }

  get doneCount(): number {
    return this.#done.size;
  }

  has(name: PackName): boolean {
    return this.#done.has(name);
  }

  add(name: PackName): void {
    this.#write(() => fs.appendFileSync(this.#file, `${name}\n`, { mode: 0o600 }));
  }

  /** The pass is over. */
  finish(): void {
    this.#write(() => fs.rmSync(this.#file, { force: true }));
  }

  #resume(): boolean {
    let lines: string[];
    let beginning: Beginning | undefined;
    try {
      lines = (readOwnFile(this.#file) ?? '').split('\n');
      beginning = toBeginning(lines[0]!);
    } catch {
      return false;
    }
    const { selection, now_ns } = this.#options;
    const age_ns = now_ns - (beginning?.began_ns ?? 0n);
    if (beginning?.selection !== selection || age_ns < 0n || age_ns > longest_ns) return false;
    this.#beginning = beginning;
    // A line cut short by a crash is a pack that is read again.
    for (const line of lines.slice(1)) if (namePattern.test(line)) this.#done.add(line);
    return true;
  }

  /** A pass needs no journal: where none can be written it just could not be resumed. */
  #write(work: () => void): void {
    if (!this.#isWritten) return;
    try {
      work();
    } catch (error) {
      this.#isWritten = false;
      this.#options.onWarning?.(
        `an interrupted check could not be resumed, because ${this.#file} cannot be written: ${reasonOf(error)}`,
      );
    }
  }
}

function toBeginning(line: string): Beginning | undefined {
  const { selection, began_ns, seed } = JSON.parse(line) as Record<string, unknown>;
  const isOne =
    typeof selection === 'string' &&
    typeof began_ns === 'string' &&
    /^\d{1,20}$/.test(began_ns) &&
    typeof seed === 'string' &&
    seedPattern.test(seed);
  return isOne ? { selection, began_ns: BigInt(began_ns), seed } : undefined;
}
