// What is passed from the stage that looks ahead (prepare.ts) to the one that writes (write.ts): jobs in path order, in
// batches with the chunks that they need. Data only.

import type { Entry } from '../manifest/types.js';
import { type NeededChunk, blockKey } from './fetch.js';
import type { TargetDirectory } from './target.js';

/** Where an entry goes. */
export interface Spot {
  readonly directory: TargetDirectory;
  readonly name: Buffer;
  /** A name in the same directory that the version has nothing at. */
  readonly temporary: Buffer;
  /** Relative to the source, for people. */
  readonly path: Buffer;
  readonly entry: Entry;
  /** Something else may stand there and goes. */
  readonly replaces: boolean;
}

/** The first of a group of hard links; the others are linked to it once it is there. */
export interface FirstLink {
  spot: Spot;
  isThere: boolean;
}

/** One stretch of a file's segments. */
export interface FilePart {
  readonly from: number;
  readonly to: number;
  readonly offset_bytes: number;
  /** One for each chunk segment of the stretch, in order. */
  readonly needed: readonly NeededChunk[];
}

export type Job =
  | {
      readonly kind: 'part';
      readonly spot: Spot;
      readonly part: FilePart;
      readonly first: FirstLink | undefined;
    }
  | { readonly kind: 'node'; readonly spot: Spot; readonly first: FirstLink | undefined }
  /** The right content stands there; attributes are put right. */
  | { readonly kind: 'right'; readonly spot: Spot; readonly first: FirstLink | undefined }
  | { readonly kind: 'link'; readonly spot: Spot; readonly first: FirstLink }
  /** The directory is complete. `entry`: its attributes, undefined to leave them; `mode`: to be put back. */
  | {
      readonly kind: 'leave';
      readonly directory: TargetDirectory;
      readonly path: Buffer;
      readonly entry: Entry | undefined;
      readonly mode: number | undefined;
    };

const batchJobs = 256;
const batch_bytes = 16 * 1024 * 1024;

/** Jobs whose chunks are fetched together: bounded in number and in the memory of the blocks that hold the chunks. */
export class Batch {
  readonly jobs: Job[] = [];
  readonly needed: NeededChunk[] = [];
  readonly #blocks = new Set<string>();
  #bytes = 0;

  get isFull(): boolean {
    return this.jobs.length >= batchJobs || this.#bytes >= batch_bytes;
  }

  add(job: Job): void {
    this.jobs.push(job);
  }

  need(chunk: NeededChunk): void {
    this.needed.push(chunk);
    const key = blockKey(chunk.place);
    if (this.#blocks.has(key)) return;
    this.#blocks.add(key);
    this.#bytes += chunk.place.blockPlain_bytes;
  }
}
