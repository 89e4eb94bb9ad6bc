// Bytes of one open file: written anew, or put right where they differ. Knows nothing of names and attributes.

import fs from 'node:fs';
import type { Segment } from '../manifest/types.js';
import type { ChunkId } from '../pack/types.js';
import { punchHole } from '../posix/allocate.js';
import { createIn, type HeldDirectory, removeIn } from '../posix/at.js';
import { errorCode } from '../posix/libc.js';
import { dataExtents } from '../posix/sparse.js';
import { type Comparison, hasSegment } from './existing.js';
import { endsRestore } from './failure.js';

const zeros = Buffer.alloc(64 * 1024);

/** Makes something under a temporary name; what a restore that was killed has left there goes. */
export function unlessLeftOver<T>(held: HeldDirectory, name: Uint8Array, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    removeIn(held, name);
    return make();
  }
}

/**
 * A temporary name that is free: what a restore that was killed has left there goes; where somebody has put something there that
 * cannot be removed, it is another name, which `isOfVersion` has nothing at.
 */
export function freeTemporary(
  held: HeldDirectory,
  name: Buffer,
  isOfVersion: (name: Buffer) => boolean,
): Buffer {
  let free = name;
  for (let planted = 0; planted < mostPlanted; planted++) {
    try {
      removeIn(held, free);
      return free;
    } catch (error) {
      if (endsRestore(error)) throw error;
    }
    do free = Buffer.concat([free, dash]);
    while (isOfVersion(free));
  }
  return free;
}

const dash = Buffer.from('-');
const mostPlanted = 16;

/** Open. */
export function createTemporary(held: HeldDirectory, name: Uint8Array, mode: number): number {
  return unlessLeftOver(held, name, () => createIn(held, name, mode));
}

export function writeWhole(fd: number, bytes: Uint8Array, position: number): void {
  for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at, bytes.length - at, position + at);
}

/** The bytes of a segment's chunk, by its place in the list. */
export type ChunkOf = (index: number, id: ChunkId) => Uint8Array;

/** Writes the segments from `offset` on into a file that has nothing there yet. Returns how many bytes. */
export function writeSegments(
  fd: number,
  offset: number,
  segments: readonly Segment[],
  chunk: ChunkOf,
  check: () => void,
): number {
  let at = offset;
  let written_bytes = 0;
  for (const [index, segment] of segments.entries()) {
    if (segment.kind === 'chunk') {
      writeWhole(fd, chunk(index, segment.id), at);
      written_bytes += segment.size_bytes;
      check();
    }
    at += segment.size_bytes;
  }
  return written_bytes;
}

/** The same for a file that may have some of it: only what differs is written. The file is as long as it shall be. */
export function changeSegments(
  fd: number,
  offset: number,
  segments: readonly Segment[],
  chunk: ChunkOf,
  comparison: Comparison,
): number {
  let at = offset;
  let written_bytes = 0;
  for (const [index, segment] of segments.entries()) {
    if (!hasSegment(fd, at, segment, comparison)) {
      if (segment.kind === 'chunk') writeWhole(fd, chunk(index, segment.id), at);
      else makeHole(fd, at, segment.size_bytes);
      written_bytes += segment.size_bytes;
    }
    at += segment.size_bytes;
  }
  return written_bytes;
}

function makeHole(fd: number, from: number, size_bytes: number): void {
  if (punchHole(fd, from, size_bytes)) return;
  for (const extent of dataExtents(fd, from, from + size_bytes)) {
    const end = extent.offset + extent.size_bytes;
    for (let at = extent.offset; at < end; at += zeros.length)
      writeWhole(fd, zeros.subarray(0, Math.min(zeros.length, end - at)), at);
  }
}
