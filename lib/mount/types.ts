// What a mount is asked for and what it answers: the contract between lib/mount and whoever starts one. No behaviour here.

import type { CatalogReader } from '../catalog/types.js';
import type { Entry } from '../manifest/types.js';
import type { TreeOptions } from './tree/options.js';

/** Bytes of files. `read` gives exactly the bytes asked for, cut at the end of the file, or rejects; never other bytes. */
export interface ContentSource {
  read(entry: Entry, offset: number, size_bytes: number, signal: AbortSignal): Promise<Buffer>;
}

export const mountDrivers = ['kernel', 'fuse-native'] as const;
export type MountDriver = (typeof mountDrivers)[number];

export interface MountOptions {
  /** Of the calling thread; worker threads open their own. */
  readonly catalog: CatalogReader;
  readonly catalogPath: string;
  readonly repositoryId: string;
  readonly content: ContentSource;
  /** Absolute path of an empty directory. */
  readonly mountpoint: string;
  readonly tree: TreeOptions;
  readonly driver: MountDriver;
  /** Let other users in, under the modes and ACLs that were backed up. */
  readonly allowOther: boolean;
  /** Directories that may neither hold the mount point nor lie in it: a directory store, the catalog. */
  readonly forbidden: readonly string[];
  /** Something that the log should say: a read that ended in EIO and why. Rate-limited. */
  onWarning(message: string): void;
  /** Brings the catalog up to date; called every `poll_ms`, never twice at once. */
  readonly onPoll?: () => Promise<void>;
  readonly poll_ms?: number;
}

export interface Mounted {
  readonly mountpoint: string;
  /** Settles when the mount is gone, whoever ended it; rejects if serving it failed. */
  readonly closed: Promise<void>;
  /**
   * Ends the mount: detaches it, and if it is in use takes it away from its users after a short grace. Safe to call again.
   */
  unmount(): Promise<void>;
}
