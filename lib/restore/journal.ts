// What a restore that was killed knows for its next run: up to where in path order everything stood as it should. It lies in the
// target, so that it is measured by the same clock as what stands beside it, and is gone once the restore is done. Never trusted
// beyond what the status of a file confirms; where it is lost, the next run reads what stands there.

import fs from 'node:fs';
import { comparePaths } from '../bytes/path.js';
import { sha256 } from '../crypto/index.js';
import { closeDescriptor, type HeldDirectory, pathIn, removeIn } from '../posix/at.js';
import { holdIn, openHeld, release, statusOf } from '../posix/inode.js';

/**
 * A file whose status was last changed within these bounds, by the clock of its file system, and that has the size and the time
 * of the version, has its content, too: nobody has touched it since. `from_ns` is of before this restore wrote anything.
 */
export interface Trust {
  readonly from_ns: bigint;
  /** Later than that it was touched. */
  readonly until_ns: bigint;
}

/** Holds for what comes before this path in the order of the walk. */
interface Claim extends Trust {
  readonly before: Buffer;
}

/** Older ones are dropped: what they spoke for is read. */
const keptClaims = 16;
const longest_bytes = 1024 * 1024;
const privateMode = 0o600;

export interface Subject {
  readonly repositoryId: string;
  readonly stream: string;
  readonly sequence: number;
  readonly paths: readonly (string | Uint8Array)[];
}

export class Journal {
  readonly name: Buffer;
  readonly #directory: HeldDirectory;
  readonly #subject: string;
  readonly #earlier: readonly Claim[];
  readonly #descriptor: number;
  readonly #from_ns: bigint;
  #isOpen = true;

  /**
   * Undefined where there can be none. `root` stays open for as long as the journal; nothing in it has this name but the journal
   * of an earlier run, whose claims are taken over if it was about the same thing.
   */
  static begin(root: HeldDirectory, name: Buffer, subject: Subject): Journal | undefined {
    const boot = bootId();
    if (boot === undefined) return undefined;
    try {
      return new Journal(root, name, subject, boot);
    } catch {
      return undefined;
    }
  }

  private constructor(root: HeldDirectory, name: Buffer, subject: Subject, boot: string) {
    this.#directory = root;
    this.name = name;
    const before = readEarlier(root, name);
    removeIn(root, name);
    this.#descriptor = fs.openSync(pathIn(root, name), 'wx+', privateMode);
    const { dev, ino } = fs.lstatSync(pathIn(root, Buffer.from('.')), { bigint: true });
    // After a crash, or once the disk was pulled out, what was written need not be there though its status is.
    this.#subject = digest([boot, mountOf(this.#descriptor), String(dev), String(ino)], subject);
    this.#earlier = before?.subject === this.#subject ? before.claims.slice(-keptClaims) : [];
    this.#from_ns = this.#now_ns();
    this.note(Buffer.alloc(0));
  }

  /** On what terms all these entries are as the version has them. */
  trust(paths: Iterable<Uint8Array>): readonly Trust[] {
    if (this.#earlier.length === 0) return [];
    let last: Uint8Array = Buffer.alloc(0);
    for (const path of paths) if (comparePaths(path, last) > 0) last = path;
    return this.#earlier
      .filter(({ before }) => comparePaths(last, before) < 0)
      .map(({ from_ns, until_ns }) => ({ from_ns, until_ns }));
  }

  /** Everything before this path in the order of the walk is as the version has it. */
  note(before: Buffer): void {
    if (!this.#isOpen) return;
    const until_ns = this.#now_ns();
    const now = { from_ns: this.#from_ns, until_ns, before };
    const claims = [...this.#earlier, now].map((claim) => ({
      from_ns: String(claim.from_ns),
      until_ns: String(claim.until_ns),
      before: claim.before.toString('hex'),
    }));
    const line = Buffer.from(`${JSON.stringify({ subject: this.#subject, claims })}\n`);
    try {
      // One line in one call: whoever is killed leaves this one or the one before.
      fs.writeSync(this.#descriptor, line, 0, line.length, 0);
    } catch {
      // The next run reads what stands there.
      this.remove();
    }
  }

  /** Changes the status of the journal: that is when it is, by the clock of the target. */
  #now_ns(): bigint {
    fs.fchmodSync(this.#descriptor, privateMode);
    return fs.fstatSync(this.#descriptor, { bigint: true }).ctimeNs;
  }

  /** The restore has come to its end. */
  remove(): void {
    this.close();
    try {
      removeIn(this.#directory, this.name);
    } catch {
      // A later run removes it.
    }
  }

  /** For the next run. Idempotent. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    fs.closeSync(this.#descriptor);
  }
}

/** Whether the file, which has the size and the time that it should, was touched by nobody since it was put back. */
export function isTrusted({ ctimeNs }: fs.BigIntStats, trust: readonly Trust[]): boolean {
  return trust.some(({ from_ns, until_ns }) => ctimeNs >= from_ns && ctimeNs < until_ns);
}

/** Undefined if there is none, or none of ours that can be read. */
function readEarlier(root: HeldDirectory, name: Buffer): { subject: unknown; claims: Claim[] } | undefined {
  const inode = holdIn(root, name);
  if (inode === undefined) return undefined;
  let descriptor: number | undefined;
  try {
    const { uid, mode, nlink, size } = statusOf(inode);
    const isOurs = uid === BigInt(process.geteuid?.() ?? -1) && nlink === 1n;
    // Without rights for anybody else: a regular file is that as its type and mode are just these.
    if (!isOurs || Number(mode) !== (fs.constants.S_IFREG | privateMode) || size > longest_bytes)
      return undefined;
    descriptor = openHeld(inode, fs.constants.O_RDONLY);
    const text = fs.readFileSync(descriptor, 'latin1');
    // Behind the first line may be the end of a longer one.
    const { subject, claims } = JSON.parse(text.slice(0, text.indexOf('\n'))) as {
      subject: string;
      claims: { from_ns: string; until_ns: string; before: string }[];
    };
    const read = claims.map(({ from_ns, until_ns, before }) => ({
      from_ns: BigInt(from_ns),
      until_ns: BigInt(until_ns),
      before: Buffer.from(before, 'hex'),
    }));
    return { subject, claims: read };
  } catch {
    return undefined;
  } finally {
    if (descriptor !== undefined) closeDescriptor(descriptor);
    release(inode);
  }
}

/** Undefined where the system has none: then a crash could not be told. */
function bootId(): string | undefined {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
  } catch {
    return undefined;
  }
}

function mountOf(descriptor: number): string {
  return /^mnt_id:\s*(\d+)$/m.exec(fs.readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8'))![1]!;
}

function digest(target: readonly string[], { repositoryId, stream, sequence, paths }: Subject): string {
  const asked = paths.map((path) => Buffer.from(path as Uint8Array).toString('hex'));
  return sha256(Buffer.from(JSON.stringify([target, repositoryId, stream, sequence, asked]))).toString('hex');
}
