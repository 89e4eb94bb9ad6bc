// The directories of the target that something is still put back in: made, met, and given their own attributes once everything
// below them is done. Holds only those that are not complete. Main thread only.

import fs from 'node:fs';
import type { CatalogReader, DirectoryId } from '../catalog/types.js';
import type { Entry } from '../manifest/types.js';
import { type HeldDirectory, makeDirectoryIn, removeIn } from '../posix/at.js';
import { setModeOf } from '../posix/attributes.js';
import { release, statusOf } from '../posix/inode.js';
import { errorCode } from '../posix/libc.js';
import { getXattr } from '../posix/xattr.js';
import type { Attributes } from './attributes.js';
import { holdStanding } from './existing.js';
import { exchanged, explain, foreignDirectory, isOfOneEntry, sameName } from './failure.js';
import { changesAttributes, Folding, foldsNames } from './file-system.js';
import type { Journal } from './journal.js';
import { isPartialName, isTemporaryName } from './names.js';
import type { PlannedRow } from './plan.js';
import { inodeOf, type Target, type TargetDirectory } from './target.js';
import { isTrustedUser } from './target-path.js';
import type { RrbackupError } from '../errors/index.js';

export interface Frame {
  readonly parent: Frame | undefined;
  readonly directory: TargetDirectory;
  readonly row: PlannedRow;
  readonly catalog: DirectoryId;
  readonly path: Buffer;
  /** Made by this run: nothing stands in it. */
  readonly isNew: boolean;
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
  /** Its attributes are put back when it is complete. */
  readonly isOurs: boolean;
  /** An interrupted run has left parts of large files in it. */
  readonly hasPartials: boolean;
  /** To be put back where they are not. */
  readonly mode: number | undefined;
  /** What is still to be done in it, the walk through it included. */
  left: number;
}

export interface DirectoriesOptions {
  readonly catalog: Pick<CatalogReader, 'lookup'>;
  readonly root: Entry;
  readonly sequence: number;
  readonly target: Target;
  readonly replaces: boolean;
  /** Into directories that belong to somebody else, too. */
  readonly intoForeign: boolean;
  readonly attributes: Attributes;
  /** In the target itself; goes when everything is done. */
  readonly journal: Journal | undefined;
  onComplete(path: Buffer): void;
  /** Something else stands there and stays. */
  onConflict(path: Buffer, row: PlannedRow): void;
  /** It lacks something of what the version says, which `attributes` tells. */
  onInexact(): void;
  /** It stood before, and it would not be safe to give it the version's attributes. */
  onKept(path: Buffer): void;
  onFailed(path: Buffer, row: PlannedRow, error: RrbackupError): void;
}

const ownerRights = 0o700;
const othersMayWrite = 0o022n;
const defaultAcl = Buffer.from('system.posix_acl_default');

export class Directories {
  readonly #options: DirectoriesOptions;
  /** By device. */
  readonly #coarse = new Map<bigint, boolean>();

  constructor(options: DirectoriesOptions) {
    this.#options = options;
  }

  /** Undefined if something else stands there: nothing below it is touched. Throws what is wrong with this directory. */
  enter(parent: Frame | undefined, path: Buffer, row: PlannedRow, isParent: boolean): Frame | undefined {
    const { target, replaces, onConflict } = this.#options;
    const directory = parent?.directory.child(row.name) ?? target.root;
    const made = parent === undefined ? (target.isNew ? 'new' : 'there') : this.#make(parent, row, replaces);
    if (made === 'taken') {
      onConflict(path, row);
      return undefined;
    }
    const isNew = made === 'new';
    // Of a directory that is made in a private and plain one nothing has to be asked.
    const isSheltered = isNew && parent?.isPrivate === true;
    const stats = isSheltered && parent.isPlain ? undefined : statusOf(inodeOf(directory.held()));
    if (isNew && !isSheltered && parent !== undefined) refuseExchanged(directory, stats!);
    if (stats !== undefined && parent?.isPrivate === false) directory.expect(stats);
    const kinds = {
      isNew,
      isPlain: stats === undefined || isPlainDirectory(directory, stats),
      isPrivate: stats === undefined || isPrivateDirectory(stats),
      isCoarse: isNew && parent !== undefined ? parent.isCoarse : this.#isCoarse(directory, stats!),
      ...(isNew ? ofNew : this.#meet(parent, directory, path, row, isParent, stats!)),
    };
    const frame = { parent, directory, row, catalog: row.directory!, path, ...kinds, left: 1 };
    if (parent !== undefined) parent.left++;
    return frame;
  }

  #make(parent: Frame, row: PlannedRow, replaces: boolean): 'new' | 'there' | 'taken' {
    const held = parent.directory.held();
    if (!parent.isBare) {
      const standing = holdStanding(held, row.name);
      if (standing !== undefined) {
        release(standing.inode);
        if (parent.folds) this.#refuseFolded(parent, row, standing.stats);
        if (standing.stats.isDirectory()) return 'there';
        if (!replaces) return 'taken';
        removeIn(held, row.name);
      }
    }
    try {
      makeDirectoryIn(held, row.name, ownerRights);
    } catch (error) {
      throw errorCode(error) === 'EEXIST' && parent.isBare && (parent.isPrivate || parent.isCoarse)
        ? sameName()
        : error;
    }
    return 'new';
  }

