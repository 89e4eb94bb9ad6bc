// What the main thread and the backup's worker threads say to each other.

import type { MessagePort } from 'node:worker_threads';
import type { RepositoryKeys } from '../crypto/index.js';
import type { EncodedRows } from '../manifest/row-stream.js';
import type { Entry, Row, VersionHeader } from '../manifest/types.js';
import type { EncodedPackInfo, PackName } from '../pack/types.js';
import type { GoneBlocks } from '../repository/damage.js';
import type { Device, Place, SeenDirectory } from './findings.js';
import type { Figures } from './tally.js';

/** What of a source is compared, and how; plain data. */
export interface SourceSettings {
  /** Absolute path of the source, without a slash at its end. */
  readonly root: Uint8Array;
  /** It is held open; see HeldRoot. */
  readonly rootDescriptor: number;
  readonly excludeRules: readonly string[];
  readonly oneFileSystem: boolean;
  readonly excludeCaches: boolean;
  /** Absolute paths that are ours (repository, catalog, state) and never part of a backup, whatever way leads to them. */
  readonly skip: readonly Uint8Array[];
  readonly stream: string;
  /** The version to compare with; 0 for none. */
  readonly previous: number;
  readonly previousStarted_ns: bigint | undefined;
  /** What must not be counted on: files that need it are read again. */
  readonly gone: GoneBlocks;
}

/** Given to every worker at its birth. */
export interface WorkerSetup {
  readonly keys: RepositoryKeys;
  readonly repositoryId: string;
  readonly catalogPath: string;
  readonly chunkTable: SharedArrayBuffer;
  /** One byte per orphan pack, set to 1 once a chunk of it is used. */
  readonly orphansUsed: SharedArrayBuffer;
  readonly run: string;
  readonly sequence: number;
  /** null: nothing is compressed. */
  readonly compressionLevel: number | null;
  readonly source: SourceSettings;
}

/** A file that is too large for one worker to read while the others wait for it. */
export interface BigFile {
  readonly path: Uint8Array;
  /** The directory that it lies in. */
  readonly within: SeenDirectory;
  /** What stood there before, if it was a file. */
  readonly previous: Entry | undefined;
  readonly isAdded: boolean;
}

/** What comparing a place leads to, in path order. */
export type Finding =
  | { readonly kind: 'rows'; readonly rows: EncodedRows }
  | { readonly kind: 'place'; readonly place: Place }
  | { readonly kind: 'big-file'; readonly file: BigFile }
  /** The device that must still be there; see Findings.stillThere. */
  | {
      readonly kind: 'still-there';
      readonly path: Uint8Array;
      readonly device: Device;
    };

export interface Unreadable {
  readonly path: Uint8Array;
  readonly reason: string;
}

/** What else there is to say of places that were compared. */
export interface Remarks {
  readonly figures: Figures;
  readonly unreadable: Unreadable[];
  /** Files that changed while they were read, twice: stored as read. */
  readonly unstable: Uint8Array[];
  readonly warnings: string[];
  /** Owners and groups of entries with rows. */
  readonly users: number[];
  readonly groups: number[];
}

/** A stretch of a file, absolute. */
export interface Range {
  readonly offset: number;
  readonly size_bytes: number;
}

export type WorkerRequest =
  /**
   * Sent once, first: the port over which finished packs come; and numbers: [0] packs that may still be sent, [1] packs begun in
   * this run by all workers, [open_at] the file that this worker has open, and behind it the directory: descriptors plus 1, for whoever ends it in its middle.
   */
  | {
      readonly kind: 'start';
      readonly packPort: MessagePort;
      readonly credits: SharedArrayBuffer;
      readonly open_at: number;
    }
  /** Places in path order. */
  | { readonly kind: 'places'; readonly places: readonly Place[] }
  /** Where a file is cut within a range; ends early where a cut falls on one of `meet` (ascending). */
  | {
      readonly kind: 'cut';
      readonly fd: number;
      readonly range: Range;
      readonly meet: readonly number[];
    }
  /** Whether ranges of a file still have these ids. */
  | {
      readonly kind: 'identify';
      readonly fd: number;
      readonly ranges: readonly Range[];
      readonly ids: readonly Uint8Array[];
    }
  /** Stores ranges of a file as one chunk each. */
  | { readonly kind: 'store'; readonly fd: number; readonly ranges: readonly Range[] }
  /** A row that the main thread has put together, for the records. */
  | { readonly kind: 'record'; readonly row: Row }
  /** Closes and hands over the worker's pack, if it holds anything. */
  | { readonly kind: 'flush' }
  /** Closes this run's last pack, with what rebuilds the commit. */
  | {
      readonly kind: 'finish-last';
      readonly header: VersionHeader;
      readonly otherPacks: readonly PackName[];
    };

export interface WorkerResponse {
  /** Of 'places': what each of them led to. */
  readonly findings?: readonly (readonly Finding[])[];
  readonly remarks?: Remarks;
  /** Of 'cut': where chunks end. */
  readonly cuts?: readonly number[];
  /** Of 'identify': which ranges are the same. */
  readonly isSame?: readonly boolean[];
  /** Of 'store': the ids; fewer than ranges if the file has become shorter. */
  readonly ids?: readonly Uint8Array[];
  /** Of these three: why the file cannot be read, and nothing else then. */
  readonly reason?: string;
  /** Plain bytes of chunks that are new to the repository, and bytes of the blocks that hold them, since the last response. */
  readonly newBytes: number;
  readonly storedBytes: number;
}

/** Over the pack port: to the main thread, which sends the memory back once the pack is stored. */
export interface FinishedPack {
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly info: EncodedPackInfo;
}
