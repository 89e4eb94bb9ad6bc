// The questions that the catalog answers. All answers are range reads of the local database; none asks the store.

import type { EntryStatus, SourceStatus } from '../manifest/status.js';
import type { Entry } from '../manifest/types.js';
import type { VersionHeader } from '../manifest/types.js';
import type { ChunkId, ChunkPlace } from '../pack/types.js';

export interface StreamInfo {
  /** 32 hex digits. */
  readonly id: string;
  readonly host: string;
  readonly source: string;
  readonly sourcePath: Uint8Array;
  /** The newest version in the catalog; 0 for none. */
  readonly head: number;
  readonly headHash: string;
  readonly headVersionId: string;
  /** Versions before this one are not readable (their log entries are lost, or see `lacksPast`); 1 if all are there. */
  readonly firstSequence: number;
  /** Versions before `firstSequence` are stored but not in the catalog yet: `Catalog.takePast` brings them. */
  readonly lacksPast: boolean;
  /** There are versions behind `head` that cannot be read: the newest one here is not the newest. */
  readonly endsInGap: boolean;
}

export interface VersionInfo {
  readonly header: VersionHeader;
  /** SHA-256 (hex) of the commit's root object. */
  readonly hash: string;
  /**
   * What it added to the repository: its packs and its log entry with all parts. Where that entry is lost, what the header says of
   * new blocks.
   */
  readonly stored_bytes: number;
}

/**
 * A directory of one stream, the same for all its versions: stable while the catalog lives. Below 2^40. The root of a
 * stream's source is a directory like any other.
 */
export type DirectoryId = number;

/** One entry state: its row in the catalog. */
export interface CatalogEntry {
  readonly name: Buffer;
  /** Stable row number of this state, below 2^48; hard links to the same inode share one. A new state has a new one. */
  readonly id: number;
  /** Only for directories. */
  readonly directory: DirectoryId | undefined;
  /** First version in which this state holds, and the first in which it no longer does (Infinity: still does). */
  readonly from: number;
  readonly to: number;
  readonly entry: Entry;
}

/** What stat(2) shows of an entry state: far cheaper than the whole entry, whose content may be long. */
export interface CatalogRow {
  /** The name where it lies. */
  readonly nameBytes: Uint8Array;
  readonly nameStart: number;
  readonly nameEnd: number;
  /** As in CatalogEntry. */
  readonly id: number;
  /** Where a listing goes on behind this name, in any thread: above 0, below 2^48. */
  readonly position: number;
  readonly directory: DirectoryId | undefined;
  /** How many bytes of a file are holes. */
  readonly holes_bytes: number;
  readonly status: EntryStatus;
}

/**
 * Entries of a directory at a version, one after another, in byte order of their names: a cursor that is its own row, so that
 * a million of them make no garbage. Cheap to open; any number at once; nothing stays open in the database between two calls.
 */
export interface DirectoryCursor extends CatalogRow {
  readonly status: SourceStatus;
  /** Goes to the first entry, then to the next; false at the end. Every field is valid until the next call only. */
  next(): boolean;
  /** Less than, equal to or more than 0, as the name at hand is less than, equal to or more than this one. */
  compareName(name: Uint8Array): number;
  /** All of the entry at hand, with copies of its bytes. */
  entry(): CatalogEntry;
  /** For whoever stops before the end, so that the next cursor need not make what this one has. */
  close(): void;
}

export interface EntryPlace {
  readonly directory: DirectoryId;
  readonly name: Buffer;
}

export type EntryExtras = Pick<Entry, 'target' | 'xattrs'>;

export type ChangeKind = 'added' | 'changed' | 'moved' | 'removed' | 'metadata';

export interface Change {
  readonly kind: ChangeKind;
  readonly path: Buffer;
  /** kind 'moved' only: the path before. */
  readonly movedFrom?: Buffer;
  readonly before?: Entry;
  readonly after?: Entry;
}

/** Read side; works in worker threads too (each opens the same files). Synchronous: a read is about a microsecond. */
export interface CatalogReader {
  readonly repositoryId: string;
  streams(): StreamInfo[];
  stream(id: string): StreamInfo | undefined;
  /** Oldest first. */
  versions(stream: string): VersionInfo[];
  version(stream: string, sequence: number): VersionInfo | undefined;
  /** Whether the stream of a directory has this version: one that was removed may have left rows behind. */
  isReadable(directory: DirectoryId, sequence: number): boolean;
  /** The source's root directory at a version. */
  root(stream: string, sequence: number): CatalogEntry | undefined;
  lookup(directory: DirectoryId, name: Uint8Array, sequence: number): CatalogEntry | undefined;
  /** Entries of a directory at a version in byte order of their names, those after `after` only. */
  list(directory: DirectoryId, sequence: number, after?: Uint8Array): IterableIterator<CatalogEntry>;
  /** The same as `lookup`, in short. */
  lookupRow(directory: DirectoryId, name: Uint8Array, sequence: number): CatalogRow | undefined;
  /**
   * Walks through a directory, from the start (0) or from the `position` of a row on, until `visit` says true. Whoever expects
   * to take about `expected` rows says so. A row is the visitor's only until it returns.
   */
  visitRows(
    directory: DirectoryId,
    sequence: number,
    position: number,
    expected: number,
    visit: (row: CatalogRow) => boolean,
  ): void;
  /** The same without a visitor. `after`: a name, to begin behind it. */
  cursor(directory: DirectoryId, sequence: number, after?: Uint8Array): DirectoryCursor;
  /** By path from the source's root ('' is the root itself). Symlinks are not followed. */
  find(stream: string, sequence: number, path: Uint8Array): CatalogEntry | undefined;
  /** Every state that the path ever had, oldest first; gaps between `to` and the next `from` are deletions. */
  history(stream: string, path: Uint8Array): CatalogEntry[];
  /** Names that ever existed below a directory, in byte order, with the directory behind the name where it ever was one. */
  namesEver(directory: DirectoryId): IterableIterator<{ name: Buffer; directory: DirectoryId | undefined }>;
  /** The directory behind a path, whatever the version; undefined if the path never was one. */
  directoryEver(stream: string, path: Uint8Array): DirectoryId | undefined;
  /** What `to` has that `from` has not, and the reverse; from 0 is the empty tree. In path order. */
  changes(stream: string, from: number, to: number): IterableIterator<Change>;
  /** Of a row number, as handed out in CatalogEntry.id. */
  entryById(id: number): CatalogEntry | undefined;
  /** The same in short. */
  row(id: number): CatalogRow | undefined;
  /** Only the directory of it; undefined for what is none. */
  directoryById(id: number): DirectoryId | undefined;
  /** The target of a symlink and the xattrs of a row, without its content. */
  extrasById(id: number): EntryExtras | undefined;
  /**
   * True for an xattr that programs ask every file for (ACLs, capabilities, SELinux) and that no entry of any version has ever
   * had; never while older versions are still to come.
   */
  isUnheardOf(xattr: Uint8Array): boolean;
  /** Where the name of a row stands; of hard links, one of the names. */
  placeOf(id: number): EntryPlace | undefined;
  /** The same for a directory, whatever the version; undefined for the root of a stream. */
  directoryPlace(directory: DirectoryId): EntryPlace | undefined;
  chunk(id: ChunkId): ChunkPlace | undefined;
  hasChunk(id: ChunkId): boolean;
  /** Lets the next read see what other threads and processes have written since. */
  refresh(): void;
  close(): Promise<void>;
}
