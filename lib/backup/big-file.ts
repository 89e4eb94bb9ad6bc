// Reads one very large file with all workers at once. A new one is cut range by range while other ranges are hashed and stored;
// a changed one is first compared along its old boundaries, and cut from each difference on until the cuts meet them again.
// Holds numbers and ids, never content.

import fs from 'node:fs';
import { ByteWriter } from '../bytes/cursor.js';
import { systemClock } from '../clock.js';
import { checkSegmentCount, encodeAttributes, isTooLarge, tooLarge } from '../manifest/entry.js';
import type { Entry, Segment } from '../manifest/types.js';
import type { ChunkId } from '../pack/types.js';
import { closeFile, type HeldRoot, OpenDirectory, statusOfFile } from '../posix/directory.js';
import { dataExtents } from '../posix/sparse.js';
import { FileStatus } from '../posix/status.js';
import { reading, UnreadableError } from './big-file-work.js';
import { describe, isSame, judge, replaced, xattrsOf } from './file-reader.js';
import type { BigFile, Range, WorkerRequest, WorkerResponse } from './messages.js';
import { isSameDirectory, ScanStart } from './same-state.js';
import { fileEntryOf, typeOf } from './status-entry.js';

/** What one worker cuts at a time, and what it hashes or stores at a time. */
const cutRange_bytes = 64 * 1024 * 1024;
const storeRange_bytes = 16 * 1024 * 1024;
/** A file whose first so many bytes all differ has been written anew or shifted: its old boundaries say nothing. */
const giveUpAfter_bytes = 64 * 1024 * 1024;
const slash = 0x2f;

export type BigFileResult =
  | {
      readonly entry: Entry;
      readonly isStable: boolean;
      /** Why it has no extended attributes, although it may have some. */
      readonly xattrsReason: string | undefined;
    }
  | { readonly reason: string };

export interface BigFileOptions {
  readonly root: HeldRoot;
  /** Has a worker do it; waits while they have enough to do. */
  ask(request: WorkerRequest): Promise<WorkerResponse>;
  /** How many requests are worth having under way. */
  readonly width: number;
  /** Whether the repository still has a chunk. */
  hasChunk(id: ChunkId): boolean;
}

type Reading = Extract<BigFileResult, { entry: Entry }> & { readonly isFresh: boolean };
type Piece = Range & { readonly id?: ChunkId };

export async function readBigFile(options: BigFileOptions, file: BigFile): Promise<BigFileResult> {
  let fd: number;
  try {
    const opened = openIn(options.root, file);
    if (opened === undefined) return { reason: replaced };
    fd = opened;
  } catch (error) {
    return { reason: describe(error) };
  }
  const underWay = new Set<Promise<unknown>>();
  const ask = async (request: WorkerRequest): Promise<WorkerResponse> => {
    const asked = options.ask(request).finally(() => underWay.delete(asked));
    underWay.add(asked);
    const response = await asked;
    if (response.reason !== undefined) throw new UnreadableError(response.reason);
    return response;
  };
  try {
    let last: readonly Segment[] | undefined;
    for (let reading = 1; ; reading++) {
      const result = await readOnce({ ...options, ask }, file, fd);
      if ('reason' in result) return result;
      const { content } = result.entry;
      const verdict = judge({ ...result, reading, isAsLast: isSame(content, last) });
      if (verdict !== 'again') return { ...result, isStable: verdict === 'whole' };
      last = content;
    }
  } catch (error) {
    if (!(error instanceof UnreadableError) && !isTooLarge(error)) throw error;
    return { reason: error.message };
  } finally {
    // The next file that is opened may have this descriptor: by then nobody reads here any more.
    await Promise.allSettled(underWay);
    closeFile(fd);
  }
}

/** Undefined if another directory stands where the file's was. Throws what open(2) says. */
function openIn(root: HeldRoot, { path, within }: BigFile): number | undefined {
  const end = path.lastIndexOf(slash);
  const status = new FileStatus();
  const directory = new OpenDirectory(root, path.subarray(0, Math.max(end, 0)), status);
  try {
    if (!isSameDirectory(directory, status, within)) return undefined;
    return directory.openNamed(Buffer.from(path.subarray(end + 1)));
  } finally {
    directory.close();
  }
}

async function readOnce(
  options: BigFileOptions,
  file: BigFile,
  fd: number,
): Promise<Reading | Extract<BigFileResult, { reason: string }>> {
  const before = new FileStatus();
  reading(() => statusOfFile(fd, before));
  const isFresh = new ScanStart(systemClock.now_ns()).isTooFresh(before);
  if (typeOf(before.mode) !== 'file') return { reason: replaced };
  // Offsets in it would not be exact.
  if (!Number.isSafeInteger(before.size_bytes)) throw tooLarge('it is too long');
  const content: Segment[] = [];
  const kept = await keptPieces(options, file, fd, before.size_bytes);
  let position = 0;
  for (const { offset, size_bytes } of reading(() => [...dataExtents(fd, 0, before.size_bytes)])) {
    if (offset > position) content.push({ kind: 'hole', size_bytes: offset - position });
    const end = offset + size_bytes;
    position = await readExtent(options, fd, { offset, size_bytes }, kept, content);
    if (position < end) break;
  }
  const hasAll =
    position === before.size_bytes || reading(() => isHoleAtEnd(fd, position, before.size_bytes));
  if (hasAll && position < before.size_bytes)
    content.push({ kind: 'hole', size_bytes: before.size_bytes - position });
  const { xattrs, xattrsReason } = xattrsOf(fd);
  const after = new FileStatus();
  reading(() => statusOfFile(fd, after));
  const sum_bytes = content.reduce((sum, segment) => sum + segment.size_bytes, 0);
  const entry = { ...fileEntryOf(before, sum_bytes), xattrs, content };
  checkSegmentCount(content.length);
  encodeAttributes(new ByteWriter(), entry);
  return { entry, isStable: before.isSameState(after), isFresh, xattrsReason };
}

