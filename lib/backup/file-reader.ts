// Reads one file into chunks: holes are found, data is cut, and a file that changes meanwhile is read once more. Hands every
// chunk to `storeChunk` and keeps none.

import type { Cutter } from '../chunking/index.js';
import type { StoredSegment } from '../manifest/row-stream.js';
import { manifestLimits } from '../manifest/layout.js';
import type { Xattr } from '../manifest/types.js';
import { closeFile, type ReadBuffer, statusOfFile } from '../posix/directory.js';
import { reasonOf, errorCode } from '../posix/libc.js';
import { dataExtents } from '../posix/sparse.js';
import { FileStatus } from '../posix/status.js';
import { readXattrs } from '../posix/xattr.js';
import { ReadAhead } from './read-ahead.js';
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

export class FileReader {
  readonly #options: FileReaderOptions;
  #before = new FileStatus();
  #after = new FileStatus();
  #isStoring = false;
  /** Told before each file that lies in a directory with more of them. */
  readonly ahead: ReadAhead;

  constructor(options: FileReaderOptions) {
    this.#options = options;
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
      const first = this.#readOnce(fd, seen);
      if ('reason' in first || first.isStable) return first;
      [this.#before, this.#after] = [this.#after, this.#before];
      return this.#readOnce(fd, this.#before);
    } catch (error) {
      if (this.#isStoring) throw error;
      return { reason: describe(error) };
    } finally {
      this.#options.onDescriptor?.(undefined);
      closeFile(fd);
    }
  }

  #readOnce(fd: number, status: FileStatus): ReadResult {
    const content = status.size_bytes === 0 ? none : this.#content(fd, status);
    const attributes = xattrsOf(fd);
    statusOfFile(fd, this.#after);
    // A status before and one behind that are the same say that nothing came between: neither name nor content.
    const isStable = status.isSameState(this.#after);
    if (!isStable && typeOf(this.#after.mode) !== 'file') return { reason: replaced };
    let size_bytes = 0;
    for (const segment of content) size_bytes += segment.size_bytes;
    return { content, size_bytes, ...attributes, status, isStable };
  }

  #content(fd: number, { size_bytes, allocated_bytes }: FileStatus): StoredSegment[] {
    const segments: StoredSegment[] = [];
    const mayHaveHoles = allocated_bytes < size_bytes;
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
    case 'ENXIO':
    case 'ESPIPE':
      return replaced;
    case 'EIO':
      return 'the disk reported a read error';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
