// Mounting and unmounting a FUSE file system: root by mount(2), everybody else by the setuid helper fusermount3, which hands the
// connection's descriptor over a socket pair. Reads the kernel's list of mounts. Serves nothing; Linux only.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import koffi from 'koffi';
import { RrbackupError } from '../errors/index.js';
import { check, declare, errorCode } from './libc.js';

export interface MountEntry {
  /** Raw bytes as latin1, without the kernel's escapes. */
  readonly mountpoint: string;
  /** 'ext4', 'fuse.rrbackup', … */
  readonly type: string;
  readonly source: string;
  /** 'major:minor' */
  readonly device: string;
}

export const fuseDevice = '/dev/fuse';
const fileSystem = 'rrbackup';
/** How our mounts show in the kernel's list. */
export const mountType = `fuse.${fileSystem}`;

const MS_RDONLY = 1;
const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;
const MNT_DETACH = 2;
const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_CMSG_CLOEXEC = 0x40000000;

const mount = declare('int mount(void *source, void *target, void *type, unsigned long flags, void *data)');
const umount2 = declare('int umount2(void *target, int flags)');
const socketpair = declare('int socketpair(int domain, int type, int protocol, void *pair)');
const recvmsg = declare('int64_t recvmsg(int socket, void *message, int flags)');

export interface FuseMountOptions {
  /** Absolute. */
  readonly mountpoint: string;
  /** Others may enter; the kernel then enforces modes and ACLs. */
  readonly allowOther: boolean;
  readonly maximumRead_bytes: number;
  /** Nothing in it can be run as a program. */
  readonly noExec?: boolean | undefined;
  /** Stands as its source in the list of mounts. */
  readonly fsname?: string | undefined;
}

/** Mounts read-only, nosuid, nodev; the descriptor is the other end of the connection and belongs to the caller. */
export async function mountFuse(options: FuseMountOptions): Promise<number> {
  const shared = [`max_read=${options.maximumRead_bytes}`];
  if (options.allowOther) shared.push('allow_other', 'default_permissions');
  return process.geteuid?.() === 0 ? mountAsRoot(options, shared) : mountAsUser(options, shared);
}

/** Detaches; `lazy` takes the name away while the last users finish. 'mount.in_use' (kind busy) if it is in use. */
export async function unmountFuse(mountpoint: string, { lazy = false } = {}): Promise<void> {
  if (process.geteuid?.() === 0) {
    try {
      check(umount2(nulTerminated(mountpoint), lazy ? MNT_DETACH : 0), 'umount', Buffer.from(mountpoint));
    } catch (error) {
      throw errorCode(error) === 'EBUSY' ? inUse(mountpoint, error) : unmountFailed(mountpoint, error);
    }
    return;
  }
  const { status, output } = await runHelper(['-u', ...(lazy ? ['-z'] : []), '--', mountpoint]);
  if (status === 0) return;
  throw /busy/i.test(output) ? inUse(mountpoint, output) : unmountFailed(mountpoint, output);
}

/** What is mounted, in the order of the kernel: of several on one place the last is the visible one. */
export function listMounts(): MountEntry[] {
  return parseMounts(fs.readFileSync('/proc/self/mountinfo', 'latin1'));
}

/** A mountinfo of the kernel, as latin1; lines that are none are left out. */
export function parseMounts(text: string): MountEntry[] {
  const entries: MountEntry[] = [];
  for (const line of text.split('\n')) {
    const [before, after] = line.split(' - ');
    const [, , device, , mountpoint] = before?.split(' ') ?? [];
    const [type, source] = after?.split(' ') ?? [];
    if (mountpoint === undefined || device === undefined || type === undefined) continue;
    entries.push({ mountpoint: unescape(mountpoint), type, source: unescape(source ?? ''), device });
  }
  return entries;
}

/** The visible mount whose root is exactly this path (absolute, without symlinks). */
export function mountAt(mountpoint: string): MountEntry | undefined {
  const wanted = Buffer.from(mountpoint).toString('latin1');
  return listMounts().findLast((entry) => entry.mountpoint === wanted);
}

/**
 * Something to abort the connection of the FUSE file system that is mounted there now, even if it is detached later: every
 * request ends with an error. Needs the file system that the kernel has for this (fusectl), does nothing without.
 */
export function fuseAborter(mountpoint: string): () => void {
  const connection = mountAt(mountpoint)?.device.split(':')[1];
  return () => {
    if (connection !== undefined) tryToWrite(`/sys/fs/fuse/connections/${connection}/abort`, '1');
  };
}

/** Lets sequential readers of a mount be read ahead for in larger pieces than the usual 128 KiB. Only root can. */
export function raiseReadahead(mountpoint: string, size_bytes: number): void {
  const device = mountAt(mountpoint)?.device;
  if (device !== undefined) tryToWrite(`/sys/class/bdi/${device}/read_ahead_kb`, String(size_bytes / 1024));
}

/** To a file of the kernel's that this user may write, if it is there. */
function tryToWrite(file: string, text: string): void {
  try {
    fs.writeFileSync(file, text);
  } catch {
    // Not ours, gone, or not on this kernel: it goes on without.
  }
}

