// What the threads of the kernel driver say to each other.

import type { TreeOptions } from '../tree/options.js';

/** What the main thread and the workers can tell each other while a worker is in its loop. */
export const shared = {
  /** Not 0: leave the loop. */
  stop: 0,
  /** How many have left their loop. */
  left: 1,
  size_bytes: 8,
} as const;

export interface WorkerSettings {
  readonly catalogPath: string;
  readonly repositoryId: string;
  readonly tree: TreeOptions;
  readonly checkAccess: boolean;
  /** Of Int32, see `shared`. */
  readonly shared: SharedArrayBuffer;
}

/** To a worker, once, when the mount stands: serve this descriptor until it ends. */
export interface StartMessage {
  readonly device: number;
}

export type WorkerMessage =
  /** The catalog is open; `thread` for wakeThread. */
  | { readonly kind: 'ready'; readonly thread: number }
  | { readonly kind: 'init'; readonly isSupported: boolean }
  /** A request for the main thread, as read. */
  | { readonly kind: 'request'; readonly bytes: Uint8Array }
  | { readonly kind: 'warning'; readonly message: string };
