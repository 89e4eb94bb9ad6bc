// What the main thread and the threads that write say to each other: what is to be put back, and what became of it. Plain data;
// descriptors and shared memory mean the same in all threads.

import type { DirectoryId } from '../catalog/types.js';
import type { RepositoryKeys } from '../crypto/index.js';
import type { PlainError } from '../errors/index.js';
import type { LocalBlocksSettings } from '../pack/index.js';
import type { HeldDirectory } from '../posix/at.js';
import type { Trust } from './journal.js';

/** How an existing file that differs is met: it is kept, replaced by a new one, or changed where it stands. */
export type Policy = 'keep' | 'replace' | 'change';

/** What every writer has to know. */
export interface WriterSettings {
  readonly sequence: number;
  readonly policy: Policy;
  /** Of the process. */
  readonly umask: number;
  /** An ordinary user wants the setuid and setgid bits of files, too. */
  readonly setuid: boolean;
  /** [0] is 1 once everybody is to stop. */
  readonly stop: SharedArrayBuffer;
}

/** Given to every thread at its birth. */
export interface ThreadSettings extends WriterSettings {
  readonly catalogPath: string;
  readonly repositoryId: string;
  readonly keys: RepositoryKeys;
  readonly local: LocalBlocksSettings;
}

/** Blocks for one request, brought by the main thread. */
export interface Supply {
  readonly bytes: Uint8Array;
  readonly blocks: readonly {
    readonly key: string;
    readonly offset: number;
    readonly length: number;
    readonly isPlain: boolean;
  }[];
  /** What cannot be had from anywhere. */
  readonly errors: readonly { readonly key: string; readonly error: PlainError }[];
}

/** A name that stands in the target already, to link to. */
export interface FirstName {
  readonly directory: HeldDirectory;
  readonly name: Uint8Array;
  readonly path: Uint8Array;
}

/** Entries of one directory. */
export interface UnitDirectory {
  readonly held: HeldDirectory;
  readonly catalog: DirectoryId;
  /** Relative to the source, for people. */
  readonly path: Uint8Array;
  /** Nothing stood in it when this run came to it. */
  readonly isBare: boolean;
  /** What is made in it is this user's and this group's and has no attributes. */
  readonly isPlain: boolean;
  /** Nobody else can exchange what stands in it. */
  readonly isPrivate: boolean;
  /** Two names may mean one entry. */
  readonly folds: boolean;
  /** Its file system may keep other modes and times than it is given. */
  readonly isCoarse: boolean;
  /** Joined by slashes. */
  readonly names: Uint8Array;
  /** By place in `names`: hard links to what stands already. */
  readonly firsts: readonly (readonly [place: number, first: FirstName])[];
}

export interface EntriesRequest {
  readonly kind: 'entries';
  readonly directories: readonly UnitDirectory[];
  /** For names of temporary files: two requests under way never have the same. */
  readonly slot: number;
  /** For all of these entries. */
  readonly trust: readonly Trust[];
  readonly supply: Supply | undefined;
}

/** A stretch of a large file. */
export interface PieceRequest {
  readonly kind: 'piece';
  readonly descriptor: number;
  readonly path: Uint8Array;
  readonly offset_bytes: number;
  /** 32 bytes for each segment; zeros for holes. */
  readonly ids: Uint8Array;
  /** Of each segment; negative for holes. */
  readonly sizes_bytes: readonly number[];
  /** `change` writes what differs, `compare` only says whether something does. */
  readonly does: 'write' | 'change' | 'compare';
  readonly supply: Supply | undefined;
}

export type Request = EntriesRequest | PieceRequest;

export interface Problem {
  readonly path: Uint8Array;
  readonly error: PlainError;
}

export interface Warning {
  readonly group: string;
  readonly message: string;
}

export interface EntriesResponse {
  readonly kind: 'entries';
  readonly files: number;
  readonly others: number;
  /** Of `files`. */
  readonly alreadyRight: number;
  /** Of all: owner, mode, time or attributes, or that it is a hard link, could not be put back. */
  readonly inexact: number;
  readonly written_bytes: number;
  /** Something else stands there and stays. */
  readonly conflicts: readonly Uint8Array[];
  readonly failed: readonly Problem[];
  /** By directory and place in its names: nothing was done, because a block is not to be had here. */
  readonly unread: readonly (readonly [directory: number, place: number])[];
  readonly warnings: readonly Warning[];
}

export interface PieceResponse {
  readonly kind: 'piece';
  /** Of `compare`: everything is as it should be. */
  readonly isSame: boolean;
  readonly written_bytes: number;
  /** A block is not to be had here; what was written so far does not matter. */
  readonly isUnread: boolean;
  /** Why the file cannot be put back. */
  readonly error: PlainError | undefined;
}

export type Response = EntriesResponse | PieceResponse;
