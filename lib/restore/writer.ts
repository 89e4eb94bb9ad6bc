// Puts entries back, on whichever thread: files under a temporary name in their own directory, complete with attributes before
// they get their real one, so that whatever looks complete is. Synchronous. Never overwrites what it was not told to replace.
//
// What was written is not read back: that would compare the page cache with what was just copied into it. The bytes are proven
// right by their chunk's id right before they are written, and the next download reads the disk.

import fs from 'node:fs';
import { joinPath, printable } from '../bytes/path.js';
import type { CatalogReader } from '../catalog/types.js';
import { damaged } from '../errors/index.js';
import type { Entry } from '../manifest/types.js';
import type { ChunkId, ChunkPlace } from '../pack/types.js';
import { closeDescriptor, makeSymlinkIn, pathIn, removeIn, renameIfFree, renameOver } from '../posix/at.js';
import { setModifiedIn, setModifiedOf } from '../posix/attributes.js';
import { reasonOf } from '../posix/libc.js';
import { makeNode } from '../posix/nodes.js';
import { Attributes } from './attributes.js';
import { type Blocks, UnreadError } from './blocks.js';
import { changeSegments, createTemporary, unlessLeftOver, writeSegments } from './content.js';
import { type Comparison, statusOf, whatStands } from './existing.js';
import { explain, isOfOneEntry } from './failure.js';
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
  #warnings: Warning[] = [];
  #counts = { files: 0, others: 0, alreadyRight: 0, written_bytes: 0 };
  #conflicts: Uint8Array[] = [];

  constructor(options: WriterOptions) {
    this.#options = options;
    const add = (group: string, message: string): void => void this.#warnings.push({ group, message });
    this.#attributes = new Attributes({ add }, options);
  }

  /** Throws what concerns the whole target, 'interrupted', and nothing else. */
  entries(request: EntriesRequest): EntriesResponse {
    this.#warnings = [];
    this.#counts = { files: 0, others: 0, alreadyRight: 0, written_bytes: 0 };
    this.#conflicts = [];
    const failed: Problem[] = [];
    const unread: [directory: number, place: number][] = [];
    const { blocks, catalog, sequence } = this.#options;
    blocks.take(request.supply);
    for (const [index, directory] of request.directories.entries()) {
      const firsts = new Map(directory.firsts);
      const temporary = temporaryName(catalog, directory.catalog, sequence, request.slot);
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

  #entry(
    directory: UnitDirectory,
    name: Buffer,
    temporary: Buffer,
    first: FirstName | undefined,
    trust: readonly Trust[],
  ): void {
    const { catalog, sequence, policy, comparison } = this.#options;
    const entry = catalog.lookup(directory.catalog, name, sequence)?.entry;
    if (entry === undefined)
      throw damaged('restore.row_missing', `${printable(name)} has left the catalog meanwhile`);
    if (directory.isNew && first === undefined)
      return this.#make({ directory, name, temporary, entry, replaces: policy !== 'keep' });
    const access = pathIn(directory.held, name);
    if (first !== undefined && isSameFile(first, access)) return this.#done(entry, 'linked', 0);
    const stats = directory.isNew ? undefined : statusOf(access);
    const standing = whatStands(access, stats, entry, comparison, trust);
    if (standing === 'directory' || (standing === 'different' && policy === 'keep'))
      return void this.#conflicts.push(joinPath(directory.path, name));
    // The same content under a name of its own loses nothing by becoming the link that it should be.
    const spot = { directory, name, temporary, entry, replaces: policy !== 'keep' || standing === 'same' };
    const linked = first === undefined ? 'impossible' : this.#link(spot, first);
    if (linked === 'done') return this.#done(entry, 'linked', 0);
    if (linked === 'taken') return;
    if (standing === 'same') {
      const path = joinPath(directory.path, name);
      this.#attributes.apply({ access, path, entry, isPlain: false, stats });
      this.#done(entry, 'right', 0);
    } else if (entry.type !== 'file' || policy !== 'change' || standing === 'absent' || !this.#change(spot))
      this.#make(spot);
  }

  #make(spot: Spot): void {
    if (spot.entry.type === 'file') this.#file(spot);
    else this.#node(spot);
  }

  #file(spot: Spot): void {
    const { directory, entry, temporary } = spot;
    const places = this.#placesOf(spot);
    const finalMode = directory.isPlain ? this.#attributes.finalMode(entry) : undefined;
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
      if (finalMode === undefined) this.#apply(spot, fd);
      else setModifiedOf(fd, entry.mtime_ns);
    } catch (error) {
      closeDescriptor(fd);
      removeIn(directory.held, temporary);
      throw error;
    }
    closeDescriptor(fd);
    this.#finish(spot, entry.size_bytes);
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
  #change(spot: Spot): boolean {
    const { directory, name, entry } = spot;
    const { comparison, blocks } = this.#options;
    const places = this.#placesOf(spot);
    const access = pathIn(directory.held, name);
    const descriptor = openToChange(access, entry.size_bytes);
    if (descriptor === undefined) return false;
    try {
      const chunk = (index: number, id: ChunkId): Buffer => blocks.chunk(id, places[index]!);
      const written_bytes = changeSegments(descriptor, 0, entry.content, chunk, comparison);
      const path = joinPath(directory.path, name);
      this.#attributes.apply({ access, path, entry, descriptor, isPlain: false });
      this.#done(entry, 'written', written_bytes);
    } finally {
      fs.closeSync(descriptor);
    }
    return true;
  }

  #node(spot: Spot): void {
    const { entry, directory, temporary } = spot;
    const make = (): void => {
      if (entry.type === 'symlink') makeSymlinkIn(directory.held, temporary, entry.target);
      else if (entry.type === 'file' || entry.type === 'directory')
        throw new RangeError(`a ${entry.type} is not made as a node`);
      else makeNode(pathIn(directory.held, temporary), entry.type, entry.rdevMajor, entry.rdevMinor);
    };
    unlessLeftOver(directory.held, temporary, make);
    try {
      if (
        entry.type === 'symlink' &&
        directory.isPlain &&
        directory.held.descriptor >= 0 &&
        this.#attributes.isOurs(entry)
      )
        setModifiedIn(directory.held.descriptor, temporary, entry.mtime_ns);
      else this.#apply(spot);
    } catch (error) {
      removeIn(directory.held, temporary);
      throw error;
    }
    this.#finish(spot, 0);
  }

  #apply({ directory, name, temporary, entry }: Spot, descriptor?: number): void {
    const access = pathIn(directory.held, temporary);
    const path = joinPath(directory.path, name);
    const { isPlain } = directory;
    const made = { access, path, entry, isPlain };
    this.#attributes.apply(descriptor === undefined ? made : { ...made, descriptor });
  }

  #finish(spot: Spot, written_bytes: number): void {
    if (this.#name(spot)) this.#done(spot.entry, 'written', written_bytes);
  }

  /** Gives what stands at the temporary name its real one; false if something has come to stand there meanwhile. */
  #name({ directory, name, temporary, replaces }: Spot): boolean {
    if (replaces) {
      renameOver(directory.held, temporary, name);
      return true;
    }
    if (renameIfFree(directory.held, temporary, name)) return true;
    removeIn(directory.held, temporary);
    this.#conflicts.push(joinPath(directory.path, name));
    return false;
  }

  /** A second name for what stands at the first; that it cannot be is told. */
  #link(spot: Spot, first: FirstName): 'done' | 'taken' | 'impossible' {
    const { directory, name, temporary } = spot;
    try {
      removeIn(directory.held, temporary);
      fs.linkSync(pathIn(first.directory, first.name), pathIn(directory.held, temporary));
    } catch (error) {
      if (!isOfOneEntry(error)) throw error;
      const path = printable(joinPath(directory.path, name));
      this.#warnings.push({
        group: 'link',
        message: `${path} is a copy, not a hard link to ${printable(first.path)}: ${reasonOf(error)}`,
      });
      return 'impossible';
    }
    return this.#name(spot) ? 'done' : 'taken';
  }

  #done({ type }: Entry, what: 'written' | 'right' | 'linked', written_bytes: number): void {
    if (type === 'file') this.#counts.files++;
    else this.#counts.others++;
    if (what === 'right') this.#counts.alreadyRight++;
    this.#counts.written_bytes += written_bytes;
  }
}

function isSameFile(first: FirstName, access: Buffer): boolean {
  const options = { bigint: true, throwIfNoEntry: false } as const;
  const other = fs.lstatSync(access, options);
  if (other === undefined) return false;
  const there = fs.lstatSync(pathIn(first.directory, first.name), options);
  return there !== undefined && there.ino === other.ino && there.dev === other.dev;
}
