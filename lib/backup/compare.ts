// What of a source differs from its newest version: a merge of two sorted walks, the scan and the catalog's tree. Holds
// neither; reads no file. What cannot be read counts as it was.

import { comparePaths, joinPath } from '../bytes/path.js';
import type { CatalogEntry, CatalogReader, DirectoryId } from '../catalog/types.js';
import type { Entry } from '../manifest/types.js';
import { type ScanOptions, type ScannedEntry, scan } from './scan.js';

export interface CompareOptions extends ScanOptions {
  readonly catalog: Pick<CatalogReader, 'root' | 'list'>;
  readonly stream: string;
  /** The version to compare with; 0 for none: everything is added. */
  readonly previous: number;
  /**
   * When the previous version's scan began. A file whose ctime is not older than that (less what a clock tick hides) may
   * have been written again after it was read without its times telling: it is 'changed'.
   */
  readonly previousStarted_ns?: bigint;
}

export type Difference =
  | { readonly kind: 'added'; readonly path: Buffer; readonly entry: Entry }
  /** A file whose content must be read; or something with another type, target or device number than before. */
  | {
      readonly kind: 'changed';
      readonly path: Buffer;
      readonly entry: Entry;
      readonly previous: CatalogEntry;
    }
  /** Anything but a file: only its attributes differ. */
  | {
      readonly kind: 'metadata';
      readonly path: Buffer;
      readonly entry: Entry;
      readonly previous: CatalogEntry;
    }
  | { readonly kind: 'removed'; readonly path: Buffer; readonly previous: CatalogEntry }
  /** Nothing to do; yielded so that the caller can let the event loop turn and tell of progress. */
  | { readonly kind: 'unchanged'; readonly path: Buffer; readonly previous: CatalogEntry }
  /** Below or at something unreadable: stays as it was. */
  | { readonly kind: 'kept'; readonly path: Buffer; readonly previous: CatalogEntry }
  /** Not a row: for the user, and for the exit status. */
  | { readonly kind: 'unreadable'; readonly path: Buffer; readonly reason: string };

/** Of the whole tree as it will stand at the new version, the root included. */
export interface TreeStatistics {
  files: number;
  directories: number;
  others: number;
  bytes: number;
  /** Entries and directories that could not be read. */
  unreadable: number;
}

export function emptyStatistics(): TreeStatistics {
  return { files: 0, directories: 0, others: 0, bytes: 0, unreadable: 0 };
}

/**
 * The differences in path order; no path stands twice but for 'unreadable'. Entries come with xattrs and target, without
 * content. Something that was a directory and is none any more is 'changed', and what lay below it is 'removed'.
 * `statistics` is counted up on the way. Throws what scan throws.
 */
export function* compare(
  options: CompareOptions,
  statistics: TreeStatistics,
): Generator<Difference, void, undefined> {
  const before = new PreviousTree(options);
  /** What lies at or below this path cannot be seen now. */
  let hidden: Buffer | undefined;

  /** The previous entries ahead of `path` (all that are left without it): they are not there any more, or hidden. */
  function* passed(path?: Buffer): Generator<Difference, void, undefined> {
    for (let at = before.current; at; at = before.current) {
      if (path !== undefined && comparePaths(at.path, path) >= 0) return;
      before.advance();
      if (hidden !== undefined && isWithin(at.path, hidden)) {
        countEntry(statistics, at.previous.entry, 1);
        yield { kind: 'kept', path: at.path, previous: at.previous };
      } else yield { kind: 'removed', path: at.path, previous: at.previous };
    }
  }

  for (const scanned of scan(options)) {
    yield* passed(scanned.path);
    if (scanned.kind === 'unreadable') {
      hidden = scanned.path;
      statistics.unreadable++;
      yield { kind: 'unreadable', path: scanned.path, reason: scanned.reason };
      continue;
    }
    const previous = before.takeAt(scanned.path);
    const difference = differenceOf(scanned, previous, options.previousStarted_ns);
    if (difference === undefined) continue;
    if (difference.kind !== 'removed') countEntry(statistics, scanned.entry, 1);
    yield difference;
  }
  yield* passed();
}

/** Undefined for something that vanished between its scan and now and was not there before either. */
function differenceOf(
  scanned: ScannedEntry,
  previous: CatalogEntry | undefined,
  previousStarted_ns: bigint | undefined,
): Difference | undefined {
  const { path } = scanned;
  if (previous !== undefined && isUnchanged(scanned.entry, previous.entry, previousStarted_ns))
    return { kind: 'unchanged', path, previous };
  const entry = scanned.complete();
  if (entry === undefined) return previous && { kind: 'removed', path, previous };
  if (previous === undefined) return { kind: 'added', path, entry };
  return { kind: isSameThing(entry, previous.entry) ? 'metadata' : 'changed', path, entry, previous };
}

