// The directory that a restore writes into. Every directory below it is opened through its parent's descriptor and never
// through a symlink, so no name in a version and nobody who swaps a directory meanwhile leads a write anywhere else.

import fs from 'node:fs';
import { dirname } from 'node:path';
import { LRUCache } from 'lru-cache';
import { printable } from '../bytes/path.js';
import { RrbackupError } from '../errors/index.js';
import { tryLockDescriptor } from '../posix/flock.js';
import { closeDescriptor, type HeldDirectory, openDirectoryIn, pathIn } from '../posix/at.js';
import { errorCode, reasonOf } from '../posix/libc.js';
import { makeDirectories } from '../posix/new-directory.js';
import { canAnchor, openAnchor, withReachable } from '../posix/long-path.js';

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
  readonly #rootAnchor: ClosableDirectory;
  readonly #lock: number;

  /** Makes the directory if need be and locks it. Throws kind usage if it cannot be one, busy if another restore has it. */
  constructor(path: string) {
    try {
      this.isNew = makeDirectory(path);
      const real = fs.realpathSync.native(Buffer.from(path), { encoding: 'buffer' });
      const flags = fs.constants.O_RDONLY | fs.constants.O_DIRECTORY;
      this.#lock = withReachable(real, (reachable) => fs.openSync(reachable, flags));
      this.#rootAnchor = canAnchor()
        ? { ...withReachable(real, openAnchor), isWhole: false }
        : { path: real, descriptor: -1, isWhole: false, close: () => undefined };
    } catch (error) {
      throw new RrbackupError({
        code: 'restore.bad_target',
        kind: errorCode(error) === 'EEXIST' || errorCode(error) === 'ENOTDIR' ? 'usage' : 'failure',
        message: `${printable(Buffer.from(path))} cannot be written into: ${reasonOf(error)}`,
        guidance: 'name a directory that you may write into, or one that does not exist yet',
        cause: error,
      });
    }
    if (!tryLockDescriptor(this.#lock)) {
      this.#rootAnchor.close();
      fs.closeSync(this.#lock);
      throw new RrbackupError({
        code: 'restore.target_busy',
        kind: 'busy',
        message: `another rrbackup is writing into ${printable(Buffer.from(path))}`,
        guidance: 'wait until it is done, or name another directory',
      });
    }
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
    this.#rootAnchor.close();
    fs.closeSync(this.#lock);
  }
}

export class TargetDirectory {
  readonly #target: Target;

  constructor(
    target: Target,
    readonly parent: TargetDirectory | undefined,
    readonly name: Uint8Array,
  ) {
    this.#target = target;
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

/** True if it was not there. Parents get the usual mode, the directory itself what the version says, later. */
function makeDirectory(path: string): boolean {
  makeDirectories(dirname(path), 0o777);
  try {
    fs.mkdirSync(path, { mode: 0o700 });
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST') return false;
    throw error;
  }
}

/** Where nothing better is to be had than a look before each use. */
function asDirectory(path: Buffer): Buffer {
  if (fs.lstatSync(path).isDirectory()) return path;
  throw Object.assign(new Error(`${printable(path)} is not a directory`), { code: 'ENOTDIR' });
}
