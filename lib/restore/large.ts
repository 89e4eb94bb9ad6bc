// One large file: looked at, opened, and its pieces put back by several threads at once; complete with attributes before it gets
// its real name. What there is of it when the restore is interrupted stays for the next run. Main thread only.

import fs from 'node:fs';
import { printable } from '../bytes/path.js';
import type { CatalogReader } from '../catalog/types.js';
import { damaged, RrbackupError } from '../errors/index.js';
import type { Entry, Segment } from '../manifest/types.js';
import type { ChunkPlace } from '../pack/types.js';
import { preallocate } from '../posix/allocate.js';
import { closeDescriptor, type HeldDirectory, pathIn, removeIn, renameIfFree } from '../posix/at.js';
import { alone } from '../workers/alone.js';
import type { Attributes } from './attributes.js';
import { createTemporary } from './content.js';
import type { Dispatcher } from './dispatch.js';
import { openExisting, statusOf, whatSeemsToStand } from './existing.js';
import { isInterruption } from './failure.js';
import { openLeftOver, openToChange } from './in-place.js';
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
}

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
    const { policy, attributes, journal } = this.#options;
    const access = pathIn(held, place.row.name);
    const stats = place.frame.isNew ? undefined : statusOf(access);
    let standing = whatSeemsToStand(access, stats, entry);
    const isKnown = standing === 'same' && isTrusted(stats!, journal?.trust([place.path]) ?? []);
    if (standing === 'same' && !isKnown && !(await this.#isSame(access, place, entry)))
      standing = 'different';
    if (standing === 'same') {
      attributes.apply({ access, path: place.path, entry, isPlain: false, stats });
      return { what: 'right', written_bytes: 0 };
    }
    if (standing === 'directory' || (standing === 'different' && policy === 'keep'))
      return { what: 'conflict', written_bytes: 0 };
    checkParts(this.#options.catalog, place.path, entry);
    const existing =
      policy === 'change' && standing === 'different' ? openToChange(access, entry.size_bytes) : undefined;
    if (existing !== undefined) return this.#change(existing, access, place, entry);
    return this.#write(held, place, entry);
  }

  async #isSame(access: Buffer, place: Place, entry: Entry): Promise<boolean> {
    let descriptor: number;
    try {
      descriptor = openExisting(access, fs.constants.O_RDONLY);
    } catch {
      return false;
    }
    try {
      return (await this.#pieces(descriptor, 'compare', place, entry)) === 0;
    } finally {
      fs.closeSync(descriptor);
    }
  }

  async #change(descriptor: number, access: Buffer, place: Place, entry: Entry): Promise<LargeResult> {
    try {
      const written_bytes = await this.#pieces(descriptor, 'change', place, entry);
      this.#options.attributes.apply({ access, path: place.path, entry, descriptor, isPlain: false });
      return { what: 'written', written_bytes };
    } finally {
      fs.closeSync(descriptor);
    }
  }

  async #write(held: HeldDirectory, place: Place, entry: Entry): Promise<LargeResult> {
    const { catalog, sequence, policy } = this.#options;
    const { frame, row } = place;
    const temporary = temporaryName(catalog, frame.catalog, sequence, partialOf(row.name));
    try {
      const written_bytes =
        (await this.#goOn(held, temporary, place, entry)) ??
        (await this.#writeAnew(held, temporary, place, entry));
      if (policy !== 'keep') fs.renameSync(pathIn(held, temporary), pathIn(held, row.name));
      else if (!renameIfFree(held, temporary, row.name)) {
        removeIn(held, temporary);
        return { what: 'conflict', written_bytes: 0 };
      }
      return { what: 'written', written_bytes };
    } catch (error) {
      if (!isInterruption(error)) removeIn(held, temporary);
      throw error;
    }
  }

  async #writeAnew(held: HeldDirectory, temporary: Buffer, place: Place, entry: Entry): Promise<number> {
    const { frame, path } = place;
    const descriptor = createTemporary(held, temporary, privateMode);
    try {
      if (entry.content.some(({ kind }) => kind === 'hole')) fs.ftruncateSync(descriptor, entry.size_bytes);
      else preallocate(descriptor, entry.size_bytes);
      await this.#pieces(descriptor, 'write', place, entry);
      const access = pathIn(held, temporary);
      this.#options.attributes.apply({ access, path, entry, descriptor, isPlain: frame.isPlain });
      return entry.size_bytes;
    } finally {
      closeDescriptor(descriptor);
    }
  }

  /**
   * What an interrupted run has left of the file: only what is missing is fetched and written. Its bytes are compared, whatever
   * file or version they were of. Undefined if nothing is left.
   */
  async #goOn(
    held: HeldDirectory,
    temporary: Buffer,
    place: Place,
    entry: Entry,
  ): Promise<number | undefined> {
    if (place.frame.isNew) return undefined;
    const access = pathIn(held, temporary);
    const descriptor = openLeftOver(access, entry.size_bytes);
    if (descriptor === undefined) return undefined;
    try {
      const written_bytes = await this.#pieces(descriptor, 'change', place, entry);
      this.#options.attributes.apply({ access, path: place.path, entry, descriptor, isPlain: false });
      return written_bytes;
    } finally {
      fs.closeSync(descriptor);
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
