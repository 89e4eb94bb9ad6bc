// The directory that a restore writes into. Every directory below it is opened through its parent's descriptor and never
// through a symlink, so no name in a version and nobody who swaps a directory meanwhile leads a write anywhere else.

import fs from 'node:fs';
import { LRUCache } from 'lru-cache';
import { printable } from '../bytes/path.js';
import { RrbackupError } from '../errors/index.js';
import {
  closeDescriptor,
  createIn,
  type HeldDirectory,
  openDirectoryIn,
  pathIn,
  removeIn,
} from '../posix/at.js';
import { tryLockDescriptor } from '../posix/flock.js';
import { type Inode, statusOf } from '../posix/inode.js';
import { errorCode, reasonOf } from '../posix/libc.js';
import { canAnchor } from '../posix/long-path.js';
import { endsRestore, exchanged, explain, foreignTarget, mayBeOfTarget } from './failure.js';
import { probeName } from './file-system.js';
import { closeTarget, isTrustedUser, reachTarget } from './target-path.js';

/**
 * Directories kept open beside those that are pinned; one that was closed is opened again by way of its parents.
 */
const openDirectories = 128;

const itself = Buffer.from('.');

/** `isWhole`: its own attributes can be changed by its descriptor. */
export interface OpenDirectory extends HeldDirectory {
  readonly isWhole: boolean;
}

interface ClosableDirectory extends OpenDirectory {
  close(): void;
}

export class Target {
  /** True if it was not there before. */
  readonly isNew: boolean;
  readonly root: TargetDirectory;
  readonly #anchors: LRUCache<TargetDirectory, ClosableDirectory>;
  readonly #pinned = new Map<TargetDirectory, { readonly anchor: ClosableDirectory; pins: number }>();
  readonly #path: string;
  readonly #rootAnchor: OpenDirectory;
  readonly #lock: number;

