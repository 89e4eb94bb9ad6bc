// The comparison as the pipeline and the preview want it: changes one by one, everything else counted, the event loop
// turned now and then so that signals and uploads get their turn.

import { printable } from '../bytes/path.js';
import { interrupted } from '../errors/index.js';
import type { CatalogReader } from '../catalog/types.js';
import { listMounts, mountType } from '../posix/mount.js';
import type { Run } from '../progress.js';
import type { SourceConfiguration } from '../repository/types.js';
import { type Difference, type TreeStatistics, compare, countEntry, emptyStatistics } from './compare.js';
import { readExcludes } from './exclude.js';
import type { Item, Unreadable } from './messages.js';
import { type ScanOptions, scan } from './scan.js';

export type ChangeToStore = Extract<Difference, { kind: 'added' | 'changed' | 'metadata' | 'removed' }>;

export interface WalkOptions {
  readonly catalog: CatalogReader;
  readonly source: SourceConfiguration;
  readonly stream: string;
  /** The version to compare with; 0 for none. */
  readonly previous: number;
  /** Absolute paths that are the program's own. */
  readonly skip: readonly string[];
  readonly run: Run;
}

function ownMounts(): Buffer[] {
  const ours = listMounts().filter(({ type }) => type === mountType);
  return ours.map(({ mountpoint }) => Buffer.from(mountpoint, 'latin1'));
}

/** Entries between two turns of the event loop. */
const entriesPerTurn = 512;

export class Walk {
  readonly statistics: TreeStatistics = emptyStatistics();
  readonly unreadable: Unreadable[] = [];
  readonly counts = { added: 0, changed: 0, metadata: 0, removed: 0 };
  /** Content of files: of those that must be read, and of those that are gone. */
  readonly bytes = { added: 0, changed: 0, removed: 0 };
  readonly #options: WalkOptions;
  readonly #scan: ScanOptions;
  #sinceTurn = 0;
  #files_done = 0;
  #bytes_done = 0;
  #totals: { files_total?: number; bytes_total?: number } = {};

  constructor(options: WalkOptions) {
    this.#options = options;
    const { source, skip, run } = options;
    this.#scan = {
      root: Buffer.from(source.path),
      excludes: readExcludes(source),
      oneFileSystem: source.oneFileSystem,
      excludeCaches: source.excludeCaches,
      // A mount of ours inside a source would bring every version ever made into the next one.
      skip: [...skip.map((path) => Buffer.from(path)), ...ownMounts()],
      ...(run.onWarning === undefined ? {} : { onWarning: (message: string) => run.onWarning?.(message) }),
    };
  }

  async *changes(): AsyncGenerator<ChangeToStore> {
    const { catalog, stream, previous, run } = this.#options;
    if (run.onProgress !== undefined) await this.#estimate();
    const header = previous === 0 ? undefined : catalog.version(stream, previous)?.header;
    const differences = compare(
      {
        ...this.#scan,
        catalog,
        stream,
        previous,
        ...(header === undefined ? {} : { previousStarted_ns: header.started_ns }),
      },
      this.statistics,
    );
    for (const difference of differences) {
      await this.#turn();
      switch (difference.kind) {
        case 'unreadable':
          this.unreadable.push({ path: difference.path, reason: difference.reason });
          break;
        case 'unchanged':
        case 'kept':
          this.advance(1, difference.previous.entry.size_bytes, difference.path);
          break;
        default:
          this.#count(difference);
          yield difference;
      }
    }
  }

  /** Notes entries as done, for the progress. */
  advance(files: number, size_bytes: number, path: Uint8Array): void {
    this.#files_done += files;
    this.#bytes_done += size_bytes;
    this.#options.run.onProgress?.({
      phase: 'read',
      files_done: this.#files_done,
      bytes_done: this.#bytes_done,
      ...this.#totals,
      current: printable(path),
    });
  }

  /** Takes back what was counted of a change that is none after all, or, with a reason, cannot be read and stays as it was. */
  retract(item: Item, reason: string | undefined): void {
    if (item.op === 'removed') throw new RangeError('what is removed is not read');
    this.counts[item.op]--;
    this.advance(1, item.entry.size_bytes, item.path);
    if (reason === undefined) return;
    this.unreadable.push({ path: item.path, reason });
    countEntry(this.statistics, item.entry, -1);
    if (item.op === 'changed') countEntry(this.statistics, item.previous, 1);
  }

  #count(difference: ChangeToStore): void {
    this.counts[difference.kind]++;
    if (difference.kind === 'removed') this.bytes.removed += difference.previous.entry.size_bytes;
    else if (difference.kind === 'added') this.bytes.added += difference.entry.size_bytes;
    else if (difference.kind === 'changed') this.bytes.changed += difference.entry.size_bytes;
  }

  /** How much there is: as in the version before, or counted if there is none. Only somebody who watches needs to know. */
  async #estimate(): Promise<void> {
    const { catalog, stream, previous } = this.#options;
    const before = previous === 0 ? undefined : catalog.version(stream, previous)?.header.statistics;
    if (before !== undefined) {
      const { files, directories, others, bytes } = before;
      this.#totals = { files_total: files + directories + others, bytes_total: bytes };
      return;
    }
    let files_total = 0;
    let bytes_total = 0;
    const { onWarning, ...quiet } = this.#scan;
    void onWarning;
    for (const scanned of scan(quiet)) {
      await this.#turn();
      files_total++;
      if (scanned.kind === 'entry') bytes_total += scanned.entry.size_bytes;
      this.#options.run.onProgress?.({
        phase: 'scan',
        files_done: files_total,
        bytes_done: 0,
        current: printable(scanned.path),
      });
    }
    this.#totals = { files_total, bytes_total };
  }

  async #turn(): Promise<void> {
    if (++this.#sinceTurn < entriesPerTurn) return;
    this.#sinceTurn = 0;
    await new Promise((resolve) => setImmediate(resolve));
    if (this.#options.run.signal?.aborted) throw interrupted();
  }
}
