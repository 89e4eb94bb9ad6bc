// A loop's part of reading: what is on this machine is answered in the loop, from shared blocks or by decoding right there. What
// must come over the network is left to the main thread. Tells the prefetcher what was asked for.

import { LRUCache } from 'lru-cache';
import type { CatalogReader } from '../../catalog/types.js';
import { FileLayout, placed } from '../cache/file-layout.js';
import { openLocalContent, type LocalContent } from '../cache/local-content.js';
import type { Hint, HintQueue } from '../prefetch/hints.js';
import { maximumRead_bytes } from '../protocol/constants.js';
import { replyHeader_bytes, writeReplyHeader } from '../protocol/reply.js';
import { entryRow, nodeKinds } from '../tree/node.js';
import type { ContentMemory } from '../types.js';
import { writeReply } from './device.js';
import { shared } from './messages.js';
import type { Outcome } from './session.js';

const openFiles = 256;
const keptHints = 512;

export interface ReadsOptions {
  readonly catalog: CatalogReader;
  readonly memory: ContentMemory;
  readonly device: number;
  readonly hints: HintQueue;
  /** See `shared`. */
  readonly flags: Int32Array;
  /** The prefetcher is needed, and not at work. */
  onReading(): void;
}

export class Reads {
  readonly #options: ReadsOptions;
  readonly #files = new LRUCache<number, FileLayout>({ max: openFiles });
  readonly #reply = Buffer.alloc(replyHeader_bytes + maximumRead_bytes);
  readonly #unsent: Hint[] = [];
  #content: LocalContent | undefined;

  constructor(options: ReadsOptions) {
    this.#options = options;
  }

  get isPrepared(): boolean {
    return this.#content !== undefined;
  }

  /** Loads what decoding needs. */
  async prepare(): Promise<void> {
    this.#options.onReading();
    this.#content = await openLocalContent(this.#options.catalog.repositoryId, this.#options.memory);
  }

  /**
   * True if it is answered. Otherwise the main thread must answer: the bytes are not here, or something is wrong with them.
   */
  answer({ unique, node, offset, size_bytes }: Outcome & { readonly kind: 'read' }): boolean {
    const file = node.kind === nodeKinds.entry ? this.#file(entryRow(node)) : undefined;
    if (file === undefined) return false;
    const end = Math.min(offset + Math.min(size_bytes, maximumRead_bytes), file.entry.size_bytes);
    const reply = this.#reply.subarray(0, replyHeader_bytes + Math.max(0, end - offset));
    const bytes = reply.subarray(replyHeader_bytes);
    const isHere = this.#read(file, offset, end, bytes);
    if (isHere) {
      writeReplyHeader(reply, unique);
      writeReply(this.#options.device, [reply]);
    }
    // After the answer: the reader waits for that only.
    if (bytes.length > 0) this.hint({ kind: 'read', row: entryRow(node), offset, end });
    return isHere;
  }

  /** The latest are kept back until somebody reads: `ls -lR` and `find` need nobody to hear of every directory. */
  hint(hint: Hint): void {
    this.#unsent.push(hint);
    const { hints, flags, onReading } = this.#options;
    if (Atomics.load(flags, shared.reading) === 0) {
      if (this.#unsent.length > 2 * keptHints) this.#unsent.splice(0, keptHints);
      return;
    }
    for (const each of this.#unsent) hints.put(each);
    this.#unsent.length = 0;
    if (Atomics.load(flags, shared.asleep) !== 0 && Atomics.exchange(flags, shared.asleep, 0) !== 0)
      onReading();
  }

  /** Whatever is wrong, the main thread meets it again and says so. */
  #read(file: FileLayout, offset: number, end: number, bytes: Buffer): boolean {
    try {
      if (offset >= end) return true;
      const pieces = file.pieces(offset, end).map((piece) => placed(this.#options.catalog, piece));
      return this.#content?.read(pieces, bytes) === true;
    } catch {
      return false;
    }
  }

  #file(row: number): FileLayout | undefined {
    const known = this.#files.get(row);
    if (known !== undefined) return known;
    try {
      const found = this.#options.catalog.entryById(row);
      if (found?.entry.type !== 'file') return undefined;
      const file = new FileLayout(found.entry);
      this.#files.set(row, file);
      return file;
    } catch {
      return undefined;
    }
  }
}
