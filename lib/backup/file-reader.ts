// Reads one file into chunks: holes are found, data is cut, and a file that changes meanwhile is read once more. Hands every
// chunk to `storeChunk` and keeps none.

import fs from 'node:fs';
import { joinPath } from '../bytes/path.js';
import { type GearTable, nextCut } from '../chunking/index.js';
import type { Entry, Segment } from '../manifest/types.js';
import type { ChunkId } from '../pack/types.js';
import { openLong } from '../posix/long-path.js';
import { dataExtents } from '../posix/sparse.js';

const flags = fs.constants.O_RDONLY | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK;
const window_bytes = 8 * 1024 * 1024;
const statBlock_bytes = 512n;

export interface FileReaderOptions {
  /** Absolute path of the source. */
  readonly root: Uint8Array;
  readonly gear: GearTable;
  /** Called with a view that is valid during the call only. */
  storeChunk(plain: Uint8Array): ChunkId;
}

export type ReadResult =
  | { readonly entry: Entry; readonly isStable: boolean }
  /** For people: why there is no content. */
  | { readonly reason: string };

export class FileReader {
  readonly #options: FileReaderOptions;
  readonly #window = Buffer.allocUnsafe(window_bytes);
  #isStoring = false;

  constructor(options: FileReaderOptions) {
    this.#options = options;
  }

  /**
   * Reads the file at `path` (below the root) as it is now; `scanned` gives what is not in its content or stat. Throws what
   * `storeChunk` throws: a chunk that others may count on already is lost then, so that this is never one file's matter.
   */
  read(path: Uint8Array, scanned: Entry): ReadResult {
    let fd: number;
    try {
      fd = openLong(joinPath(this.#options.root, path), flags);
    } catch (error) {
      return { reason: describe(error) };
    }
    try {
      const first = this.#readOnce(fd, scanned);
      if ('reason' in first || first.isStable) return first;
      return this.#readOnce(fd, scanned);
    } catch (error) {
      if (this.#isStoring) throw error;
      return { reason: describe(error) };
    } finally {
      fs.closeSync(fd);
    }
  }

  #readOnce(fd: number, scanned: Entry): ReadResult {
    const before = fs.fstatSync(fd, { bigint: true });
    if (!before.isFile()) return { reason: 'it was replaced by something else while the backup ran' };
    const content = this.#content(fd, before);
    const after = fs.fstatSync(fd, { bigint: true });
    const isStable =
      before.size === after.size && before.mtimeNs === after.mtimeNs && before.ctimeNs === after.ctimeNs;
    const entry: Entry = {
      ...scanned,
      mode: Number(before.mode & 0o7777n),
      uid: Number(before.uid),
      gid: Number(before.gid),
      mtime_ns: before.mtimeNs,
      ctime_ns: before.ctimeNs,
      inode: before.ino,
      device: before.dev,
      links: Number(before.nlink),
      size_bytes: content.reduce((sum, segment) => sum + segment.size_bytes, 0),
      content,
    };
    return { entry, isStable };
  }

  #content(fd: number, stat: fs.BigIntStats): Segment[] {
    const segments: Segment[] = [];
    const size_bytes = Number(stat.size);
    const mayHaveHoles = stat.blocks * statBlock_bytes < stat.size;
    const extents = mayHaveHoles ? dataExtents(fd, 0, size_bytes) : [{ offset: 0, size_bytes }];
    let position = 0;
    for (const extent of extents) {
      if (extent.offset > position) segments.push({ kind: 'hole', size_bytes: extent.offset - position });
      position = this.#readExtent(fd, extent.offset, extent.offset + extent.size_bytes, segments);
      if (position < extent.offset + extent.size_bytes) return segments;
    }
    if (position < size_bytes) segments.push({ kind: 'hole', size_bytes: size_bytes - position });
    return segments;
  }

  /** Reads from `start` to `end`, or to the end of the file if it has shrunk; returns where it stopped. */
  #readExtent(fd: number, start: number, end: number, segments: Segment[]): number {
    const { gear } = this.#options;
    const window = this.#window;
    let position = start;
    let held_bytes = 0;
    for (;;) {
      const wanted_bytes = Math.min(window.length - held_bytes, end - position);
      const got_bytes = wanted_bytes > 0 ? fs.readSync(fd, window, held_bytes, wanted_bytes, position) : 0;
      position += got_bytes;
      held_bytes += got_bytes;
      const isLast = position === end || got_bytes === 0;
      let from = 0;
      while (from < held_bytes) {
        const cut = nextCut(gear, window, from, held_bytes, isLast);
        if (cut < 0) break;
        const plain = window.subarray(from, cut);
        segments.push({ kind: 'chunk', id: this.#store(plain), size_bytes: plain.length });
        from = cut;
      }
      if (isLast) return position;
      window.copyWithin(0, from, held_bytes);
      held_bytes -= from;
    }
  }

  #store(plain: Uint8Array): ChunkId {
    this.#isStoring = true;
    const id = this.#options.storeChunk(plain);
    this.#isStoring = false;
    return id;
  }
}

function describe(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  switch (code) {
    case 'EACCES':
    case 'EPERM':
      return 'permission denied';
    case 'ENOENT':
      return 'it vanished while the backup ran';
    case 'ELOOP':
    case 'ENOTDIR':
    case 'ENXIO':
      return 'it was replaced by something else while the backup ran';
    case 'EIO':
      return 'the disk reported a read error';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
