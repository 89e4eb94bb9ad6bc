// One restore from its walk to its end, in the main thread: makes directories, hands everything else to the threads, and notes in
// the journal how far everything is as it should be. Holds only what is under way.

import type { CatalogEntry, CatalogReader } from '../catalog/types.js';
import type { Run } from '../progress.js';
import { Attributes } from './attributes.js';
import { Directories, type Frame } from './directories.js';
import type { Dispatcher } from './dispatch.js';
import { explain, isOfOneEntry } from './failure.js';
import type { Journal } from './journal.js';
import { LargeFiles } from './large.js';
import { limits } from './limits.js';
import { Links, type Place } from './links.js';
import { Mark } from './mark.js';
import type { Policy } from './messages.js';
import { Outcome } from './outcome.js';
import type { PlannedRow, Step, Totals } from './plan.js';
import type { RestoreResult } from './index.js';
import type { Target } from './target.js';
import type { Turns } from './turns.js';
import { UnitWork } from './unit-work.js';
import { UnitBuilder } from './units.js';

export interface RestorationOptions {
  readonly catalog: Pick<CatalogReader, 'lookup' | 'chunk'>;
  readonly root: CatalogEntry;
  readonly sequence: number;
  readonly target: Target;
  readonly policy: Policy;
  readonly umask: number;
  readonly setuid: boolean;
  readonly intoForeign: boolean;
  readonly mustFetch: boolean;
  readonly dispatcher: Dispatcher;
  readonly totals: Totals;
  readonly turns: Turns;
  readonly journal: Journal | undefined;
  readonly run: Run;
}

export class Restoration {
  readonly #options: RestorationOptions;
  readonly #outcome: Outcome;
  readonly #directories: Directories;
  readonly #large: LargeFiles;
  readonly #links = new Links();
  readonly #units: UnitBuilder;
  readonly #unitWork: UnitWork;
  readonly #largeWaiting: Place[] = [];
  #largeOpen = 0;
  readonly #mark = new Mark();