/** By what the file system says. ctime moves with mode, owner, links and xattrs, so these need no look of their own. */
function isUnchanged(now: Entry, before: Entry, previousStarted_ns: bigint | undefined): boolean {
  return (
    now.type === before.type &&
    now.size_bytes === before.size_bytes &&
    now.mtime_ns === before.mtime_ns &&
    now.ctime_ns === before.ctime_ns &&
    now.inode === before.inode &&
    !(now.type === 'file' && previousStarted_ns !== undefined && isTooFresh(now.ctime_ns, previousStarted_ns))
  );
}

// Linux stamps files with the time of the last clock tick (up to 10 ms ago); some file systems keep two-second times.
const tick_ns = 10_000_000n;
const coarseTick_ns = 2_000_000_000n;

function isTooFresh(ctime_ns: bigint, started_ns: bigint): boolean {
  const isCoarse = ctime_ns % 1_000_000_000n === 0n;
  return ctime_ns + (isCoarse ? coarseTick_ns : tick_ns) >= started_ns;
}

function isSameThing(now: Entry, before: Entry): boolean {
  return (
    now.type !== 'file' &&
    now.type === before.type &&
    now.rdevMajor === before.rdevMajor &&
    now.rdevMinor === before.rdevMinor &&
    Buffer.compare(now.target, before.target) === 0
  );
}

/** Counts an entry in (1) or out again (-1). */
export function countEntry(statistics: TreeStatistics, { type, size_bytes }: Entry, by: 1 | -1): void {
  if (type === 'file') {
    statistics.files += by;
    statistics.bytes += by * size_bytes;
  } else if (type === 'directory') statistics.directories += by;
  else statistics.others += by;
}

function isWithin(path: Buffer, ancestor: Buffer): boolean {
  if (ancestor.length === 0) return true;
  if (path.length < ancestor.length || !path.subarray(0, ancestor.length).equals(ancestor)) return false;
  return path.length === ancestor.length || path[ancestor.length] === 0x2f;
}

interface PreviousEntry {
  readonly path: Buffer;
  readonly previous: CatalogEntry;
}

interface Level {
  readonly directory: DirectoryId;
  readonly path: Buffer;
  page: CatalogEntry[];
  next: number;
}

/** Rows taken from the catalog at a time, so that no read of it stays open while the caller waits for other things. */
const pageEntries = 256;

/** The tree of one version in path order, one entry at a time. */
class PreviousTree {
  readonly #catalog: CompareOptions['catalog'];
  readonly #sequence: number;
  readonly #levels: Level[] = [];
  #current: PreviousEntry | undefined;

  constructor({ catalog, stream, previous }: CompareOptions) {
    this.#catalog = catalog;
    this.#sequence = previous;
    const root = previous === 0 ? undefined : catalog.root(stream, previous);
    this.#current = root && { path: Buffer.alloc(0), previous: root };
  }

  get current(): PreviousEntry | undefined {
    return this.#current;
  }

  /** The current entry if it is the one at `path`; then the next one is current. */
  takeAt(path: Buffer): CatalogEntry | undefined {
    const at = this.#current;
    if (at === undefined || !at.path.equals(path)) return undefined;
    this.advance();
    return at.previous;
  }

  advance(): void {
    const directory = this.#current?.previous.directory;
    if (this.#current && directory !== undefined)
      this.#levels.push({ directory, path: this.#current.path, page: this.#page(directory), next: 0 });
    for (let level = this.#levels.at(-1); level; level = this.#levels.at(-1)) {
      const last = level.page.at(-1);
      if (level.next === level.page.length && last !== undefined && level.page.length === pageEntries) {
        level.page = this.#page(level.directory, last.name);
        level.next = 0;
      }
      const previous = level.page[level.next++];
      if (previous !== undefined) {
        this.#current = { path: joinPath(level.path, previous.name), previous };
        return;
      }
      this.#levels.pop();
    }
    this.#current = undefined;
  }

  #page(directory: DirectoryId, after?: Buffer): CatalogEntry[] {
    const page: CatalogEntry[] = [];
    for (const entry of this.#catalog.list(directory, this.#sequence, after)) {
      page.push(entry);
      if (page.length === pageEntries) break;
    }
    return page;
  }
}
