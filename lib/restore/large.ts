// One large file: looked at, opened, and its pieces put back by several threads at once; complete with attributes before it gets
// its real name. What there is of it when the restore is interrupted stays for the next run. Main thread only.

import fs from 'node:fs';
import { printable } from '../bytes/path.js';
import type { CatalogReader } from '../catalog/types.js';
import { damaged, RrbackupError } from '../errors/index.js';
import type { Entry, Segment } from '../manifest/types.js';
import type { ChunkPlace } from '../pack/types.js';
import { preallocate } from '../posix/allocate.js';
import { closeDescriptor, type HeldDirectory, removeIn, renameIfFree, renameOver } from '../posix/at.js';
import { type Inode, opened, openHeld, release } from '../posix/inode.js';
import { alone } from '../workers/alone.js';
import type { Attributes } from './attributes.js';
import { createTemporary, freeTemporary } from './content.js';
import type { Frame } from './directories.js';
import type { Dispatcher } from './dispatch.js';
import { compareStatus, holdStanding, isStillAt, type Standing } from './existing.js';
import { exchanged, isInterruption, sameName } from './failure.js';
import { Folding } from './file-system.js';
import { isOwnLeftOver, openToChange } from './in-place.js';
import { isTrusted, type Journal } from './journal.js';
import { limits } from './limits.js';
import type { Place } from './links.js';
import type { PieceRequest, Policy } from './messages.js';
import { partialOf, temporaryName } from './names.js';
import { packSegments } from './pieces.js';

export interface LargeFilesOptions {
  readonly catalog: Pick<CatalogReader, 'lookup' | 'chunk'>;
  readonly sequence: number;
  readonly policy: Policy;
  readonly dispatcher: Dispatcher;
  readonly attributes: Attributes;
  readonly journal: Journal | undefined;
  /** So much more of a file is as it should be. */
  onBytes(size_bytes: number): void;
}

export interface LargeResult {
  readonly what: 'written' | 'right' | 'conflict';
  readonly written_bytes: number;
  /** With all of its attributes. */
  readonly isExact: boolean;
}

const conflict: LargeResult = { what: 'conflict', written_bytes: 0, isExact: true };

interface Piece {
  readonly offset_bytes: number;
  readonly segments: readonly Segment[];
}

const privateMode = 0o600;

export class LargeFiles {
  readonly #options: LargeFilesOptions;

  constructor(options: LargeFilesOptions) {
    this.#options = options;
  }

  /** Throws what is wrong with this file, or with everything (isOfOneEntry tells). */
  async putBack(place: Place): Promise<LargeResult> {
    const { catalog, sequence } = this.#options;
    const { frame, row } = place;
    const entry = catalog.lookup(frame.catalog, row.name, sequence)!.entry;
    const held = frame.directory.pin();
    try {
      return await this.#putBack(place, entry, held);
    } finally {
      frame.directory.unpin();
    }
  }