  /** Asked once for each file system. */
  #isCoarse(directory: TargetDirectory, { dev }: fs.BigIntStats): boolean {
    const isCoarse = this.#coarse.get(dev) ?? changesAttributes(directory.held());
    this.#coarse.set(dev, isCoarse);
    return isCoarse;
  }

  #refuseFolded({ directory, catalog: id }: Frame, { name }: PlannedRow, stats: fs.BigIntStats): void {
    const { catalog, sequence } = this.#options;
    const isOfVersion = (other: Buffer): boolean => catalog.lookup(id, other, sequence) !== undefined;
    if (new Folding().isAnothers(directory.held(), name, stats, isOfVersion)) throw sameName();
  }

  /** A directory that stands already. Throws if it is not to be written into. */
  #meet(
    parent: Frame | undefined,
    directory: TargetDirectory,
    path: Buffer,
    row: PlannedRow,
    isParent: boolean,
    stats: fs.BigIntStats,
  ): Pick<Frame, 'isBare' | 'folds' | 'hasPartials' | 'isOurs' | 'mode'> {
    const { attributes, intoForeign, onKept } = this.#options;
    const entry = this.#entryOf({ parent, row });
    const isTrusted = attributes.isTrusted(stats, entry);
    if (parent !== undefined && !isTrusted && !isTrustedUser(stats.uid) && !intoForeign)
      throw foreignDirectory(stats.uid);
    const mode = openUp(directory, stats);
    const names = namesIn(directory);
    const holdsOnlyOurs = this.#holdsOnlyOurs(row, names);
    // Somebody may have moved a directory of root's there, to be given whatever else it holds.
    const isSafe = isTrusted && (holdsOnlyOurs || parent?.isPrivate === true || !givesAway(stats, entry));
    // The target itself was named by somebody who knows whose it is.
    if (parent !== undefined && !isParent && !isSafe) onKept(path);
    return {
      isBare: names.every((name) => this.#isJournal(directory, name)),
      folds: foldsNames(directory.held(), names),
      hasPartials: this.#removeLeftovers(directory, row.directory!, { stats, names }),
      isOurs: !isParent && isSafe && (parent !== undefined || holdsOnlyOurs),
      mode,
    };
  }

  /** One thing in the directory, or the walk through it, is done. Throws what concerns the whole target. */
  done(frame: Frame): void {
    for (let at: Frame | undefined = frame; at !== undefined && --at.left === 0; at = at.parent)
      this.#complete(at);
  }

  #complete(frame: Frame): void {
    const { parent, directory, path, row, isOurs, isPlain, isNew, hasPartials, mode, isCoarse } = frame;
    const { attributes, journal, onComplete, onFailed, onInexact } = this.#options;
    try {
      if (parent === undefined) journal?.remove();
      const inode = inodeOf(directory.held());
      if (hasPartials) {
        const standing = { stats: statusOf(inode), names: namesIn(directory) };
        this.#removeLeftovers(directory, row.directory!, standing, { withPartials: true });
      }
      // Attributes that a directory has from its parent, it has only where the parent has default ones.
      const made = { inode, path, entry: this.#entryOf(frame), isPlain: isNew && isPlain, isCoarse };
      if (isOurs) {
        if (!attributes.apply(made)) onInexact();
      } else if (mode !== undefined) setModeOf(inode, mode);
      directory.release();
      onComplete(path);
    } catch (error) {
      directory.release();
      if (!isOfOneEntry(error)) throw explain(path, error);
      onFailed(path, row, explain(path, error));
    }
  }

  #entryOf({ parent, row }: Pick<Frame, 'parent' | 'row'>): Entry {
    if (parent === undefined) return this.#options.root;
    return this.#options.catalog.lookup(parent.catalog, row.name, this.#options.sequence)!.entry;
  }

  /** Of a restore that was killed; true if parts of large files are there, which are gone on with first. */
  #removeLeftovers(
    directory: TargetDirectory,
    id: DirectoryId,
    { stats, names }: { readonly stats: fs.BigIntStats; readonly names: readonly Buffer[] },
    { withPartials = false } = {},
  ): boolean {
    const { catalog, sequence } = this.#options;
    let hasPartials = false;
    for (const name of names) {
      if (!isTemporaryName(name) || this.#isJournal(directory, name)) continue;
      if (catalog.lookup(id, name, sequence) !== undefined) continue;
      if (isPartialName(name) && !withPartials) hasPartials = true;
      else removeLeftover(directory.held(), name, stats);
    }
    return hasPartials;
  }

  /**
   * Whether a directory that was there before holds nothing that is not of this version: then it is the place for it, and a target
   * gets its attributes. A home or /tmp that somebody restores into keeps its own.
   */
  #holdsOnlyOurs({ directory }: PlannedRow, names: readonly Buffer[]): boolean {
    const { catalog, sequence } = this.#options;
    return names.every(
      (name) => catalog.lookup(directory!, name, sequence) !== undefined || isTemporaryName(name),
    );
  }

  #isJournal(directory: TargetDirectory, name: Buffer): boolean {
    return directory.parent === undefined && this.#options.journal?.name.equals(name) === true;
  }
}

