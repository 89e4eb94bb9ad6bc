// Reads small files whole, of which nobody knows what stands there: a fifo that has no writer, a device that never ends or a
// symlink that somebody planted is no reason to wait for ever, to fill the memory or to read something else.

import fs from 'node:fs';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { interrupted } from '../errors/index.js';
import { canAnchor, O_PATH } from './long-path.js';
import { errorCode, Refusal } from './reason.js';

const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_NOCTTY, O_DIRECTORY } = fs.constants;
const waitsForNothing = O_RDONLY | O_NONBLOCK | O_NOCTTY;
const lineFeed = 0x0a;

export interface ReadOptions {
  /** Of what has more, nothing is given. */
  readonly most_bytes: number;
  /** Ends the wait for what comes through a pipe. */
  readonly signal?: AbortSignal | undefined;
  /** Enough is what holds a whole line. */
  readonly firstLine?: boolean;
}

export interface ReadFile {
  readonly bytes: Buffer;
  readonly status: fs.Stats;
}

/**
 * A file that a user has named: symlinks are followed, and a pipe (`<(…)`, /dev/stdin, a fifo) or a terminal is read to its
 * end. Rejects as the system does, with a Refusal, or with 'interrupted'. The caller wipes the bytes, if they are secret.
 */
export async function readNamedFile(file: string, options: ReadOptions): Promise<ReadFile> {
  const descriptor = fs.openSync(file, waitsForNothing);
  let isOpen = true;
  try {
    const status = fs.fstatSync(descriptor);
    if (status.isFile()) return { bytes: readRegular(descriptor, status, options), status };
    if (status.isDirectory()) throw new Refusal('it is a directory');
    const stream = await streamOf(descriptor, status);
    isOpen = false;
    return { bytes: await readStream(stream, options), status };
  } finally {
    if (isOpen) fs.closeSync(descriptor);
  }
}

async function streamOf(descriptor: number, status: fs.Stats): Promise<Readable> {
  if (status.isFIFO())
    return new (await import('node:net')).Socket({ fd: descriptor, readable: true, writable: false });
  const tty = await import('node:tty');
  if (!tty.isatty(descriptor)) throw new Refusal('it is neither a file nor a pipe');
  return new tty.ReadStream(descriptor);
}

/** What a stream has to say; it is destroyed. */
export function readStream(
  stream: Readable,
  { most_bytes, signal, firstLine = false }: ReadOptions,
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  return new Promise<Buffer>((resolve, reject) => {
    const settle = (act: () => void): void => {
      signal?.removeEventListener('abort', onAbort);
      act();
      for (const chunk of chunks) chunk.fill(0);
      stream.destroy();
    };
    const onAbort = (): void => settle(() => reject(interrupted()));
    const onEnd = (): void => settle(() => resolve(Buffer.concat(chunks)));
    if (signal?.aborted === true) return onAbort();
    signal?.addEventListener('abort', onAbort, { once: true });
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      length += chunk.length;
      if (length > most_bytes) settle(() => reject(tooLarge(most_bytes)));
      else if (firstLine && chunk.includes(lineFeed)) onEnd();
    });
    stream.on('end', onEnd);
    stream.on('error', (error) => settle(() => reject(error)));
  });
}

/**
 * The text of a regular file that a configuration names; symlinks are followed. Throws as the system does, or a Refusal.
 */
export function readRegularFile(file: string, options: Pick<ReadOptions, 'most_bytes'>): string {
  const descriptor = fs.openSync(file, waitsForNothing);
  try {
    const status = fs.fstatSync(descriptor);
    if (!status.isFile()) throw notRegular();
    return readRegular(descriptor, status, options).toString('utf8');
  } finally {
    fs.closeSync(descriptor);
  }
}

export interface FoundFile extends ReadFile {
  readonly directory: fs.Stats;
}

/**
 * A file that is looked for and that anybody may have put there: both by descriptors, so that the status of the directory is that
 * of the one it was found in. Undefined where it is not there. Throws as the system does, or a Refusal for what is no file.
 */
export function readFoundFile(directory: string, name: string, options: ReadOptions): FoundFile | undefined {
  const opened = openIfThere(directory, (canAnchor() ? O_PATH : O_RDONLY) | O_DIRECTORY);
  if (opened === undefined) return undefined;
  try {
    const file = path.join(canAnchor() ? `/proc/self/fd/${opened}` : directory, name);
    const descriptor = openIfThere(file, waitsForNothing | O_NOFOLLOW);
    if (descriptor === undefined) return undefined;
    try {
      const status = fs.fstatSync(descriptor);
      if (!status.isFile()) throw notRegular();
      return { bytes: readRegular(descriptor, status, options), status, directory: fs.fstatSync(opened) };
    } finally {
      fs.closeSync(descriptor);
    }
  } finally {
    fs.closeSync(opened);
  }
}

/**
 * The text of a file of the program's own, in a directory that nobody else can write to. Undefined where it is not there. Throws
 * as the system does, or a Refusal for what is no file.
 */
export function readOwnFile(file: string): string | undefined {
  const descriptor = openIfThere(file, waitsForNothing | O_NOFOLLOW);
  if (descriptor === undefined) return undefined;
  try {
    if (!fs.fstatSync(descriptor).isFile()) throw notRegular();
    return fs.readFileSync(descriptor, 'utf8');
  } finally {
    fs.closeSync(descriptor);
  }
}

function openIfThere(file: string, flags: number): number | undefined {
  try {
    return fs.openSync(file, flags);
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (['ENOENT', 'ENOTDIR'].includes(code)) return undefined;
    if (code === 'ELOOP') throw new Refusal('it is a symbolic link');
    // A socket.
    if (code === 'ENXIO') throw notRegular();
    throw error;
  }
}

function readRegular(
  descriptor: number,
  { size }: fs.Stats,
  { most_bytes, firstLine = false }: ReadOptions,
): Buffer {
  // One more than allowed shows that there is more; files of /proc have no size.
  const roomFor = (wanted: number): Buffer => Buffer.alloc(Math.min(most_bytes, Math.max(wanted, 4096)) + 1);
  let bytes = roomFor(size);
  let length = 0;
  for (;;) {
    const count = fs.readSync(descriptor, bytes, length, bytes.length - length, null);
    length += count;
    if (count === 0) return bytes.subarray(0, length);
    if (length < bytes.length) continue;
    if (length > most_bytes) break;
    const larger = roomFor(2 * length);
    bytes.copy(larger);
    bytes.fill(0);
    bytes = larger;
  }
  if (firstLine && bytes.includes(lineFeed)) return bytes;
  bytes.fill(0);
  throw tooLarge(most_bytes);
}

function notRegular(): Refusal {
  return new Refusal('it is not a regular file');
}

function tooLarge(most_bytes: number): Refusal {
  const size = most_bytes < 1 << 20 ? `${most_bytes / 1024} KiB` : `${most_bytes / (1 << 20)} MiB`;
  return new Refusal(`it is larger than ${size}`);
}
