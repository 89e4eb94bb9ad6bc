// What the threads of the kernel driver say to each other.

import type { Owner } from '../tree/attributes.js';

export interface WorkerSettings {
  readonly catalogModule: string;
  readonly catalogPath: string;
  readonly repositoryId: string;
  readonly host: string;
  readonly owner: Owner;
  readonly checkAccess: boolean;
  /** One Int32: not 0 when a worker should leave its loop after the request that it is in. */
  readonly stop: SharedArrayBuffer;
}

/** To a worker, once, when the mount stands: serve this descriptor until it ends. */
export interface StartMessage {
  readonly device: number;
}

export type WorkerMessage =
  /** The catalog is open. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'init'; readonly isSupported: boolean }
  /** A request for the main thread, as read. */
  | { readonly kind: 'request'; readonly bytes: Uint8Array }
  | { readonly kind: 'warning'; readonly message: string };
