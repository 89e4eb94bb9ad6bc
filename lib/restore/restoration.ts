// One restore from its walk to its end, in the main thread: makes directories, hands everything else to the threads, counts what
// became of it. Holds only what is under way.

import { printable } from '../bytes/path.js';
import type { CatalogEntry, CatalogReader } from '../catalog/types.js';
import { damaged, RrbackupError } from '../errors/index.js';
import type { Run } from '../progress.js';
import { Attributes } from './attributes.js';
import { Directories, type Frame } from './directories.js';
import type { Dispatcher } from './dispatch.js';
import { explain, isOfOneEntry } from './failure.js';
import { LargeFiles } from './large.js';
import { limits } from './limits.js';
import { Links, type Place } from './links.js';
import type { EntriesResponse, FirstName, Policy, UnitDirectory } from './messages.js';
import { joinNames } from './names.js';
import type { PlannedRow, Step, Totals } from './plan.js';
import type { RestoreResult } from './index.js';
import type { Target } from './target.js';
import type { Turns } from './turns.js';
import { type Unit, UnitBuilder, type UnitPart, chunksOf } from './units.js';
import { Warnings } from './warnings.js';

export interface RestorationOptions {
  readonly catalog: Pick<CatalogReader, 'lookup' | 'chunk'>;
  readonly root: CatalogEntry;
  readonly sequence: number;
  readonly target: Target;
  readonly policy: Policy;
  readonly umask: number;
  readonly mustFetch: boolean;
  readonly dispatcher: Dispatcher;
  readonly totals: Totals;
  readonly turns: Turns;
  readonly run: Run;
}

