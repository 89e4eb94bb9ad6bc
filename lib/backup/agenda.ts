// What a run has yet to do, in path order: places to compare, findings that wait for what comes before them. Places are taken
// from the front, so that what the commit needs next is always under way; findings leave at the front only.

import type { Place } from './findings.js';
import type { Finding } from './messages.js';

/** One position in path order. */
interface Step {
  /** Undefined: nothing came of it. */
  finding: Finding | undefined;
  /** Somebody is at it: its findings will take its place. */
  isTaken: boolean;
  next: Step | undefined;
}

/** A place that somebody is at. */
export interface Taken {
  readonly place: Place;
  /** What it led to; places among it are to be done yet. */
  settle(findings: readonly Finding[]): void;
}

export class Agenda {
  #head: Step | undefined;

  constructor(findings: readonly Finding[]) {
    this.#head = chain(findings, undefined);
  }

  get isEmpty(): boolean {
    this.#skip();
    return this.#head === undefined;
  }

  /** Whether what stands at the front is a place that nobody is at. */
  get isIdle(): boolean {
    this.#skip();
    return this.#head?.finding?.kind === 'place' && !this.#head.isTaken;
  }

  /**
   * Takes the next places that nobody is at, up to `most` and no more than leave as many for each of the other `takers`. Each
   * is to be settled.
   */
  take(most: number, takers: number): Taken[] {
    const free: { readonly step: Step; readonly place: Place }[] = [];
    for (let step = this.#head; step && free.length < most * takers; step = step.next) {
      const { finding, isTaken } = step;
      if (!isTaken && finding?.kind === 'place') free.push({ step, place: finding.place });
    }
    return free.slice(0, Math.ceil(free.length / takers)).map(({ step, place }) => {
      step.isTaken = true;
      return { place, settle: (findings) => settle(step, findings) };
    });
  }

  /** Takes off what stands at the front, unless it is a place. */
  shift(): Exclude<Finding, { kind: 'place' }> | undefined {
    this.#skip();
    const finding = this.#head?.finding;
    if (finding === undefined || finding.kind === 'place') return undefined;
    this.#head = this.#head!.next;
    return finding;
  }

  #skip(): void {
    while (this.#head !== undefined && this.#head.finding === undefined) this.#head = this.#head.next;
  }
}

function settle(step: Step, findings: readonly Finding[]): void {
  step.finding = findings[0];
  step.isTaken = false;
  step.next = chain(findings.slice(1), step.next);
}

function chain(findings: readonly Finding[], behind: Step | undefined): Step | undefined {
  let first = behind;
  for (let index = findings.length - 1; index >= 0; index--)
    first = { finding: findings[index], isTaken: false, next: first };
  return first;
}
