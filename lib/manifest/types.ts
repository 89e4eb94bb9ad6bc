// The logical content of the manifest: entries, rows (one change of one path) and log entries (commits). The bytes are in
// FORMAT.md.

import type { FlatPackInfo } from '../pack/table.js';
import type { ChunkId, PackInfo } from '../pack/types.js';
import type { BatchShape, StoredRows } from './stored-rows.js';

export const entryTypes = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'character-device',
  'block-device',
] as const;
export type EntryType = (typeof entryTypes)[number];

export interface Xattr {
  readonly name: Uint8Array;
  readonly value: Uint8Array;
}

/** A piece of a file's content, in file order. Holes are stretches of zeros that take no space on the disk. */
export type Segment =
  | { readonly kind: 'chunk'; readonly id: ChunkId; readonly size_bytes: number }
  | { readonly kind: 'hole'; readonly size_bytes: number };

/** One entry of a tree in one state: all that is kept of it. */
export interface Entry {
  readonly type: EntryType;
  /** Permission bits with setuid, setgid and sticky: 0 … 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime_ns: bigint;
  readonly ctime_ns: bigint;
  /** Of the source file system: with ctime, size and mtime it tells whether a file is unchanged. */
  readonly inode: bigint;
  /** st_dev of the source; with `inode` the identity of a hard link group inside one version. */
  readonly device: bigint;
  /** st_nlink at backup; more than 1 on anything but a directory means hard links. */
  readonly links: number;
  /** Content length of a file, else 0. */
  readonly size_bytes: number;
  /** Device nodes only: st_rdev split; else 0. */
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** Symlinks only: raw target bytes; else empty. */
  readonly target: Uint8Array;
  /** Sorted by name; POSIX ACLs are among them (system.posix_acl_*). */
  readonly xattrs: readonly Xattr[];
  /** Files only; sizes add up to size_bytes. */
  readonly content: readonly Segment[];
}

/** What an entry is of which nothing is known. */
export const blankEntry: Omit<Entry, 'type'> = {
  mode: 0,
  uid: 0,
  gid: 0,
  mtime_ns: 0n,
  ctime_ns: 0n,
  inode: 0n,
  device: 0n,
  links: 1,
  size_bytes: 0,
  rdevMajor: 0,
  rdevMinor: 0,
  target: new Uint8Array(0),
  xattrs: [],
  content: [],
};

/** One change of one path. Rows are sorted by comparePaths; no path stands twice. The root of the source has path ''. */
export type Row =
  | { readonly op: 'added' | 'changed'; readonly path: Uint8Array; readonly entry: Entry }
  /** The path and everything below it; rows for what lies below are written too. */
  | { readonly op: 'removed'; readonly path: Uint8Array };

export interface VersionStatistics {
  /** Of the whole tree at this version. */
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  readonly bytes: number;
  /** Of this commit's diff. */
  readonly added: number;
  readonly changed: number;
  readonly removed: number;
  /** Plain bytes of chunks new to the repository, and what the blocks that hold them weigh. */
  readonly newBytes: number;
  readonly storedBytes: number;
  /** Entries that could not be read and are missing, or stand as in the version before. */
  readonly unreadable: number;
}

/** What a version says of itself; repeated in the last pack of the commit, so that packs alone rebuild it. */
export interface VersionHeader {
  /** 32 hex digits; keyed hash of host and source name. */
  readonly stream: string;
  /** 1, 2, 3 …; never used twice. */
  readonly sequence: number;
  /** SHA-256 (hex) of the stored bytes of the log entry before; '' for the first. */
  readonly parentHash: string;
  /** Store version id of the parent's root object; '' without. */
  readonly parentVersionId: string;
  /** 32 hex digits, random, one per backup run; ties records in packs to their commit. */
  readonly run: string;
  /** The run id of the parent version; '' for the first. */
  readonly parentRun: string;
  readonly host: string;
  readonly source: string;
  /** Absolute path of the source on its host, raw bytes. */
  readonly sourcePath: Uint8Array;
  /** When the scan began and when it was committed; wall clock of the host. */
  readonly started_ns: bigint;
  readonly finished_ns: bigint;
  readonly program: string;
  readonly statistics: VersionStatistics;
  /** Names of the users and groups that occur, for people and for other machines: id → name. */
  readonly userNames: ReadonlyMap<number, string>;
  readonly groupNames: ReadonlyMap<number, string>;
}

/** A part of a large commit or checkpoint, stored before its root. */
export interface PartReference {
  /** SHA-256 (hex) of the stored part object. */
  readonly hash: string;
  readonly size_bytes: number;
  readonly versionId: string;
}

/** A commit as its reader sees it: the root, with rows and packs streaming from the root and its parts in order. */
export interface Commit {
  readonly kind: 'version';
  /** SHA-256 (hex) of the stored root object, and where it stands. */
  readonly hash: string;
  readonly versionId: string;
  /** Of the root, as it is stored; undefined where the log entry is lost and something else stands in. */
  readonly size_bytes?: number;
  readonly header: VersionHeader;
  readonly parts: readonly PartReference[];
  /** Packs that this commit adds, with where the new chunks are. Every chunk that its rows newly need is in them. */
  packs(): AsyncIterable<PackInfo>;
  rows(): AsyncIterable<Row>;
  /** The same as they are stored, for whoever has very many to take in. */
  storedRows?(shape: BatchShape): AsyncIterable<StoredRows>;
  storedPacks?(): AsyncIterable<FlatPackInfo>;
}
