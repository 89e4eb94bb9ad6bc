// A worker's ear for what a comparison finds: reads new and changed files at once, while their directory is open, and makes
// rows of everything; very large files and what is beyond its share of work go back to the main thread as they are.

import { ByteWriter } from '../bytes/cursor.js';
import { printable } from '../bytes/path.js';
import { encodeAttributes, isTooLarge, maximumSeconds } from '../manifest/entry.js';
import { manifestLimits } from '../manifest/layout.js';
import { CommitRows, type EncodedRow, type StoredSegment } from '../manifest/row-stream.js';
import { encodeStatus, MutableStatus } from '../manifest/status.js';
import type { Segment, Xattr } from '../manifest/types.js';
import { errorCode, reasonOf } from '../posix/libc.js';
import type { FileStatus } from '../posix/status.js';
import type { Device, Findings, Found, Place, Previous } from './findings.js';
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

/** Nobody has so many owners that are worth a name. */
const maximumOwners = 65_536;

const noAttributes = new Uint8Array(0);
const noXattrs: readonly Xattr[] = [];
const noContent: readonly StoredSegment[] = [];

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
    this.#spent += cost.entry;
    this.#remarks.unreadable.push({ path, reason });
    this.#remarks.figures.statistics.unreadable++;
  }

  below(place: Place): void {
    this.#endRun();
    this.#found.push({ kind: 'place', place });
  }

  stillThere(path: Buffer, device: Device): void {
    this.#endRun();
    this.#found.push({ kind: 'still-there', path, device });
  }

  #store(kind: 'added' | 'changed' | 'metadata', found: Found, previous: Previous | undefined): void {
    const { path, status, target } = found;
    if (path.length > manifestLimits.path_bytes) {
      this.#leave(path, 'its path is too long', previous);
      return;
    }
    const type = typeOf(status.mode);
    if (type === 'file') {
      this.#file(found, previous);
      return;
    }
    this.#spent += cost.entry;
    let xattrs: readonly Xattr[] = noXattrs;
    try {
      xattrs = (found.held ?? found.directory).xattrs(manifestLimits.xattrs_bytes);
    } catch (error) {
      // Gone by now: it is stored as it was seen, and the next backup sees that it is gone.
      if (errorCode(error) !== 'ENOENT') this.#warnOfXattrs(path, reasonOf(error));
    }
    const reason = this.#encode(status, 0, target, xattrs);
    if (reason !== undefined) {
      if (type !== 'directory') {
        this.#leave(path, reason, previous);
        return;
      }
      this.unreadable(path, reason);
      this.#encodeInPart(status);
      if (previous?.status.type === type && this.#isAsBefore(previous, noContent)) {
        countEntry(this.#remarks.figures, type, 0);
        return;
      }
    }
    const op = kind === 'added' ? 'added' : 'changed';
    this.#add({ op, path, attributes: this.#attributes.view(), content: undefined });
    this.#count(kind, status, 0);
  }

  #file(found: Found, previous: Previous | undefined): void {
    const { path, status, directory, within, at } = found;
    if (at === undefined) throw new RangeError('the source is a file');
    const isAdded = previous === undefined;
    if (status.size_bytes >= bigFile_bytes) {
      const before = previous?.status.type === 'file' ? previous.entry().entry : undefined;
      this.#endRun();
      this.#found.push({ kind: 'big-file', file: { path, within, previous: before, isAdded } });
      return;
    }
    this.#files.ahead.reading(directory, at.names, at.index);
    const result = this.#files.read(() => directory.open(at.names, at.index), status);
    this.#spent += cost.file;
    if ('reason' in result) {
      this.#leave(path, result.reason, previous);
      return;
    }
    const { content, size_bytes, xattrs, xattrsReason } = result;
    if (xattrsReason !== undefined) this.#warnOfXattrs(path, xattrsReason);
    this.#spent += size_bytes / cost.bytesPerUnit;
    const reason = this.#encode(result.status, size_bytes, noAttributes, xattrs);
    if (reason !== undefined) {
      this.#leave(path, reason, previous);
      return;
    }
    if (!result.isStable) this.#remarks.unstable.push(path);
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

  /** It stays as it was, or out. */
  #leave(path: Buffer, reason: string, previous: Previous | undefined): void {
    this.unreadable(path, reason);
    if (previous === undefined) this.#remarks.figures.done.files++;
    else countEntry(this.#remarks.figures, previous.status.type, previous.status.size_bytes);
  }

  /** Why the entry is beyond what the format has room for; undefined if it is not. */
  #encode(
    status: FileStatus,
    size_bytes: number,
    target: Uint8Array,
    xattrs: readonly Xattr[],
  ): string | undefined {
    setSourceStatus(this.#status, status, size_bytes, target.length);
    try {
      encodeStatus(this.#attributes.reset(), this.#status, target, xattrs);
    } catch (error) {
      if (isTooLarge(error)) return error.message;
      throw error;
    }
    return undefined;
  }

  /**
   * A directory without what there is no room for: what lies in it needs it. Nothing has changed at a time of 0, so that the
   * next backup looks, and complains, again.
   */
  #encodeInPart(status: FileStatus): void {
    setSourceStatus(this.#status, status, 0, 0);
    this.#status.mtime_s = Math.max(-maximumSeconds, Math.min(status.mtime_s, maximumSeconds));
    this.#status.ctime_s = 0;
    this.#status.ctimeRest_ns = 0;
    encodeStatus(this.#attributes.reset(), this.#status, noAttributes, noXattrs);
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
    note(this.#users, uid, this.#remarks.users);
    note(this.#groups, gid, this.#remarks.groups);
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

function note(known: Set<number>, id: number, remarks: number[]): void {
  if (known.has(id) || known.size >= maximumOwners) return;
  known.add(id);
  remarks.push(id);
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
