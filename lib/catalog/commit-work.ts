// Applies one commit to the tables, row by row, inside transactions that somebody else opens and closes (ingest.ts). Every
// step may be repeated: after a crash, or with another process at the same commit, the same rows lead to the same tables.
// Until the head moves, no version shows any of it: rows of a version beyond the head hold in no version that can be asked.

import { ByteReader } from '../bytes/cursor.js';
import { printable } from '../bytes/path.js';
import { damaged } from '../errors/index.js';
import { decodeAttributes } from '../manifest/entry.js';
import { rowFlags, type StoredRows } from '../manifest/stored-rows.js';
import type { Xattr } from '../manifest/types.js';
import type { Tables } from './database.js';
import { catalogDamaged } from './failure.js';
import { rowOfLinkedEntry } from './links.js';
import {
  childKey,
  directoryKey,
  numberKey,
  sealedDirectory,
  sealedDirectoryPlace,
  sealedStream,
  sealedVersion,
  streamKey,
  toDirectory,
  type Counters,
  type StreamRecord,
} from './records.js';
import {
  above,
  afterName,
  directoryOf,
  directoryStart,
  entryBytesOf,
  fromOf,
  isNewest,
  nameOfKey,
  sealedState,
  stateKey,
  StateKeys,
  stillHolds,
  toOf,
  withEnd,
} from './state.js';
import { PathOrder } from './path-order.js';
import { checkSequence, isIngested, isPending, readStream, takenOver, type Beginning } from './sequence.js';
import { TouchedPages } from './touched-pages.js';
import type { DirectoryId, VersionInfo } from './types.js';
import { undoWhole } from './undo.js';
import { XattrKinds } from './xattr-kinds.js';

const slash = 0x2f;
const dot = 0x2e;
const longestName_bytes = 255;
const noFileName = 'has a name that no file can have';
const noPath = Buffer.alloc(0);

/** What is known of a version once it exists: see Commit. */
export interface Committed extends VersionInfo {
  readonly versionId: string;
}

/** A directory on the way to the row at hand. */
interface Frame {
  readonly path: Buffer;
  readonly directory: DirectoryId;
  /** False: this commit removed it or made it something else; what is left below is closed when the rows have gone by. */
  readonly isOpen: boolean;
  /** Made by this very run: nothing can stand in it yet, so nobody needs to look. */
  isNew: boolean;
  /** The name of the last row in it. */
  last?: Buffer;
}

export class CommitWork {
  readonly #tables: Tables;
  readonly #version: Beginning;
  readonly #hash: string | undefined;
  readonly #counters: () => Counters;
  readonly #writer: string;
  readonly #sequence: number;
  readonly #rootName: Buffer;
  readonly #keys = new StateKeys();
  #touched: TouchedPages | undefined;
  readonly #xattrs: XattrKinds;
  #stream!: StreamRecord;
  #isLogged = true;
  /** What the rows do not name is not in this version. */
  #isWholeTree = false;
  #isRepeated = false;
  #isDone = false;
  readonly #order = new PathOrder();
  readonly #frames: Frame[] = [{ path: noPath, directory: above, isOpen: true, isNew: false }];

  /**
   * `hash`: undefined where the version is not committed yet. `writer` tells this work from every other; `counters` are those
   * of the transaction that is open.
   */
  constructor(
    tables: Tables,
    version: Beginning,
    hash: string | undefined,
    counters: () => Counters,
    writer: string,
  ) {
    this.#tables = tables;
    this.#version = version;
    this.#hash = hash;
    this.#counters = counters;
    this.#writer = writer;
    this.#sequence = version.sequence;
    this.#rootName = Buffer.from(version.stream, 'latin1');
    this.#xattrs = new XattrKinds(tables.meta);
  }