export class Restoration {
  readonly #options: RestorationOptions;
  readonly #warnings = new Warnings();
  readonly #directories: Directories;
  readonly #large: LargeFiles;
  readonly #links = new Links();
  readonly #units: UnitBuilder;
  readonly #largeWaiting: Place[] = [];
  #largeOpen = 0;
  readonly #result = {
    files: 0,
    directories: 0,
    others: 0,
    alreadyRight: 0,
    bytes: 0,
    conflicts: 0,
    failed: 0,
  };
  #filesDone = 0;
  #bytesDone = 0;

  constructor(options: RestorationOptions) {
    this.#options = options;
    const { catalog, sequence, policy, dispatcher, mustFetch, root, target, umask } = options;
    const attributes = new Attributes(this.#warnings, umask);
    this.#directories = new Directories({
      catalog,
      root: root.entry,
      sequence,
      target,
      replaces: policy !== 'keep',
      attributes,
      onComplete: () => void this.#result.directories++,
      onConflict: (path) => this.#onConflict(path),
      onFailed: (path, _row, error) => this.#onFailed(path, error),
    });
    const onBytes = (size_bytes: number): void => void (this.#bytesDone += size_bytes);
    this.#large = new LargeFiles({ catalog, sequence, policy, dispatcher, attributes, onBytes });
    this.#units = new UnitBuilder({ catalog, sequence, mustFetch });
  }

  /** Everything is done, or nothing is under way any more, when it settles. */
  async run(steps: Generator<Step, void, 'skip' | undefined>): Promise<RestoreResult> {
    const { dispatcher, run } = this.#options;
    try {
      await this.#walk(steps);
      await this.#settle(() => this.#units.isEmpty && this.#largeWaiting.length === 0 && dispatcher.isIdle);
    } catch (error) {
      dispatcher.fail(error);
    }
    await dispatcher.idle();
    this.#warnings.tell(run.onWarning);
    dispatcher.check();
    return this.#result;
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
        if (frame === undefined) answer = 'skip';
        else frames.push(frame);
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
      this.#onFailed(path, explain(path, error));
      return undefined;
    }
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
    const before_bytes = this.#bytesDone;
    let isThere = false;
    try {
      const { what, written_bytes } = await this.#large.putBack(place);
      isThere = what !== 'conflict';
      this.#result.bytes += written_bytes;
      if (what === 'conflict') this.#onConflict(place.path);
      else this.#result.files++;
      if (what === 'right') this.#result.alreadyRight++;
      if (what !== 'written') this.#bytesDone += place.row.size_bytes;
    } catch (error) {
      if (!isOfOneEntry(error)) throw explain(place.path, error);
      this.#onFailed(place.path, explain(place.path, error));
      this.#bytesDone = before_bytes + place.row.size_bytes;
    }
    this.#filesDone++;
    this.#settled(place, isThere);
    this.#progress(place.path);
  }

  async #send(): Promise<void> {
    const { dispatcher } = this.#options;
    await dispatcher.room();
    // Links that were waiting may have come meanwhile, or nothing is left.
    if (this.#units.isEmpty) return;
    const unit = this.#units.take();
    dispatcher.start(() => this.#runUnit(unit));
  }

  async #runUnit({ parts, blocks }: Unit): Promise<void> {
    const { dispatcher } = this.#options;
    const slot = dispatcher.takeSlot();
    const pinned: Frame[] = [];
    try {
      const reached = parts.filter((part) => this.#pin(part, pinned));
      const directories = reached.map((part) => toDirectory(part));
      const request = { kind: 'entries', directories, slot } as const;
      const response = await dispatcher.entries(request, blocks);
      const absent = this.#take(response);
      for (const [index, at] of await this.#again(reached, directories, slot, response.unread, absent))
        await this.#repair(reached[index]!, directories[index]!, at, slot, absent);
      for (const part of reached) {
        for (const place of part.places) {
          this.#filesDone++;
          this.#bytesDone += place.row.size_bytes;
          this.#settled(place, absent.size === 0 || !absent.has(keyOf(place.path)));
        }
      }
      this.#progress(parts.at(-1)!.places.at(-1)!.path);
    } finally {
      for (const { directory } of pinned) directory.unpin();
      dispatcher.freeSlot(slot);
    }
  }

  /** False if the directory cannot be reached any more: its entries have failed. */
  #pin({ frame, places, firsts }: UnitPart, pinned: Frame[]): boolean {
    try {
      for (const each of [frame, ...[...firsts.values()].map((first) => first.frame)]) {
        each.directory.pin();
        pinned.push(each);
      }
      return true;
    } catch (error) {
      for (const place of places) {
        if (!isOfOneEntry(error)) throw explain(place.path, error);
        this.#onFailed(place.path, explain(place.path, error));
        this.#filesDone++;
        this.#bytesDone += place.row.size_bytes;
        this.#settled(place, false);
      }
      return false;
    }
  }

  /** Entries whose blocks are fetched only now that it is clear that they are needed. What is unread even so. */
  async #again(
    parts: readonly UnitPart[],
    directories: readonly UnitDirectory[],
    slot: number,
    unread: EntriesResponse['unread'],
    absent: Set<string>,
  ): Promise<EntriesResponse['unread']> {
    if (!this.#options.mustFetch || unread.length === 0) return unread;
    const request = { kind: 'entries', slot } as const;
    const blocks = unread.flatMap(([index, at]) => chunksOf(parts[index]!.places[at]!, this.#options));
    const again = unread.map(([index, at]) => onlyOne(directories[index]!, parts[index]!, at));
    const response = await this.#options.dispatcher.entries({ ...request, directories: again }, blocks);
    for (const key of this.#take(response)) absent.add(key);
    return response.unread.map(([place]) => unread[place]!);
  }

  /** One entry whose block no thread could read. */
  async #repair(
    part: UnitPart,
    directory: UnitDirectory,
    at: number,
    slot: number,
    absent: Set<string>,
  ): Promise<void> {
    const place = part.places[at]!;
    const request = { kind: 'entries', directories: [onlyOne(directory, part, at)], slot } as const;
    const blocks = chunksOf(place, this.#options);
    const response = await this.#options.dispatcher.repairedEntries(request, blocks);
    for (const key of this.#take(response)) absent.add(key);
    if (response.unread.length === 0) return;
    this.#onFailed(place.path, damaged('restore.block_unreadable', 'its content cannot be decoded'));
    absent.add(keyOf(place.path));
  }

  /** Counts it. The paths at which nothing is as it should be. */
  #take(response: EntriesResponse): Set<string> {
    const result = this.#result;
    result.files += response.files;
    result.others += response.others;
    result.alreadyRight += response.alreadyRight;
    result.bytes += response.written_bytes;
    for (const path of response.conflicts) this.#onConflict(Buffer.from(path));
    for (const { path, error } of response.failed)
      this.#onFailed(Buffer.from(path), RrbackupError.fromPlain(error));
    for (const { group, message } of response.warnings) this.#warnings.add(group, message);
    return new Set([...response.conflicts, ...response.failed.map(({ path }) => path)].map(keyOf));
  }

  #onConflict(path: Buffer): void {
    this.#result.conflicts++;
    this.#options.run.onWarning?.(`${printable(path)} is kept as it is: something else stands there already`);
  }

  #onFailed(path: Buffer, error: RrbackupError): void {
    this.#result.failed++;
    const isSystemCall = error.code.startsWith('restore.E');
    this.#options.run.onWarning?.(
      isSystemCall ? error.message : `${printable(path) || 'the target'} is not put back: ${error.message}`,
    );
  }

  #progress(path: Buffer): void {
    const { totals, run } = this.#options;
    run.onProgress?.({
      phase: 'restore',
      files_done: this.#filesDone,
      files_total: totals.files,
      bytes_done: this.#bytesDone,
      bytes_total: totals.bytes,
      current: printable(path),
    });
  }
}

/** Its directories are pinned. */
function toDirectory({ frame, places, firsts }: UnitPart): UnitDirectory {
  const { catalog, path, isNew, isPlain } = frame;
  const first = (place: Place): FirstName => ({
    directory: held(place.frame),
    name: place.row.name,
    path: place.path,
  });
  return {
    held: held(frame),
    catalog,
    path,
    isNew,
    isPlain,
    names: joinNames(places.map(({ row }) => row.name)),
    firsts: [...firsts].map(([index, place]) => [index, first(place)]),
  };
}

function onlyOne(directory: UnitDirectory, part: UnitPart, at: number): UnitDirectory {
  const firsts = directory.firsts.filter(([index]) => index === at).map(([, first]) => [0, first] as const);
  return { ...directory, names: joinNames([part.places[at]!.row.name]), firsts };
}

/** Without what cannot be sent to another thread. */
function held({ directory }: Frame): UnitDirectory['held'] {
  const { descriptor, path } = directory.held();
  return { descriptor, path };
}

function keyOf(path: Uint8Array): string {
  return Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('latin1');
}
