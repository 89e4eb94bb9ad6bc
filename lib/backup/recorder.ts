// A worker's ear for what a comparison finds: reads new and changed files at once, while their directory is open, and makes
// rows of everything; very large files and what is beyond its share of work go back to the main thread as they are.

import { ByteWriter } from '../bytes/cursor.js';
import { printable } from '../bytes/path.js';
import { encodeAttributes } from '../manifest/entry.js';
import { CommitRows, type EncodedRow, type StoredSegment } from '../manifest/row-stream.js';
import { encodeStatus, MutableStatus } from '../manifest/status.js';
import type { Segment, Xattr } from '../manifest/types.js';
import { errorCode, reasonOf } from '../posix/libc.js';
import type { FileStatus } from '../posix/status.js';
import type { Device, Findings, Found, Place, Previous } from './compare.js';
import type { FileReader } from './file-reader.js';
import type { Finding, Remarks } from './messages.js';
import type { PackMaker } from './pack-maker.js';
import { setSourceStatus, typeOf } from './status-entry.js';
import { countChange, countEntry, noFigures } from './tally.js';

/** Larger files are read in pieces by several workers. */
export const bigFile_bytes = 64 * 1024 * 1024;

/**
 * A worker's share of work at a time, in units of about a microsecond: enough that sending it to and fro is not felt, little
 * enough that others find work and that an interrupt is noticed.
 */
const share = 8192;
const cost = { unchanged: 2, entry: 10, file: 20, bytesPerUnit: 400 } as const;

/** Rows are handed over in stretches not much larger: a part of a commit, which takes them whole, has an end. */
const rows_bytes = 1024 * 1024;

const noAttributes = new Uint8Array(0);
const noXattrs: readonly Xattr[] = [];

export class Recorder implements Findings {
  readonly #files: FileReader;
  readonly #packs: PackMaker;
  readonly #rows = new CommitRows();
  readonly #attributes = new ByteWriter(4096);
  readonly #previousAttributes = new ByteWriter(4096);
  readonly #status = new MutableStatus();
  readonly #users = new Set<number>();
  readonly #groups = new Set<number>();
  #found: Finding[] = [];
  #remarks: Remarks = noRemarks();
  #spent = 0;

  constructor(files: FileReader, packs: PackMaker) {
    this.#files = files;
    this.#packs = packs;
  }

  /** Forgets what the last share of work cost. */
  begin(): void {
    this.#spent = 0;
  }

  isEnough(): boolean {
    return this.#spent >= share;
  }

  /** What was found since the last time. */
  take(): Finding[] {
    this.#endRun();
    const found = this.#found;
    this.#found = [];
    return found;
  }

  takeRemarks(): Remarks {
    const remarks = this.#remarks;
    this.#remarks = noRemarks();
    return remarks;
  }

  added(found: Found): void {
    this.#store('added', found, undefined);
  }

  changed(found: Found, previous: Previous): void {
    this.#store('changed', found, previous);
  }

  metadata(found: Found, previous: Previous): void {
    this.#store('metadata', found, previous);
  }

