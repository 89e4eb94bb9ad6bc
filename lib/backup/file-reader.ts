// Reads one file into chunks: holes are found, data is cut, and a file that changes meanwhile, or may have done so without its
// times telling, is read once more. Hands every chunk to `storeChunk` and keeps none.

import type { Cutter } from '../chunking/index.js';
import { type Clock, systemClock } from '../clock.js';
import type { StoredSegment } from '../manifest/row-stream.js';
import { manifestLimits } from '../manifest/layout.js';
import type { Xattr } from '../manifest/types.js';
import { closeFile, type ReadBuffer, statusOfFile } from '../posix/directory.js';
import { reasonOf, errorCode } from '../posix/libc.js';
import { dataExtents } from '../posix/sparse.js';
import { FileStatus } from '../posix/status.js';
import { readXattrs } from '../posix/xattr.js';
import { ReadAhead } from './read-ahead.js';
import { ScanStart } from './same-state.js';
import { typeOf } from './status-entry.js';

/** How much of a file is looked at at once: two of the largest chunks. */
export const window_bytes = 8 * 1024 * 1024;

export interface FileReaderOptions {
  readonly cutter: Cutter;
  /** The cutter's. */
  readonly window: ReadBuffer;
  /** Called with a view that is valid during the call only. */
  storeChunk(plain: Uint8Array): StoredSegment;
  /** Which file is open from now on; undefined: none. */
  onDescriptor?(fd: number | undefined): void;
  readonly clock?: Clock;
}

export type ReadResult =
  | {
      readonly content: readonly StoredSegment[];
      readonly size_bytes: number;
      readonly xattrs: readonly Xattr[];
      readonly xattrsReason: string | undefined;
      /** As it was when reading began; valid until the next read. */
      readonly status: FileStatus;
      readonly isStable: boolean;
    }
  /** For people: why there is no content. */
  | { readonly reason: string };

export const replaced = 'it was replaced by something else while the backup ran';
const none: readonly never[] = [];
const margin_s = 3;
/** A smaller file's extents lie in its inode. */
const manyExtents_bytes = 64 * 1024;
const noId = new Uint8Array();

type Content = readonly StoredSegment[];

/**
 * After the n-th reading of a file. `isStable`: its status is what it was before; `isFresh`: it was written to so shortly before
 * that another write would not show in that, so that only what is read twice the same is known to be whole.
 */
export function judge(of: {
  readonly reading: number;
  readonly isStable: boolean;
  readonly isFresh: boolean;
  readonly isAsLast: boolean;
}): 'whole' | 'changing' | 'again' {
  const { reading, isStable, isFresh, isAsLast } = of;
  if (isStable && (!isFresh || isAsLast)) return 'whole';
  // The second time because it changed, the third because that was a moment ago.
  return reading === 1 || (reading === 2 && isStable) ? 'again' : 'changing';
}

export class FileReader {
  readonly #options: FileReaderOptions;
  #before = new FileStatus();
  #after = new FileStatus();
  #isStoring = false;
  readonly #clock: Clock;
  /** What was not written to since then need not be held against the clock. */
  readonly #old_s: number;
  /** Told before each file that lies in a directory with more of them. */
  readonly ahead: ReadAhead;

  constructor(options: FileReaderOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#old_s = Number(this.#clock.now_ns() / 1_000_000_000n) - margin_s;
    this.ahead = new ReadAhead(options.window);
  }

