// What a comparison is asked about, and whom it tells what it finds.

import type { DirectoryCursor, DirectoryId } from '../catalog/types.js';
import type { HeldEntry, OpenDirectory } from '../posix/directory.js';
import type { NameList } from '../posix/name-list.js';
import type { FileStatus } from '../posix/status.js';

/**
 * A directory that is still to be compared. `scan`: with what is on the disk. `removed`: it is gone, and all that lay below it.
 * `kept`: it cannot be seen, and stays as it was. Plain data, so that any thread may go on with it.
 */
export interface Place {
  readonly kind: 'scan' | 'removed' | 'kept';
  /** Relative to the source; '' is its root, whose own entry is compared too. */
  readonly path: Uint8Array;
  /** What stood there in the previous version, if that was a directory. */
  readonly directory: DirectoryId | undefined;
  /** What it was when it was listed: nothing else is entered by its path. Undefined for the root, which is held open. */
  readonly seen?: SeenDirectory;
  /** It lies on another file system than the directory above it; or it is the root. */
  readonly isTop: boolean;
  /** Of a top below the root: the device of the directory above it, on which it stands once it is unmounted. */
  readonly above?: Device;
  readonly rest?: Rest;
}

/** What is left of a directory: these names (as in NameList), and of previous entries those between them and behind `after`. */
export interface Rest {
  readonly names: Uint8Array;
  readonly after: Uint8Array;
  /** Previous entries behind the last name belong to it, too. */
  readonly isEnd: boolean;
}

export const rootPlace: Place = {
  kind: 'scan',
  path: new Uint8Array(0),
  directory: undefined,
  isTop: true,
};

export type Device = Pick<FileStatus, 'deviceHigh' | 'deviceLow'>;

/** Enough of a directory's status to know it again. */
export type SeenDirectory = Device &
  Pick<FileStatus, 'inodeHigh' | 'inodeLow' | 'mode' | 'uid' | 'gid' | 'ctime_s' | 'ctimeRest_ns'>;

/** What the catalog knows of an entry. */
export type Previous = Pick<DirectoryCursor, 'status' | 'directory' | 'entry'>;

/** An entry as it is on the disk; valid during the call only. */
export interface Found {
  readonly path: Buffer;
  readonly status: FileStatus;
  /** Of a symlink; else empty. */
  readonly target: Buffer;
  readonly directory: OpenDirectory;
  /** What `directory` is. */
  readonly within: SeenDirectory;
  /** Undefined for the root, which is `directory` itself. */
  readonly at: { readonly names: NameList; readonly index: number } | undefined;
  /** The entry itself, for what its status does not tell; undefined for files and the root. */
  readonly held: HeldEntry | undefined;
}

/** Told what a directory holds, in path order; what is below a place belongs where `below` was called. */
export interface Findings {
  /** A file whose content must be read; or something with another type, target or device number than before. */
  changed(found: Found, previous: Previous): void;
  /** Anything but a file: only its attributes differ. */
  metadata(found: Found, previous: Previous): void;
  added(found: Found): void;
  removed(path: Buffer, previous: Previous): void;
  unchanged(previous: Previous): void;
  /** Below or at something unreadable: stays as it was. */
  kept(previous: Previous): void;
  /** For the user, and for the exit status. */
  unreadable(path: Buffer, reason: string): void;
  below(place: Place): void;
  /** Once everything before is done, a file system with this device must still stand at the path: else it went away meanwhile. */
  stillThere(path: Buffer, device: Device): void;
  /** Asked between two entries: true leaves the rest of the directory to somebody else, as a place below. */
  isEnough(): boolean;
}
