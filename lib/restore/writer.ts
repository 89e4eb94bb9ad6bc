// Puts entries back, on whichever thread: files under a temporary name in their own directory, complete with attributes before
// they get their real one, so that whatever looks complete is. Synchronous. Never overwrites what it was not told to replace.
//
// What was written is not read back: that would compare the page cache with what was just copied into it. The bytes are proven
// right by their chunk's id right before they are written, and the next download reads the disk.

import fs from 'node:fs';
import { joinPath, printable } from '../bytes/path.js';
import type { CatalogReader } from '../catalog/types.js';
import { damaged, RrbackupError } from '../errors/index.js';
import type { Entry } from '../manifest/types.js';
import type { ChunkId, ChunkPlace } from '../pack/types.js';
import {
  closeDescriptor,
  type HeldDirectory,
  makeNodeIn,
  makeSymlinkIn,
  pathIn,
  removeIn,
  renameIfFree,
  renameOver,
} from '../posix/at.js';
import { setModified, setModifiedIn, setModifiedOf } from '../posix/attributes.js';
import { type Inode, linkIn, opened, release } from '../posix/inode.js';
import { reasonOf } from '../posix/libc.js';
import { Attributes, type Made, mayNotKeep } from './attributes.js';
import { type Blocks, UnreadError } from './blocks.js';
import { changeSegments, createTemporary, freeTemporary, unlessLeftOver, writeSegments } from './content.js';
import {
  compare,
  type Comparison,
  holdPrivate,
  holdStanding,
  isStillAt,
  isType,
  isWhatWasMade,
  type Standing,
} from './existing.js';
import {
  endsRestore,
  exchanged,
  explain,
  isOfFailingTarget,
  isOfOneEntry,
  isSameName,
  sameName,
} from './failure.js';
import { Folding } from './file-system.js';
import { openToChange } from './in-place.js';
import type { Trust } from './journal.js';
import type {
  EntriesRequest,
  EntriesResponse,
  FirstName,
  Problem,
  UnitDirectory,
  Warning,
  WriterSettings,
} from './messages.js';
import { splitNames, temporaryName } from './names.js';

export interface WriterOptions extends Omit<WriterSettings, 'stop'> {
  readonly catalog: Pick<CatalogReader, 'lookup' | 'chunk'>;
  readonly blocks: Blocks;
  readonly comparison: Comparison;
}

/** Where an entry goes. */
interface Spot {
  readonly directory: UnitDirectory;
  readonly name: Buffer;
  readonly temporary: Buffer;
  readonly entry: Entry;
  /** Something else may stand there and goes. */
  readonly replaces: boolean;
}

const privateMode = 0o600;

export class EntryWriter {
  readonly #options: WriterOptions;
  readonly #attributes: Attributes;
  readonly #folding = new Folding();
  #warnings: Warning[] = [];
  #counts = { files: 0, others: 0, alreadyRight: 0, inexact: 0, written_bytes: 0 };
  #conflicts: Uint8Array[] = [];

  constructor(options: WriterOptions) {
    this.#options = options;
    const add = (group: string, message: string): void => void this.#warnings.push({ group, message });
    this.#attributes = new Attributes({ add }, options);
  }

  /** Throws what concerns the whole target, 'interrupted', and nothing else. */
  entries(request: EntriesRequest): EntriesResponse {
    this.#warnings = [];
    this.#counts = { files: 0, others: 0, alreadyRight: 0, inexact: 0, written_bytes: 0 };
    this.#conflicts = [];
    const failed: Problem[] = [];
    const unread: [directory: number, place: number][] = [];
    this.#options.blocks.take(request.supply);
    for (const [index, directory] of request.directories.entries()) {
      const firsts = new Map(directory.firsts);
      const temporary = this.#temporaryIn(directory, request.slot);
      for (const [place, name] of splitNames(directory.names).entries()) {
        this.#options.comparison.check();
        try {
          this.#entry(directory, name, temporary, firsts.get(place), request.trust);
        } catch (error) {
          const path = joinPath(directory.path, name);
          if (error instanceof UnreadError) unread.push([index, place]);
          else if (isOfOneEntry(error)) failed.push({ path, error: explain(path, error).toPlain() });
          else throw explain(path, error);
        }
      }
    }
    return {
      kind: 'entries',
      ...this.#counts,
      conflicts: this.#conflicts,
      failed,
      unread,
      warnings: this.#warnings,
    };
  }

