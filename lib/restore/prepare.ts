// The stage that looks ahead: follows the plan, makes directories, finds out what stands there already, and turns the rest
// into batches of jobs. Writes nothing but directories.

import fs from 'node:fs';
import { printable } from '../bytes/path.js';
import type { CatalogEntry, CatalogReader } from '../catalog/types.js';
import { type RrbackupError, damaged } from '../errors/index.js';
import type { Entry } from '../manifest/types.js';
import { setMode } from '../posix/attributes.js';
import { type Comparison, whatStands } from './existing.js';
import { explain, isOfOneEntry } from './failure.js';
import type { NeededChunk } from './fetch.js';
import { Batch, type FirstLink, type Spot } from './jobs.js';
import type { Step } from './plan.js';
import type { Target, TargetDirectory } from './target.js';

export interface PrepareOptions {
  readonly catalog: Pick<CatalogReader, 'lookup' | 'chunk'>;
  readonly sequence: number;
  readonly target: Target;
  readonly overwrite: boolean;
  readonly comparison: Comparison;
  /** Something else stands there and stays. */
  onConflict(path: Buffer, entry: Entry): void;
  /** The entry cannot be put back. */
  onFailed(path: Buffer, entry: Entry, error: RrbackupError): void;
}

interface Frame {
  readonly directory: TargetDirectory;
  readonly row: CatalogEntry;
  readonly path: Buffer;
  readonly temporary: Buffer;
  /** Made by this run: nothing stands in it. */
  readonly isNew: boolean;
  /** Its attributes are put back when it is left. */
  readonly isOurs: boolean;
  readonly mode: number | undefined;
}

const ownerRights = 0o700;

export class Preparation {
  readonly #options: PrepareOptions;
  readonly #frames: Frame[] = [];
  readonly #links = new Map<number, { readonly first: FirstLink; left: number }>();
  #batch = new Batch();

  constructor(options: PrepareOptions) {
    this.#options = options;
  }

  /** Batches in path order; a file's parts follow one another. */
  async *batches(steps: Generator<Step, void, 'skip' | undefined>): AsyncGenerator<Batch, void, undefined> {
    let answer: 'skip' | undefined;
    for (let next = steps.next(); !next.done; next = steps.next(answer)) {
      answer = undefined;
      const step = next.value;
      await this.#options.comparison.turn();
      if (step.kind === 'leave') this.#leave();
      else {
        try {
          if (step.kind === 'entry') yield* this.#entry(step.path, step.entry);
          else if (!this.#enter(step.path, step.entry, step.isParent)) answer = 'skip';
        } catch (error) {
          if (!isOfOneEntry(error)) throw explain(step.path, error);
          this.#options.onFailed(step.path, step.entry.entry, explain(step.path, error));
          if (step.kind === 'enter') answer = 'skip';
        }
      }
      if (this.#batch.isFull) yield this.#take();
    }
    yield this.#take();
  }

  #take(): Batch {
    const batch = this.#batch;
    this.#batch = new Batch();
    return batch;
  }

  /** False if something else stands there: nothing below it is touched. */
  #enter(path: Buffer, row: CatalogEntry, isParent: boolean): boolean {
    const { target, overwrite, onConflict } = this.#options;
    const parent = this.#frames.at(-1)?.directory;
    const directory = parent?.child(row.name) ?? target.root;
    let isNew = target.isNew;
    let mode: number | undefined;
    if (parent !== undefined) {
      const access = parent.at(row.name);
      let stats = fs.lstatSync(access, { throwIfNoEntry: false });
      if (stats && !stats.isDirectory()) {
        if (!overwrite) {
          onConflict(path, row.entry);
          return false;
        }
        fs.unlinkSync(access);
        stats = undefined;
      }
      isNew = stats === undefined;
      if (stats === undefined) fs.mkdirSync(access, { mode: ownerRights });
      else mode = this.#openUp(access, stats.mode & 0o7777);
    }
    const isOurs = isNew || (!isParent && (parent !== undefined || this.#holdsOnlyOurs(row)));
    const temporary = this.#temporaryName(row);
    this.#frames.push({ directory, row, path, temporary, isNew, isOurs, mode });
    return true;
  }

  /** Lets us write into a directory of ours that forbids it; returns the mode to put back. */
  #openUp(access: Buffer, mode: number): number | undefined {
    if ((mode & ownerRights) === ownerRights || process.geteuid?.() === 0) return undefined;
    setMode(access, mode | ownerRights);
    return mode;
  }

  /**
   * Whether the target itself, which was there before, holds nothing that is not of this version: then it is the place for
   * it and gets its attributes. A home or /tmp that somebody restores into keeps its own.
   */
  #holdsOnlyOurs(root: CatalogEntry): boolean {
    const { catalog, sequence, target } = this.#options;
    const names = fs.readdirSync(target.root.self(), { encoding: 'buffer' });
    return names.every((name) => catalog.lookup(root.directory!, name, sequence) !== undefined);
  }