  /**
   * Reads the file that `open` gives a descriptor of; `seen` is what its name's status was just before. Throws what
   * `storeChunk` throws: a chunk that others may count on already is lost then, so that this is never one file's matter.
   */
  read(open: () => number, seen: FileStatus): ReadResult {
    let fd: number;
    try {
      fd = open();
    } catch (error) {
      return { reason: describe(error) };
    }
    this.#options.onDescriptor?.(fd);
    try {
      let status = seen;
      let last: Content | undefined;
      for (let reading = 1; ; reading++) {
        const isFresh = this.#isFresh(status);
        const result = this.#readOnce(fd, status);
        if ('reason' in result) return result;
        const { isStable, content } = result;
        const verdict = judge({ reading, isStable, isFresh, isAsLast: isSame(content, last) });
        if (verdict !== 'again') return { ...result, isStable: verdict === 'whole' };
        last = content;
        [this.#before, this.#after] = [this.#after, this.#before];
        status = this.#before;
      }
    } catch (error) {
      if (this.#isStoring) throw error;
      return { reason: describe(error) };
    } finally {
      this.#options.onDescriptor?.(undefined);
      closeFile(fd);
    }
  }

  #isFresh(status: FileStatus): boolean {
    const mayBe = status.size_bytes > 0 && status.ctime_s >= this.#old_s;
    return mayBe && new ScanStart(this.#clock.now_ns()).isTooFresh(status);
  }

  #readOnce(fd: number, status: FileStatus): ReadResult {
    const attributes = xattrsOf(fd);
    const content = status.size_bytes === 0 ? none : this.#content(fd, status, attributes.xattrs.length > 0);
    statusOfFile(fd, this.#after);
    // A status before and one behind that are the same say that nothing came between: neither name nor content.
    const isStable = status.isSameState(this.#after);
    if (!isStable && typeOf(this.#after.mode) !== 'file') return { reason: replaced };
    let size_bytes = 0;
    for (const segment of content) size_bytes += segment.size_bytes;
    return { content, size_bytes, ...attributes, status, isStable };
  }

  #content(fd: number, { size_bytes, allocated_bytes }: FileStatus, hasXattrs: boolean): StoredSegment[] {
    const segments: StoredSegment[] = [];
    // Blocks of extended attributes and of a long list of extents count as allocated, too, and hide a small hole.
    const mayHaveHoles = allocated_bytes < size_bytes || hasXattrs || size_bytes >= manyExtents_bytes;
    const extents = mayHaveHoles ? dataExtents(fd, 0, size_bytes) : [{ offset: 0, size_bytes }];
    let position = 0;
    for (const extent of extents) {
      if (extent.offset > position) segments.push(hole(extent.offset - position));
      const end = extent.offset + extent.size_bytes;
      position = this.#readExtent(fd, extent.offset, end, segments);
      if (position < end) return segments;
    }
    if (position < size_bytes) segments.push(hole(size_bytes - position));
    return segments;
  }

  /** Reads from `start` to `end`, or to the end of the file if it has shrunk; returns where it stopped. */
  #readExtent(fd: number, start: number, end: number, segments: StoredSegment[]): number {
    return readCut(this.#options, fd, start, end, (plain) => {
      this.#isStoring = true;
      segments.push(this.#options.storeChunk(plain));
      this.#isStoring = false;
      return true;
    });
  }
}

type Part = Pick<StoredSegment, 'size_bytes'> & { readonly id?: Uint8Array | undefined };

/** Whether the same was read twice. */
export function isSame(content: readonly Part[], last: readonly Part[] | undefined): boolean {
  const isAs = (one: Part, other: Part | undefined): boolean =>
    one.size_bytes === other?.size_bytes && Buffer.compare(one.id ?? noId, other.id ?? noId) === 0;
  return content.length === last?.length && content.every((part, index) => isAs(part, last[index]));
}

/** Of an open file; the reason why there are none although it may have some. */
export function xattrsOf(fd: number): {
  readonly xattrs: readonly Xattr[];
  readonly xattrsReason: string | undefined;
} {
  try {
    return { xattrs: readXattrs(fd, manifestLimits.xattrs_bytes), xattrsReason: undefined };
  } catch (error) {
    return { xattrs: none, xattrsReason: reasonOf(error) };
  }
}

/**
 * Reads `start` … `end` of a file through the window and cuts it; `onChunk` sees each chunk and where it ends, and says whether
 * to go on. Returns where it stopped: before `end` if the file is shorter by now.
 */
export function readCut(
  { cutter, window }: Pick<FileReaderOptions, 'cutter' | 'window'>,
  fd: number,
  start: number,
  end: number,
  onChunk: (plain: Buffer, position: number) => boolean,
): number {
  const { bytes } = window;
  let position = start;
  let held_bytes = 0;
  for (;;) {
    const wanted_bytes = Math.min(bytes.length - held_bytes, end - position);
    const got_bytes = wanted_bytes > 0 ? window.read(fd, held_bytes, wanted_bytes, position) : 0;
    position += got_bytes;
    held_bytes += got_bytes;
    const isLast = position === end || got_bytes === 0;
    let from = 0;
    while (from < held_bytes) {
      const cut = cutter.nextCut(from, held_bytes, isLast);
      if (cut < 0) break;
      const cutAt = position - held_bytes + cut;
      if (!onChunk(bytes.subarray(from, cut), cutAt)) return cutAt;
      from = cut;
    }
    if (isLast) return position;
    bytes.copyWithin(0, from, held_bytes);
    held_bytes -= from;
  }
}

export function hole(size_bytes: number): StoredSegment {
  return { id: undefined, size_bytes, own: undefined };
}

export function describe(error: unknown): string {
  switch (errorCode(error)) {
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'ENOENT':
      return 'it vanished while the backup ran';
    case 'ELOOP':
    case 'ENOTDIR':
    case 'EISDIR':
    case 'EXDEV':
    case 'ENXIO':
    case 'ESPIPE':
      return replaced;
    case 'EIO':
      return 'the disk reported a read error';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