  #temporaryIn({ catalog: id, held, path, isBare }: UnitDirectory, slot: number): Buffer {
    const { catalog, sequence } = this.#options;
    const name = temporaryName(catalog, id, sequence, slot);
    if (isBare) return name;
    try {
      return freeTemporary(held, name, (other) => catalog.lookup(id, other, sequence) !== undefined);
    } catch (error) {
      throw explain(path, error);
    }
  }

  #entry(
    directory: UnitDirectory,
    name: Buffer,
    temporary: Buffer,
    first: FirstName | undefined,
    trust: readonly Trust[],
  ): void {
    const { catalog, sequence, policy } = this.#options;
    const entry = catalog.lookup(directory.catalog, name, sequence)?.entry;
    if (entry === undefined)
      throw damaged('restore.row_missing', `${printable(name)} has left the catalog meanwhile`);
    const spot = { directory, name, temporary, entry, replaces: policy !== 'keep' && !directory.isBare };
    if (!directory.isBare) this.#meet(spot, first, trust);
    else if (first === undefined || !this.#link(spot, first)) this.#make(spot);
  }

  /** Where something may stand. */
  #meet(spot: Spot, first: FirstName | undefined, trust: readonly Trust[]): void {
    const { directory, name, entry } = spot;
    const { comparison, policy } = this.#options;
    const hold = directory.isPrivate ? holdPrivate : holdStanding;
    const standing = hold(directory.held, name);
    try {
      if (directory.folds && standing !== undefined) this.#refuseFolded(spot, standing);
      if (
        first !== undefined &&
        standing !== undefined &&
        isStillAt(first.directory, first.name, standing.inode)
      )
        return this.#done(entry, 'right', 0);
      const likeness = compare(standing, entry, comparison, { trust, isCoarse: directory.isCoarse });
      if (likeness === 'directory' || (likeness === 'different' && policy === 'keep'))
        return void this.#conflicts.push(joinPath(directory.path, name));
      // The same content under a name of its own, or of somebody else's file, loses nothing by being replaced.
      const replacing = { ...spot, replaces: policy !== 'keep' || likeness === 'same' };
      if (first !== undefined && this.#link(replacing, first)) return;
      if (likeness === 'same' && this.#adopt(replacing, standing!)) return;
      if (likeness !== 'different' || policy !== 'change' || !this.#change(replacing, standing!))
        this.#make(replacing);
    } finally {
      if (standing !== undefined) release(standing.inode);
    }
  }

  #refuseFolded({ directory, name }: Spot, { stats }: Standing): void {
    const { catalog, sequence } = this.#options;
    const isOfVersion = (other: Buffer): boolean =>
      catalog.lookup(directory.catalog, other, sequence) !== undefined;
    if (this.#folding.isAnothers(directory.held, name, stats, isOfVersion)) throw sameName();
  }

  /** Takes what stands for what is to be put back; false if that would not be safe, and nothing is changed. */
  #adopt({ directory, name, entry }: Spot, { inode, stats }: Standing): boolean {
    if (!this.#attributes.mayAdopt(inode, stats, entry)) return false;
    this.#apply({ directory, name, entry, inode, isPlain: false, stats });
    this.#done(entry, 'right', 0);
    return true;
  }

  #apply({
    directory,
    name,
    ...made
  }: Omit<Made, 'path' | 'isCoarse'> & Pick<Spot, 'directory' | 'name'>): void {
    const path = joinPath(directory.path, name);
    if (!this.#attributes.apply({ ...made, path, isCoarse: directory.isCoarse })) this.#counts.inexact++;
  }

  #make(spot: Spot): void {
    if (spot.entry.type === 'file') this.#file(spot);
    else this.#node(spot);
  }

  #file(spot: Spot): void {
    const { directory, entry, temporary, name } = spot;
    const places = this.#placesOf(spot);
    const isSimple = directory.isPlain && !mayNotKeep(directory, entry);
    const finalMode = isSimple ? this.#attributes.finalMode(entry) : undefined;
    const fd = createTemporary(directory.held, temporary, finalMode ?? privateMode);
    try {
      if (places.includes(undefined)) fs.ftruncateSync(fd, entry.size_bytes);
      const { blocks, comparison } = this.#options;
      writeSegments(
        fd,
        0,
        entry.content,
        (index, id) => blocks.chunk(id, places[index]!),
        () => comparison.check(),
      );
      const inode = opened(fd);
      if (finalMode === undefined || !this.#setTime(inode, entry))
        this.#apply({ directory, name, entry, inode, isPlain: directory.isPlain });
      this.#finish(spot, inode, entry.size_bytes);
    } catch (error) {
      removeIn(directory.held, temporary);
      throw error;
    } finally {
      closeDescriptor(fd);
    }
  }

  /** False where that is refused: who puts all attributes back tells. */
  #setTime(inode: Inode, { mtime_ns }: Entry): boolean {
    try {
      setModifiedOf(inode, mtime_ns);
      return true;
    } catch (error) {
      if (endsRestore(error) || isOfFailingTarget(error)) throw error;
      return false;
    }
  }

  /** Where each segment lies, undefined for holes. Throws if the file cannot be put together. */
  #placesOf({ directory, name, entry }: Spot): (ChunkPlace | undefined)[] {
    let size_bytes = 0;
    const places = entry.content.map((segment) => {
      size_bytes += segment.size_bytes;
      if (segment.kind === 'hole') return undefined;
      const place = this.#options.catalog.chunk(segment.id);
      if (place?.size_bytes === segment.size_bytes) return place;
      const path = printable(joinPath(directory.path, name));
      throw damaged('restore.chunk_missing', `a part of ${path} is in no known pack`);
    });
    if (size_bytes === entry.size_bytes) return places;
    const path = printable(joinPath(directory.path, name));
    throw damaged('restore.size_mismatch', `the parts of ${path} do not add up to its size`);
  }

  /** False if the file cannot be changed where it stands. */
  #change(spot: Spot, standing: Standing): boolean {
    const { directory, name, entry } = spot;
    const { comparison, blocks } = this.#options;
    if (entry.type !== 'file') return false;
    const places = this.#placesOf(spot);
    const mayChange = (stats: fs.BigIntStats): boolean => this.#attributes.mayChange(stats, entry);
    const descriptor = openToChange(standing, entry.size_bytes, mayChange);
    if (descriptor === undefined) return false;
    try {
      const chunk = (index: number, id: ChunkId): Buffer => blocks.chunk(id, places[index]!);
      const written_bytes = changeSegments(descriptor, 0, entry.content, chunk, comparison);
      this.#apply({ directory, name, entry, inode: opened(descriptor), isPlain: false });
      this.#done(entry, 'written', written_bytes);
    } finally {
      closeDescriptor(descriptor);
    }
    return true;
  }

  #node(spot: Spot): void {
    const { entry, directory, temporary, name } = spot;
    const { held, isPlain, isPrivate } = directory;
    unlessLeftOver(held, temporary, () => makeNode(held, temporary, entry));
    try {
      // In a private directory it is what was made, by its name too.
      const isSimple = entry.type === 'symlink' && isPlain && isPrivate && !mayNotKeep(directory, entry);
      if (isSimple && this.#attributes.isOurs(entry)) {
        if (held.descriptor >= 0) setModifiedIn(held.descriptor, temporary, entry.mtime_ns);
        else setModified(pathIn(held, temporary), entry.mtime_ns);
        return this.#finish(spot, undefined, 0);
      }
      const made = holdStanding(held, temporary);
      if (made === undefined) throw exchanged();
      try {
        if (!isPrivate && !isWhatWasMade(made, entry)) throw exchanged();
        this.#apply({ directory, name, entry, inode: made.inode, isPlain });
        this.#finish(spot, made.inode, 0);
      } finally {
        release(made.inode);
      }
    } catch (error) {
      removeIn(held, temporary);
      throw error;
    }
  }

  #finish(spot: Spot, inode: Inode | undefined, written_bytes: number): void {
    if (this.#name(spot, inode)) this.#done(spot.entry, 'written', written_bytes);
  }

  /**
   * Gives what stands at the temporary name its real one; false if something has come to stand there meanwhile. Throws if it is
   * no more what was made, which only somebody else can have done.
   */
  #name({ directory, name, temporary, replaces }: Spot, inode: Inode | undefined): boolean {
    const { held, isBare, isPrivate, isCoarse, path } = directory;
    if (replaces) renameOver(held, temporary, name);
    else if (!renameIfFree(held, temporary, name)) {
      if (isBare && (isPrivate || isCoarse)) throw sameName();
      removeIn(held, temporary);
      this.#conflicts.push(joinPath(path, name));
      return false;
    }
    if (!isPrivate && inode !== undefined && !isStillAt(held, name, inode)) throw exchanged();
    return true;
  }

  /** A second name for what stands at the first; false if it cannot be, which is told. */
  #link(spot: Spot, first: FirstName): boolean {
    const { directory, name, temporary, entry } = spot;
    let standing: Standing | undefined;
    try {
      standing = holdStanding(first.directory, first.name);
      if (standing === undefined || !this.#isFirst(standing, entry)) throw exchanged();
      const { inode } = standing;
      unlessLeftOver(directory.held, temporary, () => linkIn(inode, directory.held, temporary));
      if (this.#name(spot, inode)) this.#done(entry, 'linked', 0);
      return true;
    } catch (error) {
      if (!isOfOneEntry(error) || isSameName(error)) throw error;
      const path = printable(joinPath(directory.path, name));
      const reason = error instanceof RrbackupError ? error.message : reasonOf(error);
      this.#warnings.push({
        group: 'link',
        message: `${path} is a copy, not a hard link to ${printable(first.path)}: ${reason}`,
      });
      this.#counts.inexact++;
      return false;
    } finally {
      if (standing !== undefined) release(standing.inode);
    }
  }

  /** Whether it may be what was put back at the first name, and not what somebody else has put there since. */
  #isFirst(standing: Standing, entry: Entry): boolean {
    return isType(standing.stats, entry.type) && this.#attributes.isTrusted(standing.stats, entry);
  }

  #done({ type }: Entry, what: 'written' | 'right' | 'linked', written_bytes: number): void {
    if (type === 'file') this.#counts.files++;
    else this.#counts.others++;
    if (what === 'right' && type === 'file') this.#counts.alreadyRight++;
    this.#counts.written_bytes += written_bytes;
  }
}

function makeNode(held: HeldDirectory, name: Buffer, entry: Entry): void {
  if (entry.type === 'symlink') makeSymlinkIn(held, name, entry.target);
  else if (entry.type === 'file' || entry.type === 'directory')
    throw new RangeError(`a ${entry.type} is not made as a node`);
  else makeNodeIn(held, name, entry.type, entry.rdevMajor, entry.rdevMinor);
}
