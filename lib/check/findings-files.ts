// From blocks that cannot be had to the files that need them: one walk over all that the catalog says any version needs. The
// catalog has been held against the history before, or was made of it just now; that a chunk's block can be had it is never
// asked.

import { setImmediate } from 'node:timers/promises';
import { joinPath } from '../bytes/path.js';
import type { Catalog } from '../catalog/index.js';
import type { FileState } from '../catalog/states.js';
import type { DirectoryId } from '../catalog/types.js';
import { commonRanges, type VersionRange } from '../catalog/version-ranges.js';
import type { PackName } from '../pack/types.js';
import type { Run } from '../progress.js';
import { throwIfAborted } from '../store/failures.js';
import { type HurtFile, maximumNamed, VersionTally } from './findings.js';

/** Of one pack: all of its blocks, or these. */
export type BadBlocks = 'all' | ReadonlySet<number>;

export interface HurtFiles {
  /** In the order of streams and directories. */
  readonly named: readonly HurtFile[];
  readonly count: number;
  /** By stream: in which versions at least one file is hurt, and how many files are in any. */
  readonly streams: ReadonlyMap<string, { readonly versions: VersionRange[]; readonly files: number }>;
  /** Files that need a chunk which is in no pack. */
  readonly withoutPack: number;
}

interface StreamTally {
  readonly versions: VersionTally;
  files: number;
}

export class FileSearch {
  readonly #catalog: Catalog;
  /** Versions that can be read, by stream. */
  readonly #readable: ReadonlyMap<string, readonly VersionRange[]>;
  readonly #bad = new Map<number, BadBlocks>();
  readonly #named: HurtFile[] = [];
  readonly #streams = new Map<string, StreamTally>();
  #count = 0;
  #withoutPack = 0;
  #files = 0;
  #directory: { readonly id: DirectoryId; readonly stream: string | undefined } | undefined;
  /** The file that was found hurt last: its other states follow it. */
  #last: (HurtFile & { readonly directory: DirectoryId; readonly name: Buffer }) | undefined;

  constructor(
    catalog: Catalog,
    bad: ReadonlyMap<PackName, BadBlocks>,
    readable: ReadonlyMap<string, readonly VersionRange[]>,
  ) {
    this.#catalog = catalog;
    this.#readable = readable;
    for (const [name, blocks] of bad) {
      const number = catalog.packNumber(name);
      if (number !== undefined) this.#bad.set(number, blocks);
    }
  }

  async run(run: Run): Promise<HurtFiles> {
    let from: Buffer | undefined;
    do {
      from = this.#catalog.visitFileStates(from, (file) => this.#visit(file));
      run.onProgress?.({ phase: 'verify', files_done: this.#files, bytes_done: 0 });
      await setImmediate();
      throwIfAborted(run.signal);
    } while (from !== undefined);
    this.#finishLast();
    const streams = new Map(
      [...this.#streams].map(([stream, { versions, files }]) => [
        stream,
        { versions: versions.ranges(), files },
      ]),
    );
    return { named: this.#named, count: this.#count, streams, withoutPack: this.#withoutPack };
  }

  #visit(file: FileState): void {
    this.#files++;
    for (const id of file.chunks) {
      const place = this.#catalog.blockOf(id);
      if (place === undefined) return this.#hurt(file, undefined);
      if (this.#bad.size === 0) continue;
      const bad = this.#bad.get(place.pack);
      if (bad !== undefined && (bad === 'all' || bad.has(place.block))) return this.#hurt(file, place.pack);
    }
  }

  #hurt({ directory, name, from, to }: FileState, pack: number | undefined): void {
    const stream = this.#streamOf(directory);
    if (stream === undefined) return;
    const versions = commonRanges([{ from, to: to - 1 }], this.#readable.get(stream) ?? []);
    if (versions.length === 0) return;
    if (this.#last?.directory === directory && this.#last.name.equals(name)) {
      // Newest states come first.
      this.#last = { ...this.#last, versions: [...versions, ...this.#last.versions] };
      return;
    }
    this.#finishLast();
    if (pack === undefined) this.#withoutPack++;
    this.#last = {
      stream,
      directory,
      name: Buffer.from(name),
      path: Buffer.alloc(0),
      versions,
      pack: pack === undefined ? undefined : this.#catalog.packName(pack),
    };
  }

  #finishLast(): void {
    if (this.#last === undefined) return;
    const { stream, directory, name, pack, versions } = this.#last;
    this.#last = undefined;
    this.#count++;
    const tally = this.#streams.get(stream) ?? { versions: new VersionTally(), files: 0 };
    this.#streams.set(stream, tally);
    tally.files++;
    for (const range of versions) tally.versions.add(range);
    if (this.#named.length < maximumNamed)
      this.#named.push({ stream, path: this.#pathOf(directory, name), versions: merged(versions), pack });
  }

  #streamOf(directory: DirectoryId): string | undefined {
    if (this.#directory?.id !== directory)
      this.#directory = { id: directory, stream: this.#catalog.streamOf(directory) };
    return this.#directory.stream;
  }

  #pathOf(directory: DirectoryId, name: Buffer): Buffer {
    const names = [name];
    for (
      let place = this.#catalog.directoryPlace(directory);
      place !== undefined;
      place = this.#catalog.directoryPlace(place.directory)
    )
      names.unshift(place.name);
    return names.reduce<Buffer>((path, next) => joinPath(path, next), Buffer.alloc(0));
  }
}

/** Ascending ranges, those that touch in one. */
function merged(ranges: readonly VersionRange[]): VersionRange[] {
  const merged: VersionRange[] = [];
  for (const range of ranges) {
    const last = merged.at(-1);
    if (last !== undefined && last.to + 1 >= range.from)
      merged[merged.length - 1] = { ...last, to: range.to };
    else merged.push(range);
  }
  return merged;
}
