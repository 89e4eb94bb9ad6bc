// One request of entries from its directories, which are held open meanwhile, to what became of each entry: asked again, with
// blocks that are fetched, where a thread could not read them. Main thread only.

import { damaged } from '../errors/index.js';
import type { CatalogReader } from '../catalog/types.js';
import { alone } from '../workers/alone.js';
import type { Frame } from './directories.js';
import type { Dispatcher } from './dispatch.js';
import { explain, isOfOneEntry } from './failure.js';
import type { Journal } from './journal.js';
import type { Place } from './links.js';
import type { EntriesRequest, EntriesResponse, FirstName, UnitDirectory } from './messages.js';
import { joinNames } from './names.js';
import { keyOf, type Outcome } from './outcome.js';
import { type Unit, type UnitPart, chunksOf } from './units.js';

export interface UnitWorkOptions {
  readonly catalog: Pick<CatalogReader, 'lookup' | 'chunk'>;
  readonly sequence: number;
  readonly mustFetch: boolean;
  readonly dispatcher: Dispatcher;
  readonly journal: Journal | undefined;
  readonly outcome: Outcome;
  /** Something has become of an entry. */
  onSettled(place: Place, isThere: boolean): void;
}

/** A request without its directories and their blocks. */
type Terms = Omit<EntriesRequest, 'directories' | 'supply'>;

export class UnitWork {
  readonly #options: UnitWorkOptions;

  constructor(options: UnitWorkOptions) {
    this.#options = options;
  }

  /** There is room for a request. Throws what ends the restore. */
  async run({ parts, blocks }: Unit): Promise<void> {
    const { dispatcher, outcome, journal } = this.#options;
    const slot = dispatcher.takeSlot();
    const pinned: Frame[] = [];
    try {
      const reached = parts.filter((part) => this.#pin(part, pinned));
      const directories = reached.map((part) => toDirectory(part));
      const terms: Terms = { kind: 'entries', slot, trust: journal?.trust(pathsOf(reached)) ?? [] };
      const response = await dispatcher.entries({ ...terms, directories }, blocks);
      const absent = outcome.take(response);
      for (const [index, at] of await this.#again(reached, directories, terms, response.unread, absent))
        await this.#repair(reached[index]!, directories[index]!, at, terms, absent);
      for (const part of reached)
        for (const place of part.places)
          this.#settled(place, absent.size === 0 || !absent.has(keyOf(place.path)));
      outcome.tellProgress(parts.at(-1)!.places.at(-1)!.path);
    } finally {
      for (const { directory } of pinned) directory.unpin();
      dispatcher.freeSlot(slot);
    }
  }

  #settled(place: Place, isThere: boolean): void {
    const { outcome, onSettled } = this.#options;
    outcome.filesDone++;
    outcome.bytesDone += place.row.size_bytes;
    onSettled(place, isThere);
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
        this.#options.outcome.failed(place.path, explain(place.path, error));
        this.#settled(place, false);
      }
      return false;
    }
  }

  /** Entries whose blocks are fetched only now that it is clear that they are needed. What is unread even so. */
  async #again(
    parts: readonly UnitPart[],
    directories: readonly UnitDirectory[],
    terms: Terms,
    unread: EntriesResponse['unread'],
    absent: Set<string>,
  ): Promise<EntriesResponse['unread']> {
    const { mustFetch, dispatcher, outcome } = this.#options;
    if (!mustFetch || unread.length === 0) return unread;
    const blocks = unread.flatMap(([index, at]) => chunksOf(parts[index]!.places[at]!, this.#options));
    const again = unread.map(([index, at]) => onlyOne(directories[index]!, parts[index]!, at));
    const response = await dispatcher.entries({ ...terms, directories: again }, blocks);
    for (const key of outcome.take(response)) absent.add(key);
    return response.unread.map(([place]) => unread[place]!);
  }

  /** One entry whose block no thread could read. */
  async #repair(
    part: UnitPart,
    directory: UnitDirectory,
    at: number,
    terms: Terms,
    absent: Set<string>,
  ): Promise<void> {
    const { dispatcher, outcome } = this.#options;
    const place = part.places[at]!;
    const blocks = chunksOf(place, this.#options);
    const directories = [onlyOne(directory, part, at)];
    const response = await dispatcher.repairedEntries({ ...terms, directories }, blocks);
    for (const key of outcome.take(response)) absent.add(key);
    if (response.unread.length === 0) return;
    outcome.failed(place.path, damaged('restore.block_unreadable', 'its content cannot be decoded'));
    absent.add(keyOf(place.path));
  }
}

function* pathsOf(parts: readonly UnitPart[]): Generator<Buffer, void, undefined> {
  for (const { places } of parts) for (const { path } of places) yield path;
}

/** Its directories are pinned. */
function toDirectory({ frame, places, firsts }: UnitPart): UnitDirectory {
  const { catalog, path, isBare, isPlain, isPrivate, folds, isCoarse } = frame;
  const first = (place: Place): FirstName => ({
    directory: held(place.frame),
    name: alone(place.row.name),
    path: alone(place.path),
  });
  return {
    held: held(frame),
    catalog,
    path: alone(path),
    isBare,
    isPlain,
    isPrivate,
    folds,
    isCoarse,
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
  return { descriptor, path: alone(path) };
}
