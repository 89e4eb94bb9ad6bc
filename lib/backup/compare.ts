// What of a source differs from its newest version: one directory at a time, a merge of two sorted lists, its names and the
// catalog's entries. Holds neither tree, reads no file. What cannot be read counts as it was: what is not known may not look
// like what is not there.

import { joinPath } from '../bytes/path.js';
import type { CatalogEntry, CatalogReader, DirectoryCursor, DirectoryId } from '../catalog/types.js';
import type { Entry } from '../manifest/types.js';
import {
  type HeldEntry,
  type HeldRoot,
  joinAbsolute,
  OpenDirectory,
  statusOfFile,
} from '../posix/directory.js';
import { errorCode, reasonOf } from '../posix/libc.js';
import { NameList } from '../posix/name-list.js';
import { FileStatus } from '../posix/status.js';
import { alone } from '../workers/alone.js';
import { cacheTagIn } from './cache-tag.js';
import type { Excludes } from './exclude.js';
import { replaced } from './file-reader.js';
import type { Findings, Found, Place, Previous, SeenDirectory } from './findings.js';
import type { Skipped } from './skipped.js';
import { sourceIsOurs, sourceUnreadable, sourceWentAway } from './source.js';
import { isSameDirectory, isSameState, isSameThing, ScanStart, seenOf, statusOf } from './same-state.js';
import { typeOf } from './status-entry.js';

export interface CompareOptions {
  /** The source, its path without a slash at its end. */
  readonly root: HeldRoot;
  readonly excludes: Excludes;
  /** Stay on the root's file system: a mount point below is kept as an empty directory. */
  readonly oneFileSystem: boolean;
  /** Of a directory with a valid CACHEDIR.TAG keep the directory and the tag only. */
  readonly excludeCaches: boolean;
  readonly skipped: Skipped;
  readonly catalog: Pick<CatalogReader, 'root' | 'cursor'>;
  readonly stream: string;
  /** The version to compare with; 0 for none: everything is added. */
  readonly previous: number;
  /**
   * When the previous version's scan began. A file whose ctime is not older than that (less what a clock tick hides) may
   * have been written again after it was read without its times telling: it has 'changed'.
   */
  readonly previousStarted_ns?: bigint;
  /** Of a file that looks unchanged: whether the repository still has its content. Default: it has. */
  isWhole?(entry: Entry): boolean;
  /** Which directory is open from now on; undefined: none. */
  onDescriptor?(fd: number | undefined): void;
}

const nothing: Buffer = Buffer.alloc(0);
/** So many places become of what is left of a directory at the most, so that all workers find some. */
const placesLeft = 8;

/** Compares directories of one source, one after another. */
export class Comparison {
  readonly #options: CompareOptions;
  readonly #status = new FileStatus();
  readonly #own = new FileStatus();
  readonly #rootDevice: FileStatus | undefined;
  readonly #started: ScanStart | undefined;

  constructor(options: CompareOptions) {
    this.#options = options;
    const { previousStarted_ns: started_ns } = options;
    this.#started = started_ns === undefined ? undefined : new ScanStart(started_ns);
    if (options.oneFileSystem) {
      this.#rootDevice = new FileStatus();
      statusOfFile(options.root.descriptor, this.#rootDevice);
    }
  }

  /** Tells `findings` all of a place but what lies in the directories below it. */
  compare(place: Place, findings: Findings): void {
    if (place.kind === 'scan') this.#scan(place, findings);
    else if (place.directory !== undefined) this.#previousOnly(place, place.directory, findings);
  }

  #previousOnly({ kind, path, rest }: Place, directory: DirectoryId, findings: Findings): void {
    const previous = this.#options.catalog.cursor(directory, this.#options.previous, rest?.after);
    const last = rest?.isEnd === false ? lastOf(NameList.of(rest.names)) : undefined;
    while (previous.next() && (last === undefined || previous.compareName(last) <= 0)) {
      this.#without(kind, path, previous, findings);
      if (!findings.isEnough()) continue;
      const after = alone(nameOf(previous));
      findings.below({ kind, path, directory, isTop: false, rest: { ...nothingElse, ...rest, after } });
      break;
    }
    previous.close();
  }