  /**
   * First step. `isBase`: the rows are a whole tree, the log entries before it are lost; or, with `lacksPast`, where the
   * stream was not known, are to be taken in later.
   */
  begin(isBase: boolean, lacksPast: boolean): void {
    const { stream: id, host, source, sourcePath } = this.#version;
    const known = readStream(this.#tables, id);
    if (known !== undefined && this.#isThere(known)) {
      this.#isDone = true;
      return;
    }
    if (known?.pending !== undefined) {
      this.#isRepeated = isPending(known, this.#version);
      if (!this.#isRepeated) undoWhole(this.#tables, known, known.pending.sequence);
    }
    const stream = known ?? {
      id,
      host,
      source,
      sourcePath,
      head: 0,
      headHash: '',
      headVersionId: '',
      firstSequence: 1,
      lacksPast: false,
      number: this.#counters().stream++,
      pending: undefined,
    };
    checkSequence(stream, this.#version, isBase);
    this.#isLogged = stream.head > 0;
    this.#isWholeTree = isBase && stream.head > 0;
    // Another beginning may have been given up.
    const beginning = { firstSequence: isBase ? this.#sequence : 1, lacksPast: isBase && lacksPast };
    this.#stream = stream.head === 0 ? { ...stream, ...beginning } : stream;
    this.#claim();
    this.#touched = new TouchedPages(this.#tables.touched, this.#stream.number, this.#sequence);
  }

  #isThere(stream: StreamRecord): boolean {
    return this.#hash !== undefined && isIngested(this.#tables, stream, this.#version, this.#hash);
  }

  #claim(): void {
    const pending = { sequence: this.#sequence, run: this.#version.run, writer: this.#writer };
    this.#stream = { ...this.#stream, pending };
    this.#tables.streams.put(streamKey(this.#stream.id), sealedStream(this.#stream));
  }

  /** First step in every further transaction: has another process been here meanwhile? */
  resume(): void {
    if (this.#isDone) return;
    const stream = readStream(this.#tables, this.#stream.id);
    if (stream === undefined) throw catalogDamaged('a stream has gone while it was read in');
    if (this.#isThere(stream)) {
      this.#isDone = true;
      return;
    }
    if (!isPending(stream, this.#version)) throw takenOver(this.#version);
    // Its past may have come in.
    this.#stream = stream;
    if (stream.pending?.writer !== this.#writer) {
      this.#isRepeated = true;
      for (const frame of this.#frames) frame.isNew = false;
      this.#claim();
    }
  }

  /** `rows`: made with the room of `stateRoom_bytes`. */
  rows(rows: StoredRows): void {
    if (this.#isDone) return;
    for (let row = 0; row < rows.count; row++) this.#row(rows, row);
    this.#order.moveOut();
  }

  #row(rows: StoredRows, row: number): void {
    const { bytes } = rows;
    const start = rows.pathStart(row);
    const end = rows.pathEnd(row);
    const shared = this.#order.follow(bytes, start, end);
    if (shared === undefined) this.#fail(bytes.subarray(start, end), 'stands out of order');
    this.#unwind(bytes, start, end, shared);
    const parent = this.#enter(bytes, start, end);
    const nameStart = this.#nameStart(bytes, start, end);
    const isRoot = start === end;
    const name = isRoot ? this.#rootName : bytes;
    const nameFrom = isRoot ? 0 : nameStart;
    const nameTo = isRoot ? name.length : end;
    if (this.#isWholeTree && parent.directory !== above)
      this.#closeBetween(parent, name.subarray(nameFrom, nameTo));
    const key = this.#keys.newest(parent.directory, name, nameFrom, nameTo);
    const current = parent.isNew ? undefined : this.#tables.nodes.get(key);
    if (this.#isLogged) this.#touch(parent.directory, name.subarray(nameFrom, nameTo));
    if (rows.is(row, rowFlags.removed)) {
      if (current !== undefined && toOf(current) === stillHolds) {
        this.#tables.nodes.put(key, withEnd(current, this.#sequence));
      }
      this.#leave(bytes.subarray(start, end), parent, name.subarray(nameFrom, nameTo), current);
      return;
    }
    if (!parent.isOpen)
      this.#fail(bytes.subarray(start, end), 'lies in a directory that this version does not have');
    this.#put(rows, row, parent, name, nameFrom, nameTo, key, current);
  }

  #nameStart(bytes: Buffer, start: number, end: number): number {
    if (start === end) return start;
    let at = end;
    let isDots = true;
    for (; at > start && bytes[at - 1] !== slash; at--) {
      const byte = bytes[at - 1]!;
      if (byte !== dot) isDots = false;
      if (byte === 0) this.#fail(bytes.subarray(start, end), noFileName);
    }
    const size = end - at;
    if (size === 0 || size > longestName_bytes || (isDots && size <= 2))
      this.#fail(bytes.subarray(start, end), noFileName);
    return at;
  }

  #put(
    rows: StoredRows,
    row: number,
    parent: Frame,
    name: Buffer,
    nameFrom: number,
    nameTo: number,
    key: Buffer,
    current: Buffer | undefined,
  ): void {
    const { bytes } = rows;
    const entryStart = rows.entryStart(row);
    const entryEnd = rows.entryEnd(row);
    const isDirectory = rows.is(row, rowFlags.directory);
    const isSame =
      current !== undefined &&
      toOf(current) === stillHolds &&
      Buffer.compare(entryBytesOf(current), bytes.subarray(entryStart, entryEnd)) === 0;
    const path = (): Buffer => bytes.subarray(rows.pathStart(row), rows.pathEnd(row));
    const { directory, isNew } = isDirectory
      ? this.#directory(parent, name.subarray(nameFrom, nameTo))
      : { directory: 0, isNew: false };
    if (!isSame) {
      if (current !== undefined)
        this.#archive(path(), parent.directory, name.subarray(nameFrom, nameTo), current);
      const own = this.#counters().row++;
      this.#tables.ids.put(own, parent.directory, name, this.#sequence, nameFrom, nameTo);
      const number = rows.is(row, rowFlags.linked)
        ? rowOfLinkedEntry(this.#tables, this.#stream.number, bytes.subarray(entryStart, entryEnd), own)
        : own;
      const entry = { start: entryStart, end: entryEnd, holes_bytes: rows.holes_bytes(row) };
      const state = sealedState(bytes, entry, this.#sequence, number, isDirectory ? directory : own);
      this.#tables.nodes.put(key, state);
      if (rows.is(row, rowFlags.xattrs)) this.#xattrs.note(xattrsOf(bytes.subarray(entryStart, entryEnd)));
    }
    if (isDirectory) this.#frames.push({ path: Buffer.from(path()), directory, isOpen: true, isNew });
    else if (current !== undefined) this.#leave(path(), parent, name.subarray(nameFrom, nameTo), current);
  }

  /** The newest state makes room for the next one. */
  #archive(path: Buffer, directory: DirectoryId, name: Buffer, state: Buffer): void {
    const from = fromOf(state);
    if (from >= this.#sequence) this.#fail(path, `is in the catalog already, as of version ${from}`);
    const to = toOf(state) === stillHolds ? this.#sequence : toOf(state);
    this.#tables.nodes.put(stateKey(directory, name, from), withEnd(state, to));
  }

  #directory(parent: Frame, name: Buffer): { directory: DirectoryId; isNew: boolean } {
    const key = childKey(parent.directory, name);
    const known = parent.isNew ? undefined : this.#tables.children.get(key);
    if (known !== undefined) return { directory: toDirectory(known), isNew: false };
    const directory = this.#counters().directory++;
    const place = { stream: this.#stream.number, parent: parent.directory, name };
    this.#tables.children.put(key, sealedDirectory(directory));
    this.#tables.directories.put(directoryKey(directory), sealedDirectoryPlace(place));
    return { directory, isNew: true };
  }

  /** The name is no directory in this version: if it was one, what lay below it ends here. */
  #leave(path: Buffer, parent: Frame, name: Buffer, before: Buffer | undefined): void {
    if (before === undefined || (directoryOf(before) === 0 && !this.#isRepeated)) return;
    const directory = this.#tables.children.get(childKey(parent.directory, name));
    if (directory === undefined) return;
    this.#frames.push({ path, directory: toDirectory(directory), isOpen: false, isNew: false });
  }

  /** Up to the nearest directory above the path, which has `shared` bytes in common with the one before. */
  #unwind(bytes: Buffer, start: number, end: number, shared: number): void {
    while (this.#frames.length > 1) {
      const size = this.#frames.at(-1)!.path.length;
      if (end - start > size && (size === 0 || (shared >= size && bytes[start + size] === slash))) return;
      this.#pop();
    }
  }

  #pop(): void {
    const frame = this.#frames.pop()!;
    if (!frame.isOpen) this.#closeBelow(frame.directory);
    else if (this.#isWholeTree) this.#closeBetween(frame, undefined);
  }

  /** Walks from the nearest known directory down to the path's parent. */
  #enter(bytes: Buffer, start: number, end: number): Frame {
    let top = this.#frames.at(-1)!;
    if (start === end) return top;
    let parentEnd = end - 1;
    while (parentEnd > start && bytes[parentEnd] !== slash) parentEnd--;
    if (this.#frames.length > 1 && top.path.length === parentEnd - start) return top;
    const path = Buffer.from(bytes.subarray(start, end));
    while (this.#frames.length === 1 || top.path.length < parentEnd - start) {
      const isRoot = this.#frames.length === 1;
      const nameStart = top.path.length === 0 ? 0 : top.path.length + 1;
      const nameEnd = isRoot ? 0 : path.indexOf(slash, nameStart);
      const name = isRoot ? this.#rootName : path.subarray(nameStart, nameEnd);
      const state = this.#tables.nodes.get(stateKey(top.directory, name));
      if (state === undefined || directoryOf(state) === 0 || toOf(state) !== stillHolds)
        this.#fail(path, 'lies in a directory that this version does not have');
      top = { path: path.subarray(0, nameEnd), directory: directoryOf(state), isOpen: true, isNew: false };
      this.#frames.push(top);
    }
    return top;
  }

  #closeBelow(top: DirectoryId): void {
    const left = [top];
    for (let directory = left.pop(); directory !== undefined; directory = left.pop())
      left.push(...this.#close(directory, directoryStart(directory), directoryStart(directory + 1)));
  }

  /** The rows are a whole tree: what stands between the last one and `name` in this directory is gone. */
  #closeBetween(frame: Frame, name: Buffer | undefined): void {
    const { directory, last, isNew } = frame;
    if (!isNew) {
      const start = last === undefined ? directoryStart(directory) : afterName(directory, last);
      const end = name === undefined ? directoryStart(directory + 1) : stateKey(directory, name);
      for (const below of this.#close(directory, start, end)) this.#closeBelow(below);
    }
    if (name !== undefined) frame.last = name;
  }

  /** Ends what still holds in a part of a directory, and returns the directories among it. */
  #close(directory: DirectoryId, start: Buffer, end: Buffer): DirectoryId[] {
    const directories: DirectoryId[] = [];
    for (const { key, value } of this.#tables.nodes.scan(start, end)) {
      const to = toOf(value);
      if (!isNewest(key) || (to !== stillHolds && to !== this.#sequence)) continue;
      this.#touch(directory, nameOfKey(key));
      if (to !== stillHolds) continue;
      this.#tables.nodes.put(key, withEnd(value, this.#sequence));
      if (directoryOf(value) !== 0) directories.push(directoryOf(value));
    }
    return directories;
  }

  #touch(directory: DirectoryId, name: Buffer): void {
    if (this.#isLogged) this.#touched?.add(directory, name);
  }

  /** Last step: the version is there. */
  end({ header, hash, stored_bytes, versionId }: Committed): void {
    if (this.#isDone) return;
    while (this.#frames.length > 1) this.#pop();
    this.#touched?.flush();
    this.#tables.versions.put(
      numberKey(this.#stream.number, this.#sequence),
      sealedVersion({ header, hash, stored_bytes }),
    );
    const { host, source, sourcePath } = header;
    const head = { host, source, sourcePath, head: this.#sequence, headHash: hash, headVersionId: versionId };
    this.#tables.streams.put(
      streamKey(this.#stream.id),
      sealedStream({ ...this.#stream, ...head, pending: undefined }),
    );
    if (this.#stream.lacksPast) this.#xattrs.expectMore();
    this.#isDone = true;
  }

  #fail(path: Buffer, why: string): never {
    throw damaged(
      'catalog.bad_commit',
      `version ${this.#sequence} of '${this.#version.source}' cannot be read: '${printable(path)}' ${why}`,
    );
  }
}

const xattrsOf = (entry: Uint8Array): readonly Xattr[] =>
  decodeAttributes(new ByteReader(entry, 'a row of a version')).xattrs;