  async #putBack(place: Place, entry: Entry, held: HeldDirectory): Promise<LargeResult> {
    const { frame, row } = place;
    if (frame.isBare) return this.#write(held, place, entry);
    const standing = holdStanding(held, row.name);
    try {
      if (standing === undefined) return await this.#write(held, place, entry);
      return await this.#meet(standing, held, place, entry);
    } finally {
      if (standing !== undefined) release(standing.inode);
    }
  }

  async #meet(standing: Standing, held: HeldDirectory, place: Place, entry: Entry): Promise<LargeResult> {
    const { policy, attributes, journal } = this.#options;
    const { inode, stats } = standing;
    const { isCoarse } = place.frame;
    if (place.frame.folds) this.#refuseFolded(place, held, stats);
    let likeness = compareStatus(standing, entry, place.frame);
    const isKnown = likeness === 'same' && !isCoarse && isTrusted(stats, journal?.trust([place.path]) ?? []);
    if (likeness === 'same' && !isKnown && !(await this.#isSame(inode, place, entry))) likeness = 'different';
    if (likeness === 'same' && attributes.mayAdopt(inode, stats, entry)) {
      const isExact = attributes.apply({ inode, path: place.path, entry, isPlain: false, isCoarse, stats });
      return { what: 'right', written_bytes: 0, isExact };
    }
    if (likeness === 'directory' || (likeness === 'different' && policy === 'keep')) return conflict;
    checkParts(this.#options.catalog, place.path, entry);
    if (policy === 'change' && likeness === 'different') {
      const mayChange = (stats: fs.BigIntStats): boolean => attributes.mayChange(stats, entry);
      const descriptor = openToChange(standing, entry.size_bytes, mayChange);
      if (descriptor !== undefined) return this.#change(descriptor, place, entry);
    }
    return this.#write(held, place, entry, { replaces: true });
  }

  #refuseFolded({ frame, row }: Place, held: HeldDirectory, stats: fs.BigIntStats): void {
    const { catalog, sequence } = this.#options;
    const isOfVersion = (other: Buffer): boolean =>
      catalog.lookup(frame.catalog, other, sequence) !== undefined;
    if (new Folding().isAnothers(held, row.name, stats, isOfVersion)) throw sameName();
  }

  async #isSame(inode: Inode, place: Place, entry: Entry): Promise<boolean> {
    let descriptor: number;
    try {
      descriptor = openHeld(inode, fs.constants.O_RDONLY);
    } catch {
      return false;
    }
    try {
      return (await this.#pieces(descriptor, 'compare', place, entry)) === 0;
    } finally {
      closeDescriptor(descriptor);
    }
  }

  async #change(descriptor: number, place: Place, entry: Entry): Promise<LargeResult> {
    try {
      const written_bytes = await this.#pieces(descriptor, 'change', place, entry);
      const { path, frame } = place;
      const { isCoarse } = frame;
      const made = { inode: opened(descriptor), path, entry, isPlain: false, isCoarse };
      return { what: 'written', written_bytes, isExact: this.#options.attributes.apply(made) };
    } finally {
      closeDescriptor(descriptor);
    }
  }

  async #write(
    held: HeldDirectory,
    place: Place,
    entry: Entry,
    { replaces = false } = {},
  ): Promise<LargeResult> {
    const { catalog, sequence } = this.#options;
    const { frame, row } = place;
    checkParts(catalog, place.path, entry);
    const partial = temporaryName(catalog, frame.catalog, sequence, partialOf(row.name));
    const leftOver = this.#openLeftOver(held, partial, frame, entry);
    const isOfVersion = (name: Buffer): boolean =>
      catalog.lookup(frame.catalog, name, sequence) !== undefined;
    const temporary =
      leftOver === undefined && !frame.isBare ? freeTemporary(held, partial, isOfVersion) : partial;
    const descriptor = leftOver ?? createTemporary(held, temporary, privateMode);
    const inode = opened(descriptor);
    try {
      const written_bytes = await this.#fill(descriptor, leftOver !== undefined, place, entry);
      const isPlain = leftOver === undefined && frame.isPlain;
      const isExact = this.#options.attributes.apply({
        inode,
        path: place.path,
        entry,
        isPlain,
        isCoarse: frame.isCoarse,
      });
      if (replaces) renameOver(held, temporary, row.name);
      else if (!renameIfFree(held, temporary, row.name)) {
        if (frame.isBare && (frame.isPrivate || frame.isCoarse)) throw sameName();
        removeIn(held, temporary);
        return conflict;
      }
      if (!frame.isPrivate && !isStillAt(held, row.name, inode)) throw exchanged();
      return { what: 'written', written_bytes, isExact };
    } catch (error) {
      if (!isInterruption(error)) removeIn(held, temporary);
      throw error;
    } finally {
      closeDescriptor(descriptor);
    }
  }

  async #fill(descriptor: number, isLeftOver: boolean, place: Place, entry: Entry): Promise<number> {
    // Its bytes are compared, whatever file or version they were of: only what is missing is fetched and written.
    if (isLeftOver) return this.#pieces(descriptor, 'change', place, entry);
    if (entry.content.some(({ kind }) => kind === 'hole')) fs.ftruncateSync(descriptor, entry.size_bytes);
    else preallocate(descriptor, entry.size_bytes);
    await this.#pieces(descriptor, 'write', place, entry);
    return entry.size_bytes;
  }

  /** What an interrupted run has left of the file. Undefined if nothing is left, or nothing that nobody else can have open. */
  #openLeftOver(held: HeldDirectory, name: Buffer, frame: Frame, entry: Entry): number | undefined {
    if (frame.isBare || this.#options.attributes.givesRights(entry)) return undefined;
    const standing = holdStanding(held, name);
    if (standing === undefined) return undefined;
    try {
      return openToChange(standing, entry.size_bytes, isOwnLeftOver);
    } finally {
      release(standing.inode);
    }
  }

  /** All of them; of 'compare' the number that differ, else how many bytes were written. No thread uses the file afterwards. */
  async #pieces(
    descriptor: number,
    does: PieceRequest['does'],
    { path }: Place,
    entry: Entry,
  ): Promise<number> {
    const { dispatcher, onBytes } = this.#options;
    let result = 0;
    let failure: { readonly error: unknown } | undefined;
    const open = new Set<Promise<void>>();
    for (const piece of piecesOf(entry)) {
      try {
        await dispatcher.room();
      } catch (error) {
        failure ??= { error };
      }
      if (failure !== undefined || (does === 'compare' && result > 0)) break;
      const { offset_bytes, segments } = piece;
      const request = {
        kind: 'piece',
        descriptor,
        path: alone(path),
        offset_bytes,
        does,
        ...packSegments(segments),
      } as const;
      const run = async (): Promise<void> => {
        try {
          const response = await dispatcher.piece(request, this.#placesOf(segments));
          if (response.error) throw RrbackupError.fromPlain(response.error);
          if (does === 'compare') result += response.isSame ? 0 : 1;
          else result += response.written_bytes;
          if (does !== 'compare') onBytes(segments.reduce((sum, { size_bytes }) => sum + size_bytes, 0));
        } catch (error) {
          failure ??= { error };
        }
      };
      const running = new Promise<void>((resolve) => dispatcher.start(() => run().finally(resolve)));
      open.add(running);
      void running.then(() => open.delete(running));
    }
    await Promise.all(open);
    if (failure !== undefined) throw failure.error;
    return result;
  }

  #placesOf(segments: readonly Segment[]): ChunkPlace[] {
    return segments.flatMap((segment) =>
      segment.kind === 'chunk' ? [this.#options.catalog.chunk(segment.id)!] : [],
    );
  }
}

