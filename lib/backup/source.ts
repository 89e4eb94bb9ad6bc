// Opening a source, and whether it may be backed up at all: a disk that is not mounted must never become an empty version, and a
// symlink that somebody else has put in its way must never bring other people's files into one.

import fs from 'node:fs';
import { printable } from '../bytes/path.js';
import type { CatalogEntry } from '../catalog/types.js';
import { RrbackupError } from '../errors/index.js';
import type { PassedLink } from '../posix/beneath.js';
import { closeFile, type HeldRoot, holdRoot, OpenDirectory } from '../posix/directory.js';
import { errorCode, reasonOf } from '../posix/libc.js';
import { userName } from '../posix/names.js';
import type { SourceConfiguration } from '../repository/types.js';

const slash = 0x2f;

export function withoutTrailingSlash(path: Uint8Array): Buffer {
  let end = path.length;
  while (end > 1 && path[end - 1] === slash) end--;
  return Buffer.from(path.subarray(0, end));
}

/** What a caller accepts of a source. */
export interface SourceOptions {
  /** It is an empty directory. */
  readonly allowEmpty?: boolean;
  /** It is reached through another user's symlink, or is a symlink where it was a directory in the version before. */
  readonly allowSymlink?: boolean;
}

/** A source's directory, held open for a run: all that the run reads is opened from it. */
export class OpenSource {
  readonly root: HeldRoot;
  readonly #source: SourceConfiguration;
  readonly #options: SourceOptions;
  readonly #links: readonly PassedLink[];
  #isOpen = true;

  /** Throws 'backup.source_missing', 'backup.source_unreadable', 'backup.source_foreign_symlink' or 'backup.source_empty'. */
  constructor(source: SourceConfiguration, options: SourceOptions) {
    this.#source = source;
    this.#options = options;
    const path = withoutTrailingSlash(Buffer.from(source.path));
    let isEmpty: boolean;
    try {
      const { root, links } = holdRoot(path);
      this.root = root;
      this.#links = links;
    } catch (error) {
      throw cannotOpen(source, path, error);
    }
    try {
      this.#checkLinks();
      isEmpty = new OpenDirectory(this.root).isEmpty();
    } catch (error) {
      this.close();
      throw error instanceof RrbackupError ? error : cannotOpen(source, path, error);
    }
    if (!isEmpty || options.allowEmpty === true) return;
    this.close();
    throw refused({
      code: 'backup.source_empty',
      message: `the source ${source.name} (${source.path}) is empty, so no version of it was made`,
      guidance: 'is its disk mounted? If it is meant to be empty, run rrbackup backup --allow-empty',
    });
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  close(): void {
    if (this.#isOpen) closeFile(this.root.descriptor);
    this.#isOpen = false;
  }

  /**
   * Whoever owns a symlink decides what is read. That may be root, the caller, or who owns the directory behind it and could as well
   * have put its files in front.
   */
  #checkLinks(): void {
    if (this.#options.allowSymlink === true) return;
    const trusted = [0, process.geteuid?.()];
    for (const { path, target, owner, ownerOfTarget } of this.#links) {
      if (trusted.includes(owner) || owner === ownerOfTarget) continue;
      const { name, path: given } = this.#source;
      throw refused({
        code: 'backup.source_foreign_symlink',
        message: `the source ${name} (${given}) is reached through the symlink ${printable(path)}, which belongs to ${userName(owner) ?? `user ${owner}`} and leads to ${printable(target)}, so no version was made`,
        guidance: `name the directory itself in the configuration; or, if you trust the symlink, ${accept}`,
      });
    }
  }

  /**
   * Throws 'backup.source_is_symlink' if another directory than in the version before, whose root this is, stands behind a symlink
   * in the source's last place.
   */
  checkReplaced(before: CatalogEntry | undefined): void {
    const link = this.#links.find(({ isLast }) => isLast);
    if (before === undefined || link === undefined || this.#options.allowSymlink === true) return;
    const { ino } = fs.fstatSync(this.root.descriptor, { bigint: true });
    if (ino === before.entry.inode) return;
    const { name, path } = this.#source;
    throw refused({
      code: 'backup.source_is_symlink',
      message: `the source ${name} (${path}) is a symlink to ${printable(link.target)}, and the version before was made of another directory, so no version was made`,
      guidance: `if nobody was meant to put a symlink there, find out who did; if the directory has moved, ${accept}`,
    });
  }
}

const accept = 'run rrbackup backup --allow-symlink once';

function refused(of: {
  readonly code: string;
  readonly message: string;
  readonly guidance: string;
}): RrbackupError {
  return new RrbackupError({ kind: 'failure', ...of });
}

function cannotOpen(source: SourceConfiguration, path: Buffer, error: unknown): RrbackupError {
  if (errorCode(error) === 'EACCES') return sourceUnreadable(path, error);
  return new RrbackupError({
    code: 'backup.source_missing',
    kind: 'failure',
    message: `the source ${source.name} cannot be backed up: ${source.path}: ${reasonOf(error)}`,
    guidance:
      'is its disk mounted? Check the path in the configuration; the versions made before are untouched',
    cause: error,
  });
}

export function sourceUnreadable(root: Buffer, cause: unknown): RrbackupError {
  return new RrbackupError({
    code: 'backup.source_unreadable',
    kind: 'failure',
    message: `the source ${printable(root)} cannot be listed: ${reasonOf(cause)}`,
    guidance: 'run the backup as a user who may read it',
    cause,
  });
}

export function sourceIsOurs(root: Buffer): RrbackupError {
  return new RrbackupError({
    code: 'backup.source_is_repository',
    kind: 'usage',
    message: `the source ${printable(root)} is where rrbackup keeps its own data`,
    guidance: 'name another directory as the source',
  });
}

/** An unmounted disk leaves an empty directory behind: what is not found there was not deleted. */
export function sourceWentAway(absolute: Buffer): RrbackupError {
  return new RrbackupError({
    code: 'backup.source_went_away',
    kind: 'failure',
    message: `${printable(absolute)} went away while it was backed up, so no version was made`,
    guidance: 'is its disk still mounted? Run the backup again',
  });
}