  /**
   * Makes the directory if need be and locks it. Throws kind usage if it cannot be one, or if somebody else has it in hand
   * without `intoForeign`; busy if another restore has it.
   */
  constructor(path: string, { intoForeign }: { intoForeign: boolean }) {
    this.#path = path;
    let held: HeldDirectory | undefined;
    let lock: number | undefined;
    try {
      const reached = reachTarget(path, { intoForeign });
      held = reached.held;
      lock = fs.openSync(pathIn(held, itself), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY);
      const { uid } = fs.fstatSync(lock, { bigint: true });
      this.isNew = reached.isNew && isOwnAndEmpty(lock, held);
      if (!isTrustedUser(uid) && !intoForeign) throw foreignTarget(path, uid);
      if (!tryLockDescriptor(lock)) throw busy(path);
    } catch (error) {
      if (held !== undefined) closeTarget(held);
      if (lock !== undefined) fs.closeSync(lock);
      throw error instanceof RrbackupError ? error : badTarget(path, error);
    }
    this.#lock = lock;
    this.#rootAnchor = { ...held, isWhole: false };
    this.#anchors = new LRUCache({
      max: openDirectories,
      dispose: (anchor, directory) => {
        if (!this.#pinned.has(directory)) anchor.close();
      },
    });
    this.root = new TargetDirectory(this, undefined, Buffer.alloc(0));
  }

  /** The directory itself, to be used at once. Throws if a symlink has taken a directory's place. */
  reach(directory: TargetDirectory): OpenDirectory {
    const closed: TargetDirectory[] = [];
    let at = directory;
    let anchor: OpenDirectory | undefined;
    for (;;) {
      anchor =
        at.parent === undefined ? this.#rootAnchor : (this.#pinned.get(at)?.anchor ?? this.#anchors.get(at));
      if (anchor !== undefined || at.parent === undefined) break;
      closed.push(at);
      at = at.parent;
    }
    let held = anchor!;
    for (let next = closed.pop(); next; next = closed.pop()) {
      if (canAnchor()) {
        const opened = openDirectory(held, next.name);
        this.#anchors.set(next, opened);
        held = opened;
      } else held = { path: asDirectory(pathIn(held, next.name)), descriptor: -1, isWhole: false };
      if (!next.isWhatItWas(held)) {
        this.#anchors.delete(next);
        throw exchanged();
      }
    }
    return held;
  }

  /** Stays open until it is unpinned as often. */
  pin(directory: TargetDirectory): HeldDirectory {
    const held = this.reach(directory);
    const pinned = this.#pinned.get(directory);
    const anchor = this.#anchors.get(directory);
    if (pinned !== undefined) pinned.pins++;
    else if (anchor !== undefined) {
      this.#pinned.set(directory, { anchor, pins: 1 });
      this.#anchors.delete(directory);
    }
    return { descriptor: held.descriptor, path: held.path };
  }

  unpin(directory: TargetDirectory): void {
    const pinned = this.#pinned.get(directory);
    if (pinned === undefined || --pinned.pins > 0) return;
    this.#pinned.delete(directory);
    this.#anchors.set(directory, pinned.anchor);
  }

  /** Throws if nothing more can be put into the target, because its disk is gone or does not answer. */
  refuseIfGone(): void {
    const probe = Buffer.from(probeName);
    try {
      closeDescriptor(createIn(this.#rootAnchor, probe, 0o600));
      removeIn(this.#rootAnchor, probe);
    } catch (error) {
      const explained = explain(Buffer.from(this.#path), error);
      if (endsRestore(error) || mayBeOfTarget(explained)) throw explained;
    }
  }

  /** The directory is done with. */
  release(directory: TargetDirectory): void {
    this.#anchors.delete(directory);
  }

  close(): void {
    for (const directory of [...this.#pinned.keys()]) {
      this.#pinned.get(directory)!.pins = 1;
      this.unpin(directory);
    }
    this.#anchors.clear();
    closeTarget(this.#rootAnchor);
    fs.closeSync(this.#lock);
  }
}

/** The directory itself, for what is done to it. */
export function inodeOf({ descriptor, isWhole, path }: OpenDirectory): Inode {
  return { descriptor, path: isWhole ? undefined : Buffer.from(path) };
}

export class TargetDirectory {
  readonly #target: Target;
  #expected: Pick<fs.BigIntStats, 'dev' | 'ino'> | undefined;

  constructor(
    target: Target,
    readonly parent: TargetDirectory | undefined,
    readonly name: Uint8Array,
  ) {
    this.#target = target;
  }

  /** From now on whoever exchanges it for another directory ends what is put back in it. */
  expect({ dev, ino }: fs.BigIntStats): void {
    this.#expected = { dev, ino };
  }

  isWhatItWas(held: OpenDirectory): boolean {
    if (this.#expected === undefined) return true;
    const { dev, ino } = statusOf(inodeOf(held));
    return dev === this.#expected.dev && ino === this.#expected.ino;
  }

  child(name: Uint8Array): TargetDirectory {
    return new TargetDirectory(this.#target, this, name);
  }

  /** Itself, to be used at once. Throws if a symlink has taken a directory's place. */
  held(): OpenDirectory {
    return this.#target.reach(this);
  }

  /** A path for the entry `name` in this directory, to be used at once. Throws as `held`. */
  at(name: Uint8Array): Buffer {
    return pathIn(this.held(), name);
  }

  /** A path for the directory itself, to be used at once. */
  self(): Buffer {
    return this.at(itself);
  }

  /** Held open, for other threads, until it is unpinned as often. */
  pin(): HeldDirectory {
    return this.#target.pin(this);
  }

  unpin(): void {
    this.#target.unpin(this);
  }

  release(): void {
    this.#target.release(this);
  }
}

function openDirectory(parent: HeldDirectory, name: Uint8Array): ClosableDirectory {
  const { descriptor, isWhole } = openDirectoryIn(parent, name);
  const path = Buffer.from(`/proc/self/fd/${descriptor}`);
  return { descriptor, isWhole, path, close: () => closeDescriptor(descriptor) };
}

/** Whether what was made just now has not been exchanged for something of somebody's. */
function isOwnAndEmpty(descriptor: number, held: HeldDirectory): boolean {
  const { uid } = fs.fstatSync(descriptor, { bigint: true });
  return uid === BigInt(process.geteuid?.() ?? -1) && fs.readdirSync(pathIn(held, itself)).length === 0;
}

function badTarget(path: string, error: unknown): RrbackupError {
  return new RrbackupError({
    code: 'restore.bad_target',
    kind: errorCode(error) === 'EEXIST' || errorCode(error) === 'ENOTDIR' ? 'usage' : 'failure',
    message: `${printable(Buffer.from(path))} cannot be written into: ${reasonOf(error)}`,
    guidance: 'name a directory that you may write into, or one that does not exist yet',
    cause: error,
  });
}

function busy(path: string): RrbackupError {
  return new RrbackupError({
    code: 'restore.target_busy',
    kind: 'busy',
    message: `another rrbackup is writing into ${printable(Buffer.from(path))}`,
    guidance: 'wait until it is done, or name another directory',
  });
}

/** Where nothing better is to be had than a look before each use. */
function asDirectory(path: Buffer): Buffer {
  if (fs.lstatSync(path).isDirectory()) return path;
  throw Object.assign(new Error(`${printable(path)} is not a directory`), { code: 'ENOTDIR' });
}