function* piecesOf({ content }: Entry): Generator<Piece, void, undefined> {
  let offset_bytes = 0;
  let segments: Segment[] = [];
  let at = 0;
  let data_bytes = 0;
  for (const segment of content) {
    segments.push(segment);
    at += segment.size_bytes;
    if (segment.kind === 'chunk') data_bytes += segment.size_bytes;
    if (data_bytes < limits.unit_bytes && segments.length < limits.unitEntries) continue;
    yield { offset_bytes, segments };
    offset_bytes = at;
    segments = [];
    data_bytes = 0;
  }
  if (segments.length > 0) yield { offset_bytes, segments };
}

/** Why a file cannot be put together, before anything of it is written. */
export function checkParts(catalog: Pick<CatalogReader, 'chunk'>, path: Uint8Array, entry: Entry): void {
  let size_bytes = 0;
  for (const segment of entry.content) {
    size_bytes += segment.size_bytes;
    if (segment.kind === 'chunk' && catalog.chunk(segment.id)?.size_bytes !== segment.size_bytes)
      throw damaged('restore.chunk_missing', `a part of ${printable(path)} is in no known pack`);
  }
  if (size_bytes !== entry.size_bytes)
    throw damaged('restore.size_mismatch', `the parts of ${printable(path)} do not add up to its size`);
}