  /** A previous entry with nothing to compare it with. */
  #without(kind: Place['kind'], parent: Uint8Array, previous: DirectoryCursor, findings: Findings): void {
    const path = joinPath(parent, nameOf(previous));
    const isKept = kind === 'kept';
    if (isKept) findings.kept(previous);
    else findings.removed(path, previous);
    const { directory } = previous;
    if (directory !== undefined)
      findings.below({ kind: isKept ? 'kept' : 'removed', path: alone(path), directory, isTop: false });
  }

  #scan(place: Place, findings: Findings): void {
    const { root, onDescriptor } = this.#options;
    const path = asBuffer(place.path);
    const isRoot = path.length === 0;
    const absolute = joinAbsolute(root.path, path);
    let directory: OpenDirectory;
    try {
      directory = new OpenDirectory(root, path, this.#own);
    } catch (error) {
      if (isRoot) throw sourceUnreadable(root.path, error);
      if (place.isTop && isGone(error)) throw sourceWentAway(absolute);
      this.#unreachable(place, path, error, findings);
      return;
    }
    onDescriptor?.(directory.descriptor);
    try {
      if (place.above !== undefined && this.#own.isSameDevice(place.above)) throw sourceWentAway(absolute);
      if (place.seen !== undefined && !isSameDirectory(directory, this.#own, place.seen)) {
        this.#leave(place, path, replaced, findings);
        return;
      }
      const own = seenOf(this.#own);
      const entry =
        isRoot && place.rest === undefined ? this.#rootEntry(directory, own, findings) : undefined;
      let names: NameList;
      try {
        names = place.rest === undefined ? this.#names(directory) : NameList.of(place.rest.names);
      } catch (error) {
        if (isRoot) throw sourceUnreadable(root.path, error);
        this.#unreachable(place, path, error, findings);
        return;
      }
      const before = isRoot ? (entry ?? this.#previousRoot())?.directory : place.directory;
      const hasSkipped = this.#options.skipped.hasPathIn(absolute);
      this.#merge({ path, absolute, directory, names, before, own, hasSkipped, rest: place.rest }, findings);
      if (place.isTop && place.rest === undefined) findings.stillThere(path, own);
    } finally {
      onDescriptor?.(undefined);
      directory.close();
    }
  }

  #unreachable(place: Place, path: Buffer, error: unknown, findings: Findings): void {
    if (!isGone(error)) this.#leave(place, path, wasExchanged(error) ? replaced : reasonOf(error), findings);
    else if (place.directory !== undefined) findings.below({ ...place, kind: 'removed', isTop: false });
  }

  /** It stays as it was in the version before, or empty. */
  #leave(place: Place, path: Buffer, reason: string, findings: Findings): void {
    findings.unreadable(path, reason);
    if (place.directory !== undefined) findings.below({ ...place, kind: 'kept', isTop: false });
  }

  #names(directory: OpenDirectory): NameList {
    const names = directory.names();
    const tag = this.#options.excludeCaches ? cacheTagIn(directory, names) : undefined;
    return tag === undefined ? names : NameList.of(names.slice(tag, tag + 1));
  }

  #previousRoot(): CatalogEntry | undefined {
    const { catalog, stream, previous } = this.#options;
    return previous === 0 ? undefined : catalog.root(stream, previous);
  }

  #rootEntry(directory: OpenDirectory, within: SeenDirectory, findings: Findings): CatalogEntry | undefined {
    const { root, skipped } = this.#options;
    const status = this.#own;
    if (skipped.hasPlace(status) || skipped.hasPath(root.path)) throw sourceIsOurs(root.path);
    const entry = this.#previousRoot();
    const none = { at: undefined, held: undefined };
    const found = { path: nothing, status, target: nothing, directory, within, ...none };
    if (entry === undefined) findings.added(found);
    else {
      const previous = { status: statusOf(entry), directory: entry.directory, entry: () => entry };
      if (isSameState(status, previous.status)) findings.unchanged(previous);
      else findings.metadata(found, previous);
    }
    return entry;
  }

  #merge(level: Level, findings: Findings): void {
    const { names, before, rest } = level;
    const { catalog, previous: sequence } = this.#options;
    const previous = before === undefined ? undefined : catalog.cursor(before, sequence, rest?.after);
    let isThere = previous?.next() ?? false;
    for (let index = 0; index < names.count; index++) {
      if (index > 0 && findings.isEnough()) {
        previous?.close();
        this.#defer(level, index, names.name(index - 1), findings);
        return;
      }
      let order = 1;
      while (isThere && (order = compareName(previous!, names, index)) < 0) {
        this.#without('removed', level.path, previous!, findings);
        if (findings.isEnough()) {
          const after = alone(nameOf(previous!));
          previous!.close();
          this.#defer(level, index, after, findings);
          return;
        }
        isThere = previous!.next();
      }
      const isKnown = isThere && order === 0;
      this.#entry(level, index, isKnown ? previous : undefined, findings);
      if (isKnown) isThere = previous!.next();
    }
    previous?.close();
    if (!isThere || rest?.isEnd === false) return;
    const after = names.count > 0 ? alone(lastOf(names)) : (rest?.after ?? nothing);
    const left = { path: level.path, directory: before, isTop: false, rest: { ...nothingElse, after } };
    this.#previousOnly({ kind: 'removed', ...left }, before!, findings);
  }

  /** The names from `index` on become places of their own, of about as many as it took to be enough. */
  #defer(
    { path, names, before, own, rest }: Level,
    index: number,
    after: Uint8Array,
    findings: Findings,
  ): void {
    const step = Math.max(index, Math.ceil((names.count - index) / placesLeft));
    for (let from = index; from < names.count; from += step) {
      const to = Math.min(from + step, names.count);
      const left = {
        names: names.slice(from, to),
        after: alone(from === index ? after : names.name(from - 1)),
        isEnd: to === names.count && rest?.isEnd !== false,
      };
      findings.below({ kind: 'scan', path, directory: before, seen: own, isTop: false, rest: left });
    }
  }

  #entry(level: Level, index: number, previous: DirectoryCursor | undefined, findings: Findings): void {
    const { names, directory } = level;
    const { excludes, skipped } = this.#options;
    const status = this.#status;
    const pathOf = (): Buffer => joinPath(level.path, names.name(index));
    let isThere: boolean;
    try {
      isThere = directory.look(names, index, status);
    } catch (error) {
      const path = pathOf();
      if (excludes.excludes(path, false) || excludes.excludes(path, true)) {
        if (previous !== undefined) this.#without('removed', level.path, previous, findings);
        return;
      }
      findings.unreadable(path, reasonOf(error));
      if (previous !== undefined) this.#without('kept', level.path, previous, findings);
      return;
    }
    const isDirectory = isThere && typeOf(status.mode) === 'directory';
    const isLeftOut =
      !isThere ||
      (!excludes.isEmpty && excludes.excludes(pathOf(), isDirectory)) ||
      skipped.hasPlace(status) ||
      (level.hasSkipped && skipped.hasPath(joinAbsolute(level.absolute, names.name(index))));
    if (isLeftOut) {
      if (previous !== undefined) this.#without('removed', level.path, previous, findings);
      return;
    }
    if (previous !== undefined && this.#isUnchanged(status, previous)) findings.unchanged(previous);
    else {
      const path = pathOf();
      const outcome = this.#differs(level, index, path, previous, findings);
      if (outcome !== 'told') {
        if (outcome !== 'gone') findings.unreadable(path, outcome.reason);
        const kind = outcome === 'gone' ? 'removed' : 'kept';
        if (previous !== undefined) this.#without(kind, level.path, previous, findings);
        return;
      }
    }
    const before = previous?.directory;
    const isEntered =
      isDirectory && (this.#rootDevice === undefined || status.isSameDevice(this.#rootDevice));
    if (isEntered) {
      const isTop = !status.isSameDevice(level.own);
      const above = isTop ? { above: level.own } : {};
      const place = { path: alone(pathOf()), directory: before, seen: seenOf(status) };
      findings.below({ kind: 'scan', ...place, isTop, ...above });
    } else if (before !== undefined) {
      findings.below({ kind: 'removed', path: alone(pathOf()), directory: before, isTop: false });
    }
  }

  /** By what the file system says. ctime moves with mode, owner, links and xattrs, so these need no look of their own. */
  #isUnchanged(now: FileStatus, previous: DirectoryCursor): boolean {
    const { status: before } = previous;
    if (!isSameState(now, before)) return false;
    if (before.type !== 'file') return true;
    const { isWhole } = this.#options;
    return (
      this.#started?.isTooFresh(now) !== true && (isWhole === undefined || isWhole(previous.entry().entry))
    );
  }

  /** Tells of an entry, unless it has vanished meanwhile, or cannot be looked into: why, for people. */
  #differs(
    { directory, names, own: within }: Level,
    index: number,
    path: Buffer,
    previous: DirectoryCursor | undefined,
    findings: Findings,
  ): 'told' | 'gone' | { readonly reason: string } {
    const status = this.#status;
    const type = typeOf(status.mode);
    const found = { path, status, target: nothing, directory, within, at: { names, index }, held: undefined };
    if (type === 'file') {
      tell(found, previous, findings);
      return 'told';
    }
    let held: HeldEntry | undefined;
    try {
      held = directory.hold(names, index, status);
      if (type === 'symlink') found.target = held?.readlink() ?? nothing;
    } catch (error) {
      held?.close();
      return isGone(error) ? 'gone' : { reason: reasonOf(error) };
    }
    if (held === undefined) return { reason: replaced };
    try {
      tell({ ...found, held }, previous, findings);
    } finally {
      held.close();
    }
    return 'told';
  }
}