const ofNew = { isBare: true, folds: false, hasPartials: false, isOurs: true, mode: undefined };

function namesIn(directory: TargetDirectory): Buffer[] {
  return fs.readdirSync(directory.self(), { encoding: 'buffer' });
}

/** Throws if what was made just now is not what stands there: somebody has exchanged it. */
function refuseExchanged(directory: TargetDirectory, { uid }: fs.BigIntStats): void {
  if (uid !== BigInt(process.geteuid?.() ?? -1) || namesIn(directory).length > 0) throw exchanged();
}

function givesAway({ uid }: fs.BigIntStats, entry: Entry): boolean {
  return process.geteuid?.() === 0 && uid !== BigInt(entry.uid);
}

/** What somebody else has given such a name stays, where it is not in a directory of theirs. */
function removeLeftover(held: HeldDirectory, name: Buffer, directory: fs.BigIntStats): void {
  const standing = holdStanding(held, name);
  if (standing === undefined) return;
  release(standing.inode);
  const { stats } = standing;
  const isOwn = stats.uid === BigInt(process.geteuid?.() ?? -1) || stats.uid === directory.uid;
  if (isOwn && !stats.isDirectory()) removeIn(held, name);
}

/** Lets us write into a directory of ours that forbids it; returns the mode to put back. */
function openUp(directory: TargetDirectory, stats: fs.BigIntStats): number | undefined {
  const mode = Number(stats.mode & 0o7777n);
  const isOwn = stats.uid === BigInt(process.geteuid?.() ?? -1);
  if ((mode & ownerRights) === ownerRights || !isOwn || process.geteuid?.() === 0) return undefined;
  setModeOf(inodeOf(directory.held()), mode | ownerRights);
  return mode;
}

/** Nobody but this user, and root, can exchange what stands in it. */
function isPrivateDirectory({ uid, mode }: fs.BigIntStats): boolean {
  return isTrustedUser(uid) && (mode & othersMayWrite) === 0n;
}

function isPlainDirectory(directory: TargetDirectory, { uid, gid }: fs.BigIntStats): boolean {
  if (uid !== BigInt(process.geteuid?.() ?? -1) || gid !== BigInt(process.getegid?.() ?? -1)) return false;
  try {
    return getXattr(inodeOf(directory.held()), defaultAcl) === undefined;
  } catch (error) {
    // A file system without them.
    return errorCode(error) === 'ENOTSUP';
  }
}
