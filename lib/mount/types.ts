// What a mount is asked for and what it answers: the contract between lib/mount and whoever starts one. No behaviour here.

import type { CatalogReader } from '../catalog/types.js';
import type { RepositoryKeys } from '../crypto/index.js';
import type { Entry } from '../manifest/types.js';
import type { LocalBlocksSettings } from '../pack/local-blocks.js';
import type { ChunkPlace } from '../pack/types.js';
import type { TreeOptions } from './tree/options.js';

/** Bytes of files. `read` gives exactly the bytes asked for, cut at the end of the file, or rejects; never other bytes. */
export interface ContentSource {
  read(entry: Entry, offset: number, size_bytes: number, signal: AbortSignal): Promise<Buffer>;
  /** Has blocks of one pack fetched that are not here yet; settles when they are, or are known not to come. */
  ahead(places: readonly ChunkPlace[]): Promise<void>;
  /** undefined where no other thread can read contents by itself. */
  readonly memory: ContentMemory | undefined;
}

/** What another thread needs to read contents that lie on this machine: plain data. */
export interface ContentMemory {
  /** SharedBlocks.memory */
  readonly shared: SharedArrayBuffer;
  readonly keys: RepositoryKeys;
  readonly local: LocalBlocksSettings;
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
  /** Show them other machines' files, too, though the numbers of users may mean other people there. */
  readonly allHosts?: boolean | undefined;
  /** Nothing in it can be run as a program. */
  readonly noExec?: boolean | undefined;
  /** What df and findmnt show as its source. */
  readonly fsname?: string | undefined;
  /** Directories that may neither hold the mount point nor lie in it: a directory store, the catalog. */
  readonly forbidden: readonly string[];
  /** Something that the log should say: a read that ended in EIO and why. Rate-limited. */
  onWarning(message: string): void;
  /** Brings the catalog up to date; called every `poll_ms`, never twice at once. */
  readonly onPoll?: () => Promise<void>;
  /**
   * Brings the older versions that the catalog may still lack, while it is served; returns whether it did. Called at once and,
   * where that failed, after each poll; never twice at once.
   */
  readonly completePast?: (signal: AbortSignal) => Promise<boolean>;
  /** Something good that the log should say. */
  onNote?(message: string): void;
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
