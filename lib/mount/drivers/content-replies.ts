// The main thread's part of the kernel driver: reads of content and everything about history. Every read has a signal of its
// own, which the kernel's INTERRUPT fires; whatever goes wrong with one read is that read's EIO and a line in the log.

import { LRUCache } from 'lru-cache';
import { joinPath, printable } from '../../bytes/path.js';
import type { CatalogReader } from '../../catalog/types.js';
import { contentsReason } from '../../errors/contents.js';
import { blankEntry, type Entry } from '../../manifest/types.js';
import { errno } from '../protocol/constants.js';
import { replyHeader } from '../protocol/reply.js';
import { entryRow, nodeKinds, type NodeId } from '../tree/node.js';
import type { ContentSource } from '../types.js';
import { writeReply } from './device.js';
import type { Outcome, Session } from './session.js';

const openFiles = 1024;

export interface ContentRepliesOptions {
  readonly device: number;
  readonly session: Pick<Session, 'answer'>;
  readonly catalog: Pick<CatalogReader, 'entryById' | 'placeOf' | 'directoryPlace'>;
  readonly content: Pick<ContentSource, 'read'>;
  onWarning(message: string): void;
}

export class ContentReplies {
  readonly #options: ContentRepliesOptions;
  readonly #reads = new Map<bigint, AbortController>();
  readonly #files = new LRUCache<number, Entry>({ max: openFiles });
  #isClosed = false;

  /** Reads that are not answered yet. */
  get pending(): number {
    return this.#reads.size;
  }

  constructor(options: ContentRepliesOptions) {
    this.#options = options;
  }

  /** A request that a worker handed over. Settles when it is answered. */
  async handle(bytes: Buffer): Promise<void> {
    if (this.#isClosed) return;
    const outcome = this.#options.session.answer(bytes);
    if (outcome.kind === 'reply') this.#write([outcome.bytes]);
    if (outcome.kind === 'interrupt') this.#interrupt(outcome.unique, outcome.target);
    if (outcome.kind === 'read') await this.#read(outcome);
  }

  /** Drops all reads; nothing is written after this. */
  close(): void {
    this.#isClosed = true;
    for (const abort of this.#reads.values()) abort.abort();
  }

  #interrupt(unique: bigint, target: bigint): void {
    const abort = this.#reads.get(target);
    if (abort !== undefined) abort.abort();
    // Answered already, or still on its way here from another thread: the kernel asks again while it matters.
    else this.#write([replyHeader(unique, 0, errno.EAGAIN)]);
  }

  async #read({ unique, node, offset, size_bytes }: Outcome & { readonly kind: 'read' }): Promise<void> {
    const abort = new AbortController();
    this.#reads.set(unique, abort);
    let file: Entry | undefined;
    try {
      file = this.#file(node);
      const bytes =
        file === undefined
          ? undefined
          : await this.#options.content.read(file, offset, size_bytes, abort.signal);
      this.#reads.delete(unique);
      if (bytes === undefined) this.#write([replyHeader(unique, 0, errno.ESTALE)]);
      else this.#write([replyHeader(unique, bytes.length), bytes]);
    } catch (error) {
      this.#reads.delete(unique);
      const isInterrupted = abort.signal.aborted;
      this.#write([replyHeader(unique, 0, isInterrupted ? errno.EINTR : errno.EIO)]);
      if (!isInterrupted)
        this.#options.onWarning(readFailure(this.#pathOf(node), error, this.#versionsOf(node)));
    }
  }

  /** In words; undefined where nothing can be found out. */
  #versionsOf(node: NodeId): string | undefined {
    if (node.kind !== nodeKinds.entry) return undefined;
    try {
      const state = this.#options.catalog.entryById(entryRow(node));
      if (state === undefined) return undefined;
      const { from, to } = state;
      if (to === Infinity) return `version ${from} and later`;
      return to === from + 1 ? `version ${from}` : `versions ${from}-${to - 1}`;
    } catch {
      return undefined;
    }
  }

  /** From the source's root; of hard links, one of them. undefined where the catalog is what cannot be read. */
  #pathOf(node: NodeId): Buffer | undefined {
    if (node.kind !== nodeKinds.entry) return undefined;
    const { catalog } = this.#options;
    try {
      let path: Buffer | undefined;
      for (
        let at = catalog.placeOf(entryRow(node));
        at !== undefined;
        at = catalog.directoryPlace(at.directory)
      )
        path = path === undefined ? at.name : joinPath(at.name, path);
      return path;
    } catch {
      return undefined;
    }
  }

  #file(node: NodeId): Entry | undefined {
    if (node.kind === nodeKinds.deleted) return nothing;
    if (node.kind !== nodeKinds.entry) return undefined;
    const row = entryRow(node);
    const known = this.#files.get(row);
    if (known !== undefined) return known;
    const found = this.#options.catalog.entryById(row);
    if (found?.entry.type !== 'file') return undefined;
    this.#files.set(row, found.entry);
    return found.entry;
  }

  #write(parts: readonly Uint8Array[]): void {
    if (this.#isClosed) return;
    try {
      writeReply(this.#options.device, parts);
    } catch (error) {
      this.#options.onWarning(`an answer to the kernel was not taken: ${String(error)}`);
    }
  }
}

/** What the log says of a read that ended in an error; where stored data is damaged, also whom that hurts and what to do now. */
export function readFailure(path: Buffer | undefined, error: unknown, versions?: string): string {
  return `${path === undefined ? 'a file' : printable(path)} cannot be read: ${contentsReason(error, versions)}`;
}

/** The content of a deletion's marker. */
const nothing: Entry = { ...blankEntry, type: 'file' };
