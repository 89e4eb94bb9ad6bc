// The directories of the target that something is still put back in: made, met, and given their own attributes once everything
// below them is done. Holds only those that are not complete. Main thread only.

import fs from 'node:fs';
import type { CatalogReader, DirectoryId } from '../catalog/types.js';
import type { Entry } from '../manifest/types.js';
import { makeDirectoryIn, pathIn, removeIn } from '../posix/at.js';
import { setMode } from '../posix/attributes.js';
import { errorCode } from '../posix/libc.js';
import { getXattr } from '../posix/xattr.js';
import type { Attributes } from './attributes.js';
import { explain, isOfOneEntry } from './failure.js';
import type { Journal } from './journal.js';
import { isPartialName, isTemporaryName } from './names.js';
import type { PlannedRow } from './plan.js';
import type { Target, TargetDirectory } from './target.js';
import type { RrbackupError } from '../errors/index.js';

export interface Frame {
  readonly parent: Frame | undefined;
  readonly directory: TargetDirectory;
  readonly row: PlannedRow;
  readonly catalog: DirectoryId;
  readonly path: Buffer;
  /** Made by this run: nothing stands in it. */
  readonly isNew: boolean;
  /** What is made in it is this user's and this group's and has no attributes. */
  readonly isPlain: boolean;
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
  readonly attributes: Attributes;
  /** In the target itself; goes when everything is done. */
  readonly journal: Journal | undefined;
  onComplete(path: Buffer): void;
  /** Something else stands there and stays. */
  onConflict(path: Buffer, row: PlannedRow): void;
  onFailed(path: Buffer, row: PlannedRow, error: RrbackupError): void;
}

const ownerRights = 0o700;
const defaultAcl = Buffer.from('system.posix_acl_default');

export class Directories {
  readonly #options: DirectoriesOptions;

  constructor(options: DirectoriesOptions) {
    this.#options = options;
  }

  /** Undefined if something else stands there: nothing below it is touched. */
  enter(parent: Frame | undefined, path: Buffer, row: PlannedRow, isParent: boolean): Frame | undefined {
    const { target, replaces, onConflict } = this.#options;
    const directory = parent?.directory.child(row.name) ?? target.root;
    let isNew = target.isNew;
    let mode: number | undefined;
    if (parent !== undefined) {
      const made = this.#make(parent, row, replaces);
      if (made === 'taken') {
        onConflict(path, row);
        return undefined;
      }
      isNew = made === 'new';
      if (made === 'there') mode = openUp(directory);
    }
    const hasPartials = !isNew && this.#removeLeftovers(directory, row.directory!);
    const isOurs = isNew || (!isParent && (parent !== undefined || this.#holdsOnlyOurs(row)));
    // What is made in a plain directory is plain.
    const isPlain = (isNew && parent?.isPlain === true) || isPlainDirectory(directory);
    const catalog = row.directory!;
    const kinds = { isNew, isPlain, isOurs, hasPartials };
    const frame = { parent, directory, row, catalog, path, ...kinds, mode, left: 1 };
    if (parent !== undefined) parent.left++;
    return frame;
  }

  #make(parent: Frame, row: PlannedRow, replaces: boolean): 'new' | 'there' | 'taken' {
    const held = parent.directory.held();
    if (!parent.isNew) {
      const stats = fs.lstatSync(pathIn(held, row.name), { throwIfNoEntry: false });
      if (stats?.isDirectory() === true) return 'there';
      if (stats !== undefined && !replaces) return 'taken';
      if (stats !== undefined) removeIn(held, row.name);
    }
    makeDirectoryIn(held, row.name, ownerRights);
    return 'new';
  }

  /** One thing in the directory, or the walk through it, is done. Throws what concerns the whole target. */
  done(frame: Frame): void {
    for (let at: Frame | undefined = frame; at !== undefined && --at.left === 0; at = at.parent)
      this.#complete(at);
  }

  #complete(frame: Frame): void {
    const { parent, directory, path, row, isOurs, isPlain, isNew, hasPartials, mode } = frame;
    const { attributes, journal, onComplete, onFailed } = this.#options;
    try {
      if (parent === undefined) journal?.remove();
      if (hasPartials) this.#removeLeftovers(directory, row.directory!, { withPartials: true });
      const access = directory.self();
      const { isWhole, descriptor } = directory.held();
      // Attributes that a directory has from its parent, it has only where the parent has default ones.
      const made = { access, path, entry: this.#entryOf(frame), isPlain: isNew && isPlain };
      if (isOurs) attributes.apply(isWhole ? { ...made, descriptor } : made);
      else if (mode !== undefined) setMode(access, mode);
      directory.release();
      onComplete(path);
    } catch (error) {
      directory.release();
      if (!isOfOneEntry(error)) throw explain(path, error);
      onFailed(path, row, explain(path, error));
    }
  }

  #entryOf({ parent, row }: Frame): Entry {
    if (parent === undefined) return this.#options.root;
    return this.#options.catalog.lookup(parent.catalog, row.name, this.#options.sequence)!.entry;
  }

  /** Of a restore that was killed; true if parts of large files are there, which are gone on with first. */
  #removeLeftovers(directory: TargetDirectory, id: DirectoryId, { withPartials = false } = {}): boolean {
    const { catalog, sequence } = this.#options;
    let hasPartials = false;
    for (const name of fs.readdirSync(directory.self(), { encoding: 'buffer' })) {
      if (!isTemporaryName(name) || this.#isJournal(directory, name)) continue;
      if (catalog.lookup(id, name, sequence) !== undefined) continue;
      if (isPartialName(name) && !withPartials) hasPartials = true;
      else removeIn(directory.held(), name);
    }
    return hasPartials;
  }

  /**
   * Whether the target itself, which was there before, holds nothing that is not of this version: then it is the place for
   * it and gets its attributes. A home or /tmp that somebody restores into keeps its own.
   */
  #holdsOnlyOurs(root: PlannedRow): boolean {
    const { catalog, sequence, target } = this.#options;
    const names = fs.readdirSync(target.root.self(), { encoding: 'buffer' });
    return names.every(
      (name) => catalog.lookup(root.directory!, name, sequence) !== undefined || isTemporaryName(name),
    );
  }

  #isJournal(directory: TargetDirectory, name: Buffer): boolean {
    return directory.parent === undefined && this.#options.journal?.name.equals(name) === true;
  }
}

/** Lets us write into a directory of ours that forbids it; returns the mode to put back. */
function openUp(directory: TargetDirectory): number | undefined {
  const access = directory.self();
  const mode = fs.lstatSync(access).mode & 0o7777;
  if ((mode & ownerRights) === ownerRights || process.geteuid?.() === 0) return undefined;
  setMode(access, mode | ownerRights);
  return mode;
}

function isPlainDirectory(directory: TargetDirectory): boolean {
  const access = directory.self();
  const { uid, gid } = fs.lstatSync(access);
  if (uid !== process.geteuid?.() || gid !== process.getegid?.()) return false;
  try {
    return getXattr(access, defaultAcl) === undefined;
  } catch (error) {
    // A file system without them.
    return errorCode(error) === 'ENOTSUP';
  }
}