function isHoleAtEnd(fd: number, position: number, end: number): boolean {
  return fs.fstatSync(fd).size >= end && dataExtents(fd, position, end).next().done === true;
}

/** Pieces of the version before that are the same now. */
interface Kept {
  /** By where they begin. */
  readonly at: ReadonlyMap<number, Piece>;
  /** Where they begin, ascending. */
  readonly boundaries: readonly number[];
}

async function keptPieces(
  options: BigFileOptions,
  file: BigFile,
  fd: number,
  size_bytes: number,
): Promise<Kept> {
  const kept = new Map<number, Piece>();
  const pieces = oldPieces(file.previous, size_bytes).filter(({ id }) => options.hasChunk(id));
  const underWay = new Set<Promise<void>>();
  let compared_bytes = 0;
  let next = 0;
  while (next < pieces.length && (kept.size > 0 || compared_bytes < giveUpAfter_bytes)) {
    const batch = takeBatch(pieces, next);
    next += batch.length;
    const ids = batch.map(({ id }) => id);
    const task = options.ask({ kind: 'identify', fd, ranges: batch, ids }).then(({ isSame }) => {
      for (const [index, piece] of batch.entries()) {
        compared_bytes += piece.size_bytes;
        if (isSame![index]!) kept.set(piece.offset, piece);
      }
    });
    await admit(underWay, task, options.width);
  }
  await Promise.all(underWay);
  return { at: kept, boundaries: [...kept.keys()].sort((a, b) => a - b) };
}

function oldPieces(previous: Entry | undefined, size_bytes: number): (Range & { readonly id: ChunkId })[] {
  const pieces: (Range & { readonly id: ChunkId })[] = [];
  let offset = 0;
  for (const segment of previous?.content ?? []) {
    if (offset + segment.size_bytes > size_bytes) break;
    if (segment.kind === 'chunk') pieces.push({ offset, size_bytes: segment.size_bytes, id: segment.id });
    offset += segment.size_bytes;
  }
  return pieces;
}

/** Pieces from `from` on that make up about one request, none of them kept (with an id) unless `from` is. */
function takeBatch<P extends Piece>(pieces: readonly P[], from: number): P[] {
  const isKept = pieces[from]!.id !== undefined;
  let to = from;
  for (let sum_bytes = 0; to < pieces.length && sum_bytes < storeRange_bytes; to++) {
    if ((pieces[to]!.id !== undefined) !== isKept) break;
    sum_bytes += pieces[to]!.size_bytes;
  }
  return pieces.slice(from, to);
}

/** Waits until there is room for one more, then counts the task in. Rejects as soon as one does. */
async function admit(underWay: Set<Promise<void>>, task: Promise<void>, width: number): Promise<void> {
  const tracked = task.finally(() => underWay.delete(tracked));
  tracked.catch(() => undefined);
  underWay.add(tracked);
  if (underWay.size >= width) await Promise.race(underWay);
}

/** Appends what the extent holds; returns where the file ended, if it has become shorter meanwhile. */
async function readExtent(
  options: BigFileOptions,
  fd: number,
  extent: Range,
  { at: kept, boundaries }: Kept,
  content: Segment[],
): Promise<number> {
  const end = extent.offset + extent.size_bytes;
  const pieces: Piece[] = [];
  const ids: (ChunkId | undefined)[] = [];
  const underWay = new Set<Promise<void>>();
  let isShort = false;
  /** Pieces before this one are stored, being stored, or kept. */
  let asked = 0;
  const store = async (): Promise<void> => {
    while (asked < pieces.length) {
      const from = asked;
      const ranges = takeBatch(pieces, from);
      asked += ranges.length;
      if (ranges[0]!.id !== undefined) {
        for (const [index, { id }] of ranges.entries()) ids[from + index] = id;
        continue;
      }
      const task = options.ask({ kind: 'store', fd, ranges }).then(({ ids: stored }) => {
        for (const [index, id] of stored!.entries()) ids[from + index] = id;
        if (stored!.length < ranges.length) isShort = true;
      });
      await admit(underWay, task, options.width);
    }
  };
  for (let at = extent.offset; at < end && !isShort;) {
    const same = kept.get(at);
    if (same !== undefined && at + same.size_bytes <= end) {
      pieces.push(same);
      at += same.size_bytes;
      continue;
    }
    const size_bytes = Math.min(cutRange_bytes, end - at);
    const meet = boundaries.slice(firstAbove(boundaries, at), firstAbove(boundaries, at + size_bytes));
    const { cuts } = await options.ask({ kind: 'cut', fd, range: { offset: at, size_bytes }, meet });
    const isWhole = at + size_bytes === end || kept.has(cuts!.at(-1) ?? -1);
    const sure = isWhole ? cuts! : cuts!.slice(0, -1);
    if (sure.length === 0) break;
    for (const cut of sure) {
      pieces.push({ offset: at, size_bytes: cut - at });
      at = cut;
    }
    await store();
  }
  await store();
  await Promise.all(underWay);
  let position = extent.offset;
  for (const [index, { size_bytes }] of pieces.entries()) {
    const id = ids[index];
    if (id === undefined) break;
    content.push({ kind: 'chunk', id, size_bytes });
    position += size_bytes;
  }
  return position;
}

/** Which of ascending numbers is the first that is more than `value`. */
function firstAbove(ascending: readonly number[], value: number): number {
  let from = 0;
  let to = ascending.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (ascending[middle]! <= value) from = middle + 1;
    else to = middle;
  }
  return from;
}
