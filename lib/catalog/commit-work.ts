// Applies one commit to the tables, row by row, inside transactions that somebody else opens and closes (ingest.ts). Every
// step may be repeated: after a crash, or with another process at the same commit, the same rows lead to the same tables.
// Until the head moves, no version shows any of it: rows of a version beyond the head hold in no version that can be asked.

import { ByteWriter } from '../bytes/cursor.js';
import { comparePaths, isSafeName, printable } from '../bytes/path.js';
import { damaged, RrbackupError } from '../errors/index.js';
import type { Commit, Entry, Row } from '../manifest/types.js';
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
  toStream,
  toVersion,
  writeTouched,
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
  stateKey,
  StateWriter,
  stillHolds,
  toOf,
  withEnd,
} from './state.js';
import { checksum_bytes } from './table.js';
import type { DirectoryId } from './types.js';
import { undoPending } from './undo.js';
import { XattrKinds } from './xattr-kinds.js';

const slash = 0x2f;
const noPath = Buffer.alloc(0);

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
  readonly #commit: Commit;
  readonly #counters: () => Counters;
  readonly #writer: string;
  readonly #sequence: number;
  readonly #rootName: Buffer;
  readonly #states = new StateWriter();
  readonly #touched = new ByteWriter(8192);
  readonly #xattrs: XattrKinds;
  #touchedPages = 0;
  #stream!: StreamRecord;
  #isLogged = true;
  /** What the rows do not name is not in this version. */
  #isWholeTree = false;
  #isRepeated = false;
  #isDone = false;
  #last: Uint8Array | undefined;
  readonly #frames: Frame[] = [{ path: noPath, directory: above, isOpen: true, isNew: false }];

  /** `writer` tells this run from every other; `counters` are those of the transaction that is open. */
  constructor(tables: Tables, commit: Commit, counters: () => Counters, writer: string) {
    this.#tables = tables;
    this.#commit = commit;
    this.#counters = counters;
    this.#writer = writer;
    this.#sequence = commit.header.sequence;
    this.#rootName = Buffer.from(commit.header.stream, 'latin1');
    this.#xattrs = new XattrKinds(tables.meta);
  }

  /**
   * First step. `isBase`: the rows are a whole tree, the log entries before it are lost; or, with `lacksPast`, where the
   * stream was not known, are to be taken in later.
   */
  begin(isBase: boolean, lacksPast: boolean): void {
    const { stream: id, host, source, sourcePath } = this.#commit.header;
    const known = readStream(this.#tables, id);
    if (known !== undefined && isIngested(this.#tables, known, this.#commit)) {
      this.#isDone = true;
      return;
    }
    if (known?.pending !== undefined) {
      const isThis = known.pending.sequence === this.#sequence && known.pending.hash === this.#commit.hash;
      if (!isThis) undoPending(this.#tables, known, known.pending.sequence);
      this.#isRepeated = isThis;
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
    checkSequence(stream, this.#commit, isBase);
    this.#isLogged = stream.head > 0;
    this.#isWholeTree = isBase && stream.head > 0;
    // Another beginning may have been given up.
    const beginning = { firstSequence: isBase ? this.#sequence : 1, lacksPast: isBase && lacksPast };
    this.#stream = stream.head === 0 ? { ...stream, ...beginning } : stream;
    this.#claim();
    this.#touched.reset().u32(0);
  }

  #claim(): void {
    const pending = { sequence: this.#sequence, hash: this.#commit.hash, writer: this.#writer };
    this.#stream = { ...this.#stream, pending };
    this.#tables.streams.put(streamKey(this.#stream.id), sealedStream(this.#stream));
  }

  /** First step in every further transaction: has another process been here meanwhile? */
  resume(): void {
    if (this.#isDone) return;
    const stream = readStream(this.#tables, this.#stream.id);
    if (stream === undefined) throw catalogDamaged('a stream has gone while it was read in');
    if (isIngested(this.#tables, stream, this.#commit)) {
      this.#isDone = true;
      return;
    }
    // Its past may have come in.
    this.#stream = stream;
    if (stream.pending?.writer !== this.#writer) {
      this.#isRepeated = true;
      for (const frame of this.#frames) frame.isNew = false;
      this.#claim();
    }
  }

  row(row: Row): void {
    if (this.#isDone) return;
    const path = Buffer.from(row.path.buffer, row.path.byteOffset, row.path.byteLength);
    if (this.#last !== undefined && comparePaths(this.#last, path) >= 0)
      this.#fail(path, 'stands out of order');
    this.#last = path;
    this.#unwind(path);
    const parent = this.#enter(path);
    const name = path.length === 0 ? this.#rootName : path.subarray(path.lastIndexOf(slash) + 1);
    if (!isSafeName(name)) this.#fail(path, 'has a name that no file can have');
    if (this.#isWholeTree && parent.directory !== above) this.#closeBetween(parent, name);
    const key = stateKey(parent.directory, name);
    const current = parent.isNew ? undefined : this.#tables.nodes.get(key);
    this.#touch(parent.directory, name);
    if (row.op === 'removed') {
      if (current !== undefined && toOf(current) === stillHolds) {
        this.#tables.nodes.put(key, withEnd(current, this.#sequence));
      }
      this.#leave(path, parent, name, current);
      return;
    }
    if (!parent.isOpen) this.#fail(path, 'lies in a directory that this version does not have');
    this.#put(path, parent, name, key, current, row.entry);
  }

  #put(
    path: Buffer,
    parent: Frame,
    name: Buffer,
    key: Buffer,
    current: Buffer | undefined,
    entry: Entry,
  ): void {
    const isDirectory = entry.type === 'directory';
    const { directory, isNew } = isDirectory ? this.#directory(parent, name) : { directory: 0, isNew: false };
    const bytes = this.#states.entry(entry);
    const isSame =
      current !== undefined &&
      toOf(current) === stillHolds &&
      Buffer.compare(entryBytesOf(current), bytes) === 0;
    if (!isSame) {
      if (current !== undefined) this.#archive(path, parent.directory, name, current);
      const { row, own } = this.#rowNumbers(entry, bytes, parent.directory, name);
      this.#tables.nodes.put(key, this.#states.finish(this.#sequence, row, isDirectory ? directory : own));
      this.#xattrs.note(entry.xattrs);
    }
    if (isDirectory) this.#frames.push({ path, directory, isOpen: true, isNew });
    else this.#leave(path, parent, name, current);
  }

  /** The newest state makes room for the next one. */
  #archive(path: Buffer, directory: DirectoryId, name: Buffer, state: Buffer): void {
    const from = fromOf(state);
    if (from >= this.#sequence) this.#fail(path, `is in the catalog already, as of version ${from}`);
    const to = toOf(state) === stillHolds ? this.#sequence : toOf(state);
    this.#tables.nodes.put(stateKey(directory, name, from), withEnd(state, to));
  }

  /** Hard links share `row`; `own` leads to this very name. */
  #rowNumbers(
    entry: Entry,
    bytes: Buffer,
    directory: DirectoryId,
    name: Buffer,
  ): { row: number; own: number } {
    const own = this.#counters().row++;
    this.#tables.ids.put(own, directory, name, this.#sequence);
    const isLink = entry.links > 1 && entry.type !== 'directory';
    const row = isLink ? rowOfLinkedEntry(this.#tables, this.#stream.number, bytes, own) : own;
    return { row, own };
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

  #unwind(path: Buffer): void {
    for (
      let top = this.#frames.at(-1)!;
      this.#frames.length > 1 && !isAbove(top.path, path);
      top = this.#frames.at(-1)!
    )
      this.#pop();
  }

  #pop(): void {
    const frame = this.#frames.pop()!;
    if (!frame.isOpen) this.#closeBelow(frame.directory);
    else if (this.#isWholeTree) this.#closeBetween(frame, undefined);
  }

  /** Walks from the nearest known directory down to the path's parent. */
  #enter(path: Buffer): Frame {
    let top = this.#frames.at(-1)!;
    if (path.length === 0) return top;
    const parent_bytes = Math.max(path.lastIndexOf(slash), 0);
    while (this.#frames.length === 1 || top.path.length < parent_bytes) {
      const isRoot = this.#frames.length === 1;
      const start = top.path.length === 0 ? 0 : top.path.length + 1;
      const end = isRoot ? 0 : path.indexOf(slash, start);
      const name = isRoot ? this.#rootName : path.subarray(start, end);
      const state = this.#tables.nodes.get(stateKey(top.directory, name));
      if (state === undefined || directoryOf(state) === 0 || toOf(state) !== stillHolds)
        this.#fail(path, 'lies in a directory that this version does not have');
      top = { path: path.subarray(0, end), directory: directoryOf(state), isOpen: true, isNew: false };
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
    if (!this.#isLogged) return;
    writeTouched(this.#touched, directory, name);
    if (this.#touched.length > touchedPage_bytes) this.#flushTouched();
  }

  #flushTouched(): void {
    if (this.#touched.length === checksum_bytes) return;
    const key = numberKey(this.#stream.number, this.#sequence, this.#touchedPages++);
    this.#tables.touched.put(key, this.#touched.view());
    this.#touched.reset().u32(0);
  }

  /** Last step: the version is there. */
  end(): void {
    if (this.#isDone) return;
    while (this.#frames.length > 1) this.#pop();
    this.#flushTouched();
    const { header, hash, versionId } = this.#commit;
    this.#tables.versions.put(numberKey(this.#stream.number, this.#sequence), sealedVersion(header, hash));
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
    const { source } = this.#commit.header;
    throw damaged(
      'catalog.bad_commit',
      `version ${this.#sequence} of '${source}' cannot be read: '${printable(path)}' ${why}`,
    );
  }
}

/** So that a page of touched names still lies in a page of the file. */
const touchedPage_bytes = 1800;

const isAbove = (directory: Buffer, path: Buffer): boolean =>
  path.length > directory.length &&
  (directory.length === 0 || path[directory.length] === slash) &&
  path.compare(directory, 0, directory.length, 0, directory.length) === 0;

export function readStream(tables: Tables, id: string): StreamRecord | undefined {
  const value = tables.streams.get(streamKey(id));
  return value && toStream(id, value);
}

/** Whether this very commit is in the catalog; throws 'catalog.forked' if another one has its place. */
export function isIngested(tables: Tables, stream: StreamRecord, commit: Commit): boolean {
  const { sequence } = commit.header;
  if (sequence > stream.head) return false;
  const value = tables.versions.get(numberKey(stream.number, sequence));
  if (value !== undefined && toVersion(value).hash === commit.hash) return true;
  throw forked(commit, value === undefined ? 'it was not there before' : 'another one had its place');
}

function checkSequence(stream: StreamRecord, commit: Commit, isBase: boolean): void {
  const { sequence, parentHash } = commit.header;
  if (isBase ? sequence <= stream.head : sequence !== stream.head + 1) {
    throw new RrbackupError({
      code: 'catalog.out_of_sequence',
      kind: 'failure',
      message: `version ${sequence} of '${commit.header.source}' cannot follow version ${stream.head} in the local catalog`,
    });
  }
  if (!isBase && stream.head > 0 && parentHash !== stream.headHash)
    throw forked(commit, 'it follows another version than ours');
}

function forked(commit: Commit, why: string): RrbackupError {
  const { sequence, source } = commit.header;
  return new RrbackupError({
    code: 'catalog.forked',
    kind: 'tampered',
    message: `version ${sequence} of '${source}' is not the one that this machine has read before: ${why}`,
    guidance: 'find out who wrote to the repository; delete the local catalog to accept what is stored now',
  });
}
