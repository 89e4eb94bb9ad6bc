// What a check finds, as data: what is wrong with stored objects, and which versions and files that hurts. Bounded in memory:
// the first of each kind are kept, all are counted. Reads nothing.

import type { VersionRange } from '../catalog/version-ranges.js';

/**
 * Stable, for programs:
 *   descriptor.missing, descriptor.damaged, key.damaged, key.none    what opens the repository
 *   commit.missing, commit.damaged                                   a log entry: versions cannot be read from the store
 *   history.forked, history.rolled_back                              not the history that this machine has seen, or two of them
 *   part.missing, part.damaged, checkpoint.damaged                   the rest of the manifest
 *   pack.missing, pack.damaged, pack.unreadable                      contents; unreadable: the store does not hand it out
 *   chunk.missing                                                    files need a chunk that no pack holds
 */
export type FindingCode =
  | 'descriptor.missing'
  | 'descriptor.damaged'
  | 'key.damaged'
  | 'key.none'
  | 'commit.missing'
  | 'commit.damaged'
  | 'history.forked'
  | 'history.rolled_back'
  | 'part.missing'
  | 'part.damaged'
  | 'checkpoint.damaged'
  | 'pack.missing'
  | 'pack.damaged'
  | 'pack.unreadable'
  | 'chunk.missing';

/** One thing that is wrong with what is stored. */
export interface Finding {
  readonly code: FindingCode;
  /** One sentence, no full stop, safe to print. */
  readonly message: string;
  /** Key of the stored object. */
  readonly object?: string;
  /** What is to be done about this one alone. */
  readonly remedy?: Remedy;
}

/** What to do about findings: a command without `rrbackup` before it. */
export type Remedy = 'recover' | 'repair' | 'repair --read-data' | 'key add' | `key remove ${string}`;

const remedies: Readonly<Record<FindingCode, Remedy | undefined>> = {
  'descriptor.missing': 'recover',
  'descriptor.damaged': 'recover',
  // Of each slot its own: see Finding.remedy.
  'key.damaged': undefined,
  'key.none': 'key add',
  'commit.missing': 'recover',
  'commit.damaged': 'recover',
  // Nobody but the user knows whether that may be.
  'history.forked': undefined,
  'history.rolled_back': undefined,
  'part.missing': 'recover',
  'part.damaged': 'recover',
  'checkpoint.damaged': 'repair',
  'pack.missing': 'repair',
  'pack.damaged': 'repair',
  'pack.unreadable': 'repair',
  'chunk.missing': 'repair',
};

/** In the order in which they are to be typed; what is about one object alone comes last. */
const inOrder: readonly Remedy[] = ['recover', 'repair', 'key add'];
/** So many that are about one object alone are named. */
const maximumOwn = 10;

/** A file that cannot be read in some versions, though the versions can. */
export interface HurtFile {
  readonly stream: string;
  readonly path: Buffer;
  readonly versions: readonly VersionRange[];
  /** One pack that should hold a chunk of it; undefined where no pack does. */
  readonly pack: string | undefined;
}

/** So many findings, and so many files, are kept. */
export const maximumNamed = 1000;

export class Findings {
  readonly #onFinding: ((finding: Finding) => void) | undefined;
  readonly #kept: Finding[] = [];
  readonly #mended: Finding[] = [];
  readonly #remedies = new Set<Remedy>();
  #count = 0;
  #mendedCount = 0;
  #isTampered = false;
  #hasManifest = false;

  constructor(onFinding?: (finding: Finding) => void) {
    this.#onFinding = onFinding;
  }

  get kept(): readonly Finding[] {
    return this.#kept;
  }

  get count(): number {
    return this.#count;
  }

  /** Whether the store shows another history than it has shown. */
  get isTampered(): boolean {
    return this.#isTampered;
  }

  /** Whether any is about what the log's roots name: parts, checkpoints. */
  get hasManifest(): boolean {
    return this.#hasManifest;
  }

  /** What is lost and made up for: no damage. */
  get mended(): readonly Finding[] {
    return this.#mended;
  }

  get mendedCount(): number {
    return this.#mendedCount;
  }

  /** What can be done about them all; nothing where the store shows another history, which comes first. */
  get remedies(): readonly Remedy[] {
    if (this.#isTampered) return [];
    const own = [...this.#remedies].filter((remedy) => !inOrder.includes(remedy)).slice(0, maximumOwn);
    return [...inOrder.filter((remedy) => this.#remedies.has(remedy)), ...own];
  }

  addMended(finding: Finding): void {
    this.#mendedCount++;
    if (this.#mended.length < maximumNamed) this.#mended.push(finding);
  }

  add(finding: Finding): void {
    this.#count++;
    const remedy = finding.remedy ?? remedies[finding.code];
    if (remedy !== undefined) this.#remedies.add(remedy);
    if (finding.code.startsWith('history.')) this.#isTampered = true;
    if (/^(part|checkpoint)\./.test(finding.code)) this.#hasManifest = true;
    if (this.#kept.length === maximumNamed) return;
    this.#kept.push(finding);
    this.#onFinding?.(finding);
  }
}

/** How many files are hurt in each version, as cheap to add to as one range is. */
export class VersionTally {
  readonly #steps = new Map<number, number>();

  add({ from, to }: VersionRange): void {
    this.#step(from, 1);
    this.#step(to + 1, -1);
  }

  #step(at: number, by: number): void {
    this.#steps.set(at, (this.#steps.get(at) ?? 0) + by);
  }

  /** Versions with at least one. */
  ranges(): VersionRange[] {
    const ranges: VersionRange[] = [];
    let sum = 0;
    let from = 0;
    for (const [at, by] of [...this.#steps].sort(([a], [b]) => a - b)) {
      if (sum === 0 && by > 0) from = at;
      sum += by;
      if (sum === 0 && by < 0) {
        const last = ranges.at(-1);
        if (last?.to === from - 1) ranges[ranges.length - 1] = { from: last.from, to: at - 1 };
        else ranges.push({ from, to: at - 1 });
      }
    }
    return ranges;
  }
}