function tell(found: Found, previous: Previous | undefined, findings: Findings): void {
  if (previous === undefined) findings.added(found);
  else if (isSameThing(found, previous)) findings.metadata(found, previous);
  else findings.changed(found, previous);
}

interface Level {
  readonly path: Buffer;
  readonly absolute: Buffer;
  readonly directory: OpenDirectory;
  readonly names: NameList;
  /** The same directory in the catalog. */
  readonly before: DirectoryId | undefined;
  /** What `directory` is. */
  readonly own: SeenDirectory;
  /** Paths of ours lie in it or below. */
  readonly hasSkipped: boolean;
  readonly rest: Place['rest'];
}

function compareName(previous: DirectoryCursor, names: NameList, index: number): number {
  const { nameBytes, nameStart, nameEnd } = previous;
  const { bytes } = names;
  const start = names.start(index);
  const length = names.start(index + 1) - 1 - start;
  const shared = Math.min(nameEnd - nameStart, length);
  for (let at = 0; at < shared; at++) {
    const difference = nameBytes[nameStart + at]! - bytes[start + at]!;
    if (difference !== 0) return difference;
  }
  return nameEnd - nameStart - length;
}

/** Of a directory only previous entries are left, to its end. */
const nothingElse = { names: nothing, isEnd: true };

const lastOf = (names: NameList): Buffer => names.name(names.count - 1);

const nameOf = ({ nameBytes, nameStart, nameEnd }: DirectoryCursor): Uint8Array =>
  nameBytes.subarray(nameStart, nameEnd);

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function isGone(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ENOENT';
}

/** A directory was listed: now it is a symlink or a file, or one of these stands on the way to it. */
function wasExchanged(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ELOOP' || code === 'ENOTDIR' || code === 'EXDEV';
}
