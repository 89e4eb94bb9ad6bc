// The disk cache of encrypted blocks as the thread that talks to the store uses it: reads like any other (blocks.ts), keeps what
// was fetched, and keeps within its size. It may fail in every way without a read failing: then there is one warning.

import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { printable } from '../../bytes/path.js';
import { type Clock, systemClock } from '../../clock.js';
import { makeDirectories } from '../../posix/new-directory.js';
import { isAbsence } from '../../store/directory/failure.js';
import type { ChunkPlace, PackName } from '../types.js';
import { CachedBlocks } from './blocks.js';
import { enforceBound } from './bound.js';

/** Fetched and not yet written. On a disk that is slower than the network, what is more than this is not kept. */
const waiting_bytes = 32 * 1024 * 1024;
/** What a write may occupy besides its bytes: the rest of its first and its last page, and a file system's own notes. */
const overhead_bytes = 16 * 1024;
/** Of the maximum: how much is left occupied where something has to go, and how much is written before others are counted again. */
const keptShare = 7 / 8;
const uncountedShare = 1 / 16;
/** After a failed write. The disk of a mount that runs for weeks may have room again. */
const pause_ms = 5 * 60 * 1000;

const writeFlags = constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW;

export interface DiskCacheOptions {
  /** Absolute; made when something is kept. */
  readonly path: string;
  /** Of disk occupied. Each process keeps to it; together they may be above it for a moment, by a sixteenth each. */
  readonly maximum_bytes: number;
  readonly clock?: Clock;
  onWarning?(message: string): void;
}

/** Whole stored blocks, the bytes of a pack from an offset on. */
interface Piece {
  readonly pack: PackName;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

export class DiskCache {
  readonly #options: DiskCacheOptions;
  readonly #clock: Clock;
  readonly #blocks: CachedBlocks;
  /** In order of arrival; those being written have left it. */
  readonly #queue: Piece[] = [];
  /** Of the queue and of what is being written. */
  #waiting_bytes = 0;
  #writing: Promise<void> | undefined;
  #isCounted = false;
  /** What may be written before the files are counted. */
  #allowed_bytes = 0;
  #pausedUntil_ms = -Infinity;
  #hasWarned = false;

  constructor(options: DiskCacheOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#blocks = new CachedBlocks(options.path, this.#clock);
  }

  /** As LocalBlocks. */
  read(place: ChunkPlace): Buffer | undefined {
    // The maximum may be lower than it was when another process last wrote.
    if (!this.#isCounted) this.#writing ??= this.#writeAll();
    return this.#blocks.read(place);
  }

  /** As LocalBlocks. */
  reject(place: ChunkPlace): void {
    this.#blocks.reject(place);
  }

  /**
   * Keeps whole stored blocks, `bytes` of the pack from `offset` on, soon and without anybody waiting for it. The bytes may not
   * change until it is closed.
   */
  keep(pack: PackName, offset: number, bytes: Uint8Array): void {
    const isTooLarge = bytes.length + overhead_bytes > this.#options.maximum_bytes;
    if (isTooLarge || this.#waiting_bytes + bytes.length > waiting_bytes) return;
    this.#waiting_bytes += bytes.length;
    this.#queue.push({ pack, offset, bytes });
    this.#writing ??= this.#writeAll();
  }

  /** Settles when everything is on its way to the disk. Never rejects. */
  async close(): Promise<void> {
    await this.#writing;
    this.#blocks.close();
  }

  /** Until nothing waits: what has come meanwhile is written at once together, for turns of a busy event loop are rare. */
  async #writeAll(): Promise<void> {
    if (!this.#isCounted) await this.#attempt(() => this.#count(0));
    this.#isCounted = true;
    for (let batch = this.#nextBatch(); batch.length > 0; batch = this.#nextBatch()) {
      await this.#attempt(() => this.#writeBatch(batch));
      this.#waiting_bytes -= batch.reduce((sum, { bytes }) => sum + bytes.length, 0);
    }
    this.#writing = undefined;
  }

  /** Errors end here: one warning, and no further attempt for a while. */
  async #attempt(action: () => Promise<void>): Promise<void> {
    if (this.#clock.monotonic_ms() < this.#pausedUntil_ms) return;
    try {
      await action();
    } catch (error) {
      this.#pausedUntil_ms = this.#clock.monotonic_ms() + pause_ms;
      if (!this.#hasWarned) this.#options.onWarning?.(describe(this.#options.path, error));
      this.#hasWarned = true;
    }
  }

  /** One piece at least, if there is one, and no more than may be written without counting. */
  #nextBatch(): Piece[] {
    let count = 0;
    let needed_bytes = 0;
    for (const piece of this.#queue) {
      needed_bytes += neededFor(piece);
      if (count > 0 && needed_bytes > this.#options.maximum_bytes * uncountedShare) break;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #writeBatch(batch: readonly Piece[]): Promise<void> {
    const needed_bytes = batch.reduce((sum, piece) => sum + neededFor(piece), 0);
    if (needed_bytes > this.#allowed_bytes) await this.#count(needed_bytes);
    this.#allowed_bytes -= needed_bytes;
    const results = await Promise.allSettled(batch.map((piece) => this.#write(piece)));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #count(needed_bytes: number): Promise<void> {
    const { path: directory, maximum_bytes } = this.#options;
    const limit_bytes = maximum_bytes - needed_bytes;
    const target_bytes = Math.min(limit_bytes, maximum_bytes * keptShare);
    const occupied_bytes = await enforceBound(directory, limit_bytes, target_bytes);
    const free_bytes = maximum_bytes - occupied_bytes;
    this.#allowed_bytes = Math.min(free_bytes, Math.max(needed_bytes, maximum_bytes * uncountedShare));
  }

  async #write({ pack, offset, bytes }: Piece): Promise<void> {
    const handle = await this.#open(path.join(this.#options.path, pack));
    if (handle === undefined) return;
    try {
      for (let at = 0; at < bytes.length;)
        at += (await handle.write(bytes, at, bytes.length - at, offset + at)).bytesWritten;
    } finally {
      await handle.close();
    }
  }

  /** Undefined if somebody is deleting the directory at this moment. */
  async #open(file: string): Promise<FileHandle | undefined> {
    const handle = await openIfPossible(file);
    if (handle !== undefined) return handle;
    makeDirectories(this.#options.path);
    return openIfPossible(file);
  }
}

/** Undefined where the directory is missing. */
async function openIfPossible(file: string): Promise<FileHandle | undefined> {
  try {
    return await open(file, writeFlags, 0o600);
  } catch (error) {
    if (isAbsence(error)) return undefined;
    throw error;
  }
}

function neededFor({ bytes }: Piece): number {
  return bytes.length + overhead_bytes;
}

function describe(directory: string, error: unknown): string {
  const errno = error instanceof Error && 'errno' in error ? Number(error.errno) : 0;
  const [, reason] = getSystemErrorMap().get(errno) ?? [undefined, String(error)];
  return (
    `what is read cannot be kept in ${printable(Buffer.from(directory))} (${reason}): ` +
    'it is fetched again the next time; cache_size = 0 in the configuration does without that cache'
  );
}