  #temporaryName(directory: CatalogEntry): Buffer {
    const { catalog, sequence } = this.#options;
    let name = '.rrbackup-partial';
    while (catalog.lookup(directory.directory!, Buffer.from(name), sequence)) name += '-';
    return Buffer.from(name);
  }

  #leave(): void {
    const { directory, path, row, isOurs, mode } = this.#frames.pop()!;
    this.#batch.add({ kind: 'leave', directory, path, entry: isOurs ? row.entry : undefined, mode });
  }

  async *#entry(path: Buffer, row: CatalogEntry): AsyncGenerator<Batch, void, undefined> {
    const { name, entry } = row;
    const { directory, temporary, isNew } = this.#frames.at(-1)!;
    const { overwrite, comparison, onConflict } = this.#options;
    const spot: Spot = { directory, name, temporary, path, entry, replaces: overwrite };
    const linked = this.#linkOf(row);
    if (linked) {
      this.#batch.add({ kind: 'link', spot, first: linked });
      return;
    }
    const standing = isNew ? 'absent' : await whatStands(directory.at(name), entry, comparison);
    if (standing === 'directory' || (standing === 'different' && !overwrite)) {
      onConflict(path, entry);
      return;
    }
    const first = this.#firstOf(spot, row);
    if (standing === 'same') this.#batch.add({ kind: 'right', spot, first });
    else if (entry.type === 'file') yield* this.#file(spot, first);
    else this.#batch.add({ kind: 'node', spot, first });
  }

  *#file(spot: Spot, first: FirstLink | undefined): Generator<Batch, void, undefined> {
    const { content } = spot.entry;
    const problem = this.#problemOf(spot);
    if (problem) {
      this.#options.onFailed(spot.path, spot.entry, problem);
      return;
    }
    let part = { from: 0, offset_bytes: 0, needed: [] as NeededChunk[] };
    let offset_bytes = 0;
    for (const [index, segment] of content.entries()) {
      offset_bytes += segment.size_bytes;
      if (segment.kind === 'chunk') {
        const chunk = { id: segment.id, place: this.#options.catalog.chunk(segment.id)! };
        part.needed.push(chunk);
        this.#batch.need(chunk);
      }
      if (!this.#batch.isFull || index + 1 === content.length) continue;
      this.#batch.add({ kind: 'part', spot, first, part: { ...part, to: index + 1 } });
      yield this.#take();
      part = { from: index + 1, offset_bytes, needed: [] };
    }
    this.#batch.add({ kind: 'part', spot, first, part: { ...part, to: content.length } });
  }

  /** Why the file cannot be put together, before anything of it is written. */
  #problemOf({ path, entry }: Spot): RrbackupError | undefined {
    let size_bytes = 0;
    for (const segment of entry.content) {
      size_bytes += segment.size_bytes;
      if (segment.kind !== 'chunk') continue;
      const place = this.#options.catalog.chunk(segment.id);
      if (place?.size_bytes !== segment.size_bytes)
        return damaged('restore.chunk_missing', `a part of ${printable(path)} is in no known pack`);
    }
    if (size_bytes === entry.size_bytes) return undefined;
    return damaged('restore.size_mismatch', `the parts of ${printable(path)} do not add up to its size`);
  }

  /**
   * Links are told by their row: alike in every byte, content included. Inode and device alone are not enough: device
   * numbers are dealt out anew at every boot, inodes are used again, and what could not be read stands with old ones.
   */
  #linkOf({ id, entry }: CatalogEntry): FirstLink | undefined {
    const group = entry.links > 1 ? this.#links.get(id) : undefined;
    if (group && --group.left === 0) this.#links.delete(id);
    return group?.first;
  }

  #firstOf(spot: Spot, { id, entry }: CatalogEntry): FirstLink | undefined {
    if (entry.links <= 1) return undefined;
    const first = { spot, isThere: false };
    this.#links.set(id, { first, left: entry.links - 1 });
    return first;
  }
}
