// Whether an entry is what the catalog knows, by what the file system says of it without reading it.

import { ByteWriter } from '../bytes/cursor.js';
import type { CatalogEntry } from '../catalog/types.js';
import { encodeEntry } from '../manifest/entry.js';
import { decodeStatus, MutableStatus, type SourceStatus } from '../manifest/status.js';
import type { OpenDirectory } from '../posix/directory.js';
import type { FileStatus } from '../posix/status.js';
import type { Found, Previous, SeenDirectory } from './findings.js';
import { typeOf } from './status-entry.js';

export function isSameState(now: FileStatus, before: SourceStatus): boolean {
  return (
    now.ctime_s === before.ctime_s &&
    now.ctimeRest_ns === before.ctimeRest_ns &&
    now.mtime_s === before.mtime_s &&
    now.mtimeRest_ns === before.mtimeRest_ns &&
    now.inodeLow === before.inodeLow &&
    now.inodeHigh === before.inodeHigh &&
    typeOf(now.mode) === before.type &&
    (before.type !== 'file' || now.size_bytes === before.size_bytes)
  );
}

export function seenOf(status: FileStatus): SeenDirectory {
  const { deviceHigh, deviceLow, inodeHigh, inodeLow, mode, uid, gid, ctime_s, ctimeRest_ns } = status;
  return { deviceHigh, deviceLow, inodeHigh, inodeLow, mode, uid, gid, ctime_s, ctimeRest_ns };
}

/**
 * Whether an open directory, whose status is `now`, is the one that was listed. Where inode numbers do not last, owners, mode and
 * ctime tell, which nobody can set to another user's.
 */
export function isSameDirectory(directory: OpenDirectory, now: FileStatus, seen: SeenDirectory): boolean {
  if (now.isSameInode(seen)) return true;
  return (
    now.isSameDevice(seen) &&
    now.ctime_s === seen.ctime_s &&
    now.ctimeRest_ns === seen.ctimeRest_ns &&
    now.mode === seen.mode &&
    now.uid === seen.uid &&
    now.gid === seen.gid &&
    directory.hasPassingInodes()
  );
}

/** Of anything but a file: only its attributes may differ. */
export function isSameThing({ status, target }: Found, previous: Previous): boolean {
  const before = previous.status;
  const type = typeOf(status.mode);
  if (type === 'file' || type !== before.type) return false;
  if (type === 'symlink') return target.equals(previous.entry().entry.target);
  const isDevice = type === 'character-device' || type === 'block-device';
  return !isDevice || (status.rdevMajor === before.rdevMajor && status.rdevMinor === before.rdevMinor);
}

/** What the catalog's cursor would show of the entry. */
export function statusOf({ entry }: CatalogEntry): SourceStatus {
  const writer = new ByteWriter();
  encodeEntry(writer, entry);
  const status = new MutableStatus();
  decodeStatus(writer.view(), 0, status);
  return status;
}

// Linux stamps files with the time of the last clock tick (up to 10 ms ago); some file systems keep two-second times.
const tick_ns = 10_000_000;
const coarseTick_ns = 2_000_000_000;
const second_ns = 1_000_000_000n;

/** When the scan of a version began. */
export class ScanStart {
  readonly #s: number;
  readonly #rest_ns: number;

  constructor(started_ns: bigint) {
    this.#s = Number(started_ns / second_ns);
    this.#rest_ns = Number(started_ns % second_ns);
  }

  /** Whether a file may have been written to after that scan had read it, without its times telling. */
  isTooFresh({ ctime_s, ctimeRest_ns }: FileStatus): boolean {
    const margin_ns = ctimeRest_ns === 0 ? coarseTick_ns : tick_ns;
    const ahead_ns = (ctime_s - this.#s) * 1e9 + (ctimeRest_ns - this.#rest_ns);
    return ahead_ns + margin_ns >= 0;
  }
}