  constructor(options: RestorationOptions) {
    this.#options = options;
    const { catalog, sequence, policy, dispatcher, mustFetch, root, target, journal, intoForeign } = options;
    const outcome = new Outcome(options.run, options.totals, sequence);
    this.#outcome = outcome;
    const attributes = new Attributes(outcome.warnings, options);
    this.#directories = new Directories({
      catalog,
      root: root.entry,
      sequence,
      target,
      replaces: policy !== 'keep',
      attributes,
      journal,
      onComplete: () => void outcome.result.directories++,
      onConflict: (path) => outcome.conflict(path),
      intoForeign,
      onInexact: () => void outcome.result.inexact++,
      onKept: (path) => outcome.kept(path),
      onFailed: (path, _row, error) => outcome.failed(path, error),
    });
    const onBytes = (size_bytes: number): void => void (outcome.bytesDone += size_bytes);
    this.#large = new LargeFiles({ catalog, sequence, policy, dispatcher, attributes, journal, onBytes });
    this.#units = new UnitBuilder({ catalog, sequence, mustFetch });
    this.#unitWork = new UnitWork({
      catalog,
      sequence,
      mustFetch,
      dispatcher,
      journal,
      outcome,
      onSettled: (place, isThere) => this.#settled(place, isThere),
    });
  }

  /** Everything is done, or nothing is under way any more, when it settles. */
  async run(steps: Generator<Step, void, 'skip' | undefined>): Promise<RestoreResult> {
    const { dispatcher } = this.#options;
    try {
      await this.#walk(steps);
      await this.#settle(() => this.#units.isEmpty && this.#largeWaiting.length === 0 && dispatcher.isIdle);
    } catch (error) {
      dispatcher.fail(error);
    }
    await dispatcher.idle();
    this.#outcome.tellWarnings();
    dispatcher.check();
    return this.#outcome.result;
  }

  async #walk(steps: Generator<Step, void, 'skip' | undefined>): Promise<void> {
    const { turns, dispatcher } = this.#options;
    const frames: Frame[] = [];
    let answer: 'skip' | undefined;
    for (let next = steps.next(); !next.done; next = steps.next(answer)) {
      answer = undefined;
      const step = next.value;
      if (turns.isDue()) await turns.turn();
      dispatcher.check();
      if (step.kind === 'leave') this.#directories.done(frames.pop()!);
      else if (step.kind === 'enter') {
        const frame = this.#enter(frames.at(-1), step.path, step.row, step.isParent);
        if (frame !== undefined) frames.push(frame);
        else {
          this.#mark.fail(step.path);
          answer = 'skip';
        }
      } else {
        this.#add({ frame: frames.at(-1)!, row: step.row, path: step.path });
        while (this.#units.isFull) await this.#send();
        if (!this.#isAhead()) await this.#settle(() => this.#isAhead());
      }
    }
  }

  /** Whether the walk may go on: what it has left behind is bounded. */
  #isAhead(): boolean {
    return this.#largeWaiting.length === 0 && this.#links.waiting < limits.linksWaiting;
  }

  #enter(parent: Frame | undefined, path: Buffer, row: PlannedRow, isParent: boolean): Frame | undefined {
    try {
      return this.#directories.enter(parent, path, row, isParent);
    } catch (error) {
      if (!isOfOneEntry(error)) throw explain(path, error);
      this.#outcome.failed(path, explain(path, error));
      this.#endIfGone();
      return undefined;
    }
  }

  /** Where everything would fail, the first failures are enough. */
  #endIfGone(): void {
    const { ofTarget, ofDisk } = this.#outcome.takeDoubts();
    if (ofTarget) this.#options.target.refuseIfGone();
    // What the disk has not taken may be lost, whatever its status says.
    if (ofDisk) this.#options.journal?.remove();
  }

  /** Waits, and sends what there is, until the condition holds. */
  async #settle(isSo: () => boolean): Promise<void> {
    while (!isSo()) {
      if (this.#units.isEmpty) await this.#options.dispatcher.change();
      else await this.#send();
    }
  }

  #add(place: Place): void {
    place.frame.left++;
    this.#mark.add(place.path);
    const what = this.#links.add(place);
    if (what !== 'wait') this.#put(place, what.first);
  }

  #put(place: Place, first: Place | undefined): void {
    const { row } = place;
    const isLarge = first === undefined && row.type === 'file' && row.size_bytes > limits.wholeFile_bytes;
    if (isLarge) {
      this.#largeWaiting.push(place);
      this.#startLarge();
    } else this.#units.add(place, first);
  }

  /** Something has become of an entry. */
  #settled(place: Place, isThere: boolean): void {
    if (place.row.links > 1)
      for (const { place: next, first } of this.#links.settle(place, isThere)) this.#put(next, first);
    this.#mark.settle(place.path, isThere);
    this.#directories.done(place.frame);
  }

  #startLarge(): void {
    const { dispatcher } = this.#options;
    while (this.#largeOpen < limits.largeFilesOpen) {
      const place = this.#largeWaiting.shift();
      if (place === undefined) return;
      this.#largeOpen++;
      dispatcher.attend(async () => {
        try {
          await this.#putLargeBack(place);
        } finally {
          this.#largeOpen--;
        }
        this.#startLarge();
      });
    }
  }

  async #putLargeBack(place: Place): Promise<void> {
    const outcome = this.#outcome;
    const before_bytes = outcome.bytesDone;
    let isThere = false;
    try {
      const { what, written_bytes, isExact } = await this.#large.putBack(place);
      isThere = what !== 'conflict';
      if (isThere && !isExact) outcome.result.inexact++;
      outcome.result.bytes += written_bytes;
      if (what === 'conflict') outcome.conflict(place.path);
      else outcome.result.files++;
      if (what === 'right') outcome.result.alreadyRight++;
      if (what !== 'written') outcome.bytesDone += place.row.size_bytes;
    } catch (error) {
      if (!isOfOneEntry(error)) throw explain(place.path, error);
      outcome.failed(place.path, explain(place.path, error));
      this.#endIfGone();
      outcome.bytesDone = before_bytes + place.row.size_bytes;
    }
    outcome.filesDone++;
    this.#settled(place, isThere);
    outcome.tellProgress(place.path);
    this.#options.journal?.note(this.#mark.before);
  }

  async #send(): Promise<void> {
    const { dispatcher } = this.#options;
    await dispatcher.room();
    // Links that were waiting may have come meanwhile, or nothing is left.
    if (this.#units.isEmpty) return;
    const unit = this.#units.take();
    dispatcher.start(async () => {
      await this.#unitWork.run(unit);
      this.#endIfGone();
      this.#options.journal?.note(this.#mark.before);
    });
  }
}