function unescape(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

function nulTerminated(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}

function mountAsRoot(options: FuseMountOptions, shared: readonly string[]): number {
  const device = fs.openSync(fuseDevice, 'r+');
  const data = [`fd=${device}`, 'rootmode=40000', 'user_id=0', 'group_id=0', ...shared].join(',');
  try {
    const flags = MS_RDONLY | MS_NOSUID | MS_NODEV | (options.noExec === true ? MS_NOEXEC : 0);
    const target = nulTerminated(options.mountpoint);
    check(
      mount(
        nulTerminated(options.fsname ?? fileSystem),
        target,
        nulTerminated(mountType),
        flags,
        nulTerminated(data),
      ),
      'mount',
      Buffer.from(options.mountpoint),
    );
    return device;
  } catch (error) {
    fs.closeSync(device);
    throw new RrbackupError({
      code: 'mount.failed',
      kind: 'failure',
      message: `${options.mountpoint} cannot be mounted: ${error instanceof Error ? error.message : String(error)}`,
      guidance: 'in a container, allow it to mount (CAP_SYS_ADMIN and the device /dev/fuse)',
      cause: error,
    });
  }
}

async function mountAsUser(options: FuseMountOptions, shared: readonly string[]): Promise<number> {
  // The helper takes a backslash before what would end the name.
  const name = (options.fsname ?? fileSystem).replaceAll(/[\\,]/g, '\\$&');
  const names = [`fsname=${name}`, `subtype=${fileSystem}`];
  const noExec = options.noExec === true ? ['noexec'] : [];
  const settings = ['ro', 'nosuid', 'nodev', ...noExec, ...names, ...shared].join(',');
  const pair = new Int32Array(2);
  check(socketpair(AF_UNIX, SOCK_STREAM, 0, new Uint8Array(pair.buffer)), 'socketpair');
  const [ours, theirs] = pair as unknown as [number, number];
  try {
    const { status, output } = await runHelper(['-o', settings, '--', options.mountpoint], theirs);
    const device = status === 0 ? receiveDescriptor(ours) : undefined;
    if (device !== undefined) return device;
    const isForbidden = output.includes('user_allow_other');
    throw new RrbackupError({
      code: isForbidden ? 'mount.allow_other' : 'mount.failed',
      kind: 'failure',
      message: `${options.mountpoint} cannot be mounted: ${output === '' ? 'fusermount3 gave no reason' : output}`,
      ...(isForbidden ? { guidance: 'let root put the line user_allow_other into /etc/fuse.conf' } : {}),
    });
  } finally {
    fs.closeSync(ours);
    fs.closeSync(theirs);
  }
}

/** The setuid helper of libfuse 3, or of libfuse 2. Undefined if neither is installed. */
export function findFusermount(): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/bin', '/usr/local/bin'];
  for (const name of ['fusermount3', 'fusermount']) {
    const found = directories.find(
      (directory) => directory !== '' && isExecutable(path.join(directory, name)),
    );
    if (found !== undefined) return path.join(found, name);
  }
  return undefined;
}

function isExecutable(file: string): boolean {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function runHelper(
  args: readonly string[],
  socket?: number,
): Promise<{ readonly status: number | null; readonly output: string }> {
  const helper = findFusermount();
  if (helper === undefined) {
    throw new RrbackupError({
      code: 'mount.no_helper',
      kind: 'failure',
      message: 'fusermount3 is not installed, and only root can mount without it',
      guidance: 'install the package fuse3, or run the command as root',
    });
  }
  const child = spawn(helper, args, {
    stdio: ['ignore', 'ignore', 'pipe', ...(socket === undefined ? [] : [socket])],
    // Nothing else of ours, where a password may stand.
    env: { PATH: process.env['PATH'], LC_ALL: 'C', ...(socket === undefined ? {} : { _FUSE_COMMFD: '3' }) },
  });
  let output = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (output += text));
  return await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (status) => {
      resolve({ status, output: output.replaceAll(/^fusermount3?: /gm, '').trim() });
    });
  });
}

/** The descriptor that lies in the socket with one byte of company; undefined if none does. Layouts of 64-bit Linux. */
function receiveDescriptor(socket: number): number | undefined {
  const vector = { base: 0, length: 8, bytes: 16 };
  const header = { vectors: 16, vectorCount: 24, control: 32, controlLength: 40, bytes: 56 };
  const control = { type: 12, data: 16, bytes: 24 };
  const memory = koffi.alloc('uint8_t', 128) as unknown as bigint;
  try {
    const bytes = Buffer.from(koffi.view(memory, 128) as ArrayBuffer).fill(0);
    const start = BigInt(memory);
    const vectorAt = header.bytes;
    const controlAt = vectorAt + vector.bytes;
    const byteAt = controlAt + control.bytes;
    bytes.writeBigUInt64LE(start + BigInt(byteAt), vectorAt + vector.base);
    bytes.writeBigUInt64LE(1n, vectorAt + vector.length);
    bytes.writeBigUInt64LE(start + BigInt(vectorAt), header.vectors);
    bytes.writeBigUInt64LE(1n, header.vectorCount);
    bytes.writeBigUInt64LE(start + BigInt(controlAt), header.control);
    bytes.writeBigUInt64LE(BigInt(control.bytes), header.controlLength);
    const received = Number(recvmsg(socket, memory, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
    const isDescriptor = received > 0 && bytes.readInt32LE(controlAt + control.type) === SCM_RIGHTS;
    return isDescriptor ? bytes.readInt32LE(controlAt + control.data) : undefined;
  } finally {
    koffi.free(memory);
  }
}

function inUse(mountpoint: string, cause: unknown): RrbackupError {
  return new RrbackupError({
    code: 'mount.in_use',
    kind: 'busy',
    message: `${mountpoint} is in use`,
    guidance: `close what is open there (fuser -vm ${mountpoint} shows it)`,
    cause,
  });
}

function unmountFailed(mountpoint: string, cause: unknown): RrbackupError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new RrbackupError({
    code: 'mount.unmount_failed',
    kind: 'failure',
    message: `${mountpoint} cannot be unmounted: ${why}`,
    cause,
  });
}