  unchanged({ status }: Previous): void {
    this.#spent += cost.unchanged;
    countEntry(this.#remarks.figures, status.type, status.size_bytes);
  }

  kept(previous: Previous): void {
    this.unchanged(previous);
  }

  removed(path: Buffer, { status }: Previous): void {
    this.#spent += cost.entry;
    this.#remarks.figures.done.files++;
    countChange(this.#remarks.figures, 'removed', status.size_bytes);
    this.#add({ op: 'removed', path, attributes: noAttributes, content: undefined });
  }

  unreadable(path: Buffer, reason: string): void {
    this.#remarks.unreadable.push({ path, reason });
    this.#remarks.figures.statistics.unreadable++;
  }

  below(place: Place): void {
    this.#endRun();
    this.#found.push({ kind: 'place', place });
  }

  stillThere(absolute: Buffer, device: Device): void {
    this.#endRun();
    this.#found.push({ kind: 'still-there', absolute, device });
  }

  #store(kind: 'added' | 'changed' | 'metadata', found: Found, previous: Previous | undefined): void {
    const type = typeOf(found.status.mode);
    if (type === 'file') {
      this.#file(found, previous);
      return;
    }
    this.#spent += cost.entry;
    let xattrs: readonly Xattr[] = noXattrs;
    try {
      xattrs =
        found.at === undefined
          ? found.directory.ownXattrs()
          : found.directory.xattrs(found.at.names.name(found.at.index));
    } catch (error) {
      // Gone by now: it is stored as it was seen, and the next backup sees that it is gone.
      if (errorCode(error) !== 'ENOENT') this.#warnOfXattrs(found.path, reasonOf(error));
    }
    const { path, status, target } = found;
    this.#encode(status, 0, target, xattrs);
    const op = kind === 'added' ? 'added' : 'changed';
    this.#add({ op, path, attributes: this.#attributes.view(), content: undefined });
    this.#count(kind, status, 0);
  }

  #file(found: Found, previous: Previous | undefined): void {
    const { path, status, directory, at } = found;
    if (at === undefined) throw new RangeError('the source is a file');
    const isAdded = previous === undefined;
    if (status.size_bytes >= bigFile_bytes) {
      const before = previous?.status.type === 'file' ? previous.entry().entry : undefined;
      this.#endRun();
      this.#found.push({ kind: 'big-file', file: { path, previous: before, isAdded } });
      return;
    }
    const result = this.#files.read(() => directory.open(at.names, at.index), status);
    this.#spent += cost.file;
    if ('reason' in result) {
      this.#remarks.unreadable.push({ path, reason: result.reason });
      this.#remarks.figures.statistics.unreadable++;
      if (previous === undefined) this.#remarks.figures.done.files++;
      else countEntry(this.#remarks.figures, previous.status.type, previous.status.size_bytes);
      return;
    }
    const { content, size_bytes, xattrs, xattrsReason } = result;
    if (xattrsReason !== undefined) this.#warnOfXattrs(path, xattrsReason);
    this.#spent += size_bytes / cost.bytesPerUnit;
    if (!result.isStable) this.#remarks.unstable.push(path);
    this.#encode(result.status, size_bytes, noAttributes, xattrs);
    if (previous?.status.type === 'file' && this.#isAsBefore(previous, content)) {
      countEntry(this.#remarks.figures, 'file', size_bytes);
      return;
    }
    const kind = isAdded ? 'added' : 'changed';
    this.#add({ op: kind, path, attributes: this.#attributes.view(), content });
    this.#count(kind, result.status, size_bytes);
  }

  #warnOfXattrs(path: Buffer, reason: string): void {
    this.#remarks.warnings.push(xattrsUnreadable(path, reason));
  }

  #encode(status: FileStatus, size_bytes: number, target: Uint8Array, xattrs: readonly Xattr[]): void {
    setSourceStatus(this.#status, status, size_bytes, target.length);
    encodeStatus(this.#attributes.reset(), this.#status, target, xattrs);
  }

  /** Whether the entry is the same to the last attribute. */
  #isAsBefore(previous: Previous, content: readonly StoredSegment[]): boolean {
    const { entry } = previous.entry();
    encodeAttributes(this.#previousAttributes.reset(), entry);
    return (
      this.#previousAttributes.view().equals(this.#attributes.view()) && isSameContent(content, entry.content)
    );
  }

  #count(kind: 'added' | 'changed' | 'metadata', { uid, gid }: FileStatus, size_bytes: number): void {
    countEntry(this.#remarks.figures, this.#status.type, size_bytes);
    countChange(this.#remarks.figures, kind, size_bytes);
    if (!this.#users.has(uid)) {
      this.#users.add(uid);
      this.#remarks.users.push(uid);
    }
    if (!this.#groups.has(gid)) {
      this.#groups.add(gid);
      this.#remarks.groups.push(gid);
    }
  }

  #add(row: EncodedRow): void {
    this.#rows.add(row);
    this.#packs.record(row);
    if (this.#rows.length >= rows_bytes) this.#takeRows();
  }

  #takeRows(): void {
    const rows = this.#rows.take();
    if (rows !== undefined) this.#found.push({ kind: 'rows', rows });
  }

  /** What comes next may stand behind something that others find. */
  #endRun(): void {
    this.#takeRows();
    this.#packs.endRun();
  }
}

export function xattrsUnreadable(path: Uint8Array, reason: string): string {
  return `the extended attributes of ${printable(path)} cannot be read: ${reason}`;
}

export function noRemarks(): Remarks {
  return { figures: noFigures(), unreadable: [], unstable: [], warnings: [], users: [], groups: [] };
}

function isSameContent(
  content: readonly Pick<StoredSegment, 'id' | 'size_bytes'>[],
  before: readonly Segment[],
): boolean {
  return (
    content.length === before.length &&
    content.every(({ id, size_bytes }, index) => {
      const other = before[index]!;
      if (size_bytes !== other.size_bytes || (id === undefined) !== (other.kind === 'hole')) return false;
      return id === undefined || other.kind === 'hole' || Buffer.compare(id, other.id) === 0;
    })
  );
}
