// What the threads of the kernel driver say to each other.

import type { MessagePort } from 'node:worker_threads';
import type { ChunkPlace } from '../../pack/types.js';
import type { ContentMemory } from '../types.js';
import type { TreeOptions } from '../tree/options.js';

const fileSlots = 64;

/** Words that the main thread and the workers share, because a worker in its loop hears no messages. */
export const shared = {
  /** Not 0: leave the loop. */
  stop: 0,
  /** How many have left their loop. */
  left: 1,
  /** Not 0: the prefetcher has nothing to do and must be told of hints. */
  asleep: 2,
  /** Counts beginnings and ends of stores into the kernel's cache: odd while one is under way. */
  stores: 3,
  /** Not 0: no store may begin any more. */
  noStores: 4,
  /** Not 0: somebody has read a file, so that hints are worth giving. */
  reading: 5,
  /** Reads that wait for the network, by file: see `fileSlot`. */
  files: 6,
  size_bytes: 4 * (6 + fileSlots),
} as const;

/** The word that counts the reads of a file, by its row, which wait for the network. Files may share one. */
export function fileSlot(row: number): number {
  return shared.files + (row % fileSlots);
}

/** The first message to a worker. */
export interface WorkerSettings {
  readonly catalogPath: string;
  readonly repositoryId: string;
  readonly tree: TreeOptions;
  readonly checkAccess: boolean;
  /** Of Int32, see `shared`. */
  readonly shared: SharedArrayBuffer;
  readonly content: ContentMemory | undefined;
  /** A HintQueue of its own (lib/mount/prefetch). */
  readonly hints: SharedArrayBuffer;
}

/** What the prefetching thread is given. */
export interface PrefetchSettings {
  readonly device: number;
  readonly catalogPath: string;
  readonly repositoryId: string;
  readonly shared: SharedArrayBuffer;
  readonly content: ContentMemory;
  /** A HintQueue of each loop. */
  readonly hints: readonly SharedArrayBuffer[];
  /** Of a thread that helps with decoding. */
  readonly helper: MessagePort | undefined;
}

export interface DecodeSettings {
  readonly repositoryId: string;
  readonly content: ContentMemory;
  readonly wanted: MessagePort;
}

export type PrefetchRequest =
  /** Have these fetched, they are of one pack, and say so. */
  | { readonly kind: 'fetch'; readonly id: number; readonly places: readonly ChunkPlace[] }
  /** There is something for the helper to decode: it is time to start it. */
  | { readonly kind: 'help' };

/** To the prefetching thread. */
export type PrefetchMessage =
  | { readonly kind: 'fetched'; readonly id: number }
  /** There are hints. */
  | { readonly kind: 'wake' }
  | { readonly kind: 'stop' };

/** To a worker, once, when the mount stands: serve this descriptor until it ends. */
export interface StartMessage {
  readonly device: number;
}

export type WorkerMessage =
  /** The first one: all code is here. */
  | { readonly kind: 'loaded' }
  /** The catalog is open; `thread` for wakeThread. */
  | { readonly kind: 'ready'; readonly thread: number }
  | { readonly kind: 'init'; readonly isSupported: boolean }
  /** A request for the main thread, as read. `slot`: the word that counts it until it is answered. */
  | { readonly kind: 'request'; readonly bytes: Uint8Array; readonly slot?: number }
  /** The first read has come; or there are hints, and the prefetcher is asleep. */
  | { readonly kind: 'reading' }
  | { readonly kind: 'warning'; readonly message: string };
