// What the main thread and the backup's worker threads say to each other.

import type { MessagePort } from 'node:worker_threads';
import type { RepositoryKeys } from '../crypto/index.js';
import type { Entry, Row, VersionHeader } from '../manifest/types.js';
import type { PackInfo, PackName } from '../pack/types.js';

/** Given to every worker at its birth. */
export interface WorkerSetup {
  readonly keys: RepositoryKeys;
  readonly repositoryId: string;
  readonly catalogPath: string;
  readonly chunkTable: SharedArrayBuffer;
  /** One byte per orphan pack, set to 1 once a chunk of it is used. */
  readonly orphansUsed: SharedArrayBuffer;
  readonly stream: string;
  readonly run: string;
  readonly sequence: number;
  readonly compressionLevel: number;
  /** Absolute path of the source. */
  readonly sourcePath: Uint8Array;
}

/** One change that the comparison found. Files come without content: the worker reads them. */
export type Item =
  | { readonly op: 'added'; readonly path: Uint8Array; readonly entry: Entry }
  /** If the file turns out to be as it was in `previous`, there is no row. */
  | { readonly op: 'changed'; readonly path: Uint8Array; readonly entry: Entry; readonly previous: Entry }
  | { readonly op: 'removed'; readonly path: Uint8Array };

export type WorkerRequest =
  /** Sent once, first: the port over which finished packs come, and the counter of packs that may be on their way. */
  | { readonly kind: 'start'; readonly packPort: MessagePort; readonly credits: SharedArrayBuffer }
  /** Consecutive changes in path order. */
  | { readonly kind: 'batch'; readonly items: readonly Item[] }
  /** Puts what is pending into the open pack; `finish` also closes and hands over the pack, if it holds anything. */
  | { readonly kind: 'flush'; readonly finish: boolean }
  /** Closes this run's last pack, with what rebuilds the commit. */
  | {
      readonly kind: 'finish-last';
      readonly header: VersionHeader;
      readonly otherPacks: readonly PackName[];
    };

export interface Unreadable {
  readonly path: Uint8Array;
  readonly reason: string;
}

export interface Spared {
  readonly item: number;
  /** Why it could not be read; undefined: nothing differs after all. */
  readonly reason: string | undefined;
}

export interface WorkerResponse {
  /** Of a batch: its rows complete with content, in order. */
  readonly rows: readonly Row[];
  /** Items of the batch, by their place in it, that have no row. */
  readonly spared: readonly Spared[];
  /** Files that changed while they were read, twice: stored as read. */
  readonly unstable: readonly Uint8Array[];
  /** Plain bytes of chunks that are new to the repository, and bytes of the blocks that hold them, since the last response. */
  readonly newBytes: number;
  readonly storedBytes: number;
}

/** Over the pack port. */
export interface FinishedPack {
  readonly bytes: Uint8Array;
  readonly info: PackInfo;
}
