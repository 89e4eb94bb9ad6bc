// The stage that writes: files under a temporary name in their own directory, complete with attributes before they get their
// real one, so that whatever looks complete is. Reads back what it wrote. Never overwrites what it was not told to replace.

import fs from 'node:fs';
import { printable } from '../bytes/path.js';
import { RrbackupError, damaged } from '../errors/index.js';
import type { Entry } from '../manifest/types.js';
import { setMode } from '../posix/attributes.js';
import { errorCode, reasonOf } from '../posix/libc.js';
import { makeNode } from '../posix/nodes.js';
import type { Attributes } from './attributes.js';
import { type Comparison, readWhole, whatStands } from './existing.js';
import { explain, isOfOneEntry } from './failure.js';
import type { FetchedChunks, NeededChunk } from './fetch.js';
import type { FilePart, FirstLink, Job, Spot } from './jobs.js';
import type { Warnings } from './warnings.js';

export interface WriteOptions {
  readonly attributes: Attributes;
  readonly warnings: Warnings;
  readonly comparison: Comparison;
  /** Brings chunks that nobody has asked for ahead of time. */
  fetch(needed: readonly NeededChunk[]): Promise<FetchedChunks>;
  place(segment: { readonly id: Uint8Array }): NeededChunk | undefined;
  onDone(spot: Spot, what: 'written' | 'right' | 'linked', written_bytes: number): void;
  onDirectory(path: Buffer): void;
  onConflict(path: Buffer, entry: Entry): void;
  onFailed(path: Buffer, entry: Entry, error: RrbackupError): void;
}

interface OpenFile {
  readonly spot: Spot;
  readonly fd: number;
}

export class Writer {
  readonly #options: WriteOptions;
  #open: OpenFile | undefined;
  /** A file that failed in the middle: its further parts are passed over. */
  #given: Spot | undefined;

  constructor(options: WriteOptions) {
    this.#options = options;
  }

  async write(job: Job, chunks: FetchedChunks): Promise<void> {
    const spot = job.kind === 'leave' ? { path: job.path, entry: job.entry } : job.spot;
    try {
      await this.#write(job, chunks);
    } catch (error) {
      this.abandon();
      if (!isOfOneEntry(error)) throw explain(spot.path, error);
      if (job.kind === 'part') this.#given = job.spot;
      if (spot.entry) this.#options.onFailed(spot.path, spot.entry, explain(spot.path, error));
    }
  }

  /** Removes a half-written file. */
  abandon(): void {
    const open = this.#open;
    if (!open) return;
    this.#open = undefined;
    fs.closeSync(open.fd);
    try {
      fs.unlinkSync(open.spot.directory.at(open.spot.temporary));
    } catch {
      // It has a name that the next restore knows and removes.
    }
  }

  async #write(job: Job, chunks: FetchedChunks): Promise<void> {
    switch (job.kind) {
      case 'part':
        if (job.spot !== this.#given) await this.#part(job.spot, job.part, job.first, chunks);
        return;
      case 'node':
        this.#node(job.spot, job.first);
        return;
      case 'right':
        this.#options.attributes.apply(job.spot.directory.at(job.spot.name), job.spot.path, job.spot.entry);
        this.#done(job.spot, job.first, 'right', 0);
        return;
      case 'link':
        await this.#link(job.spot, job.first);
        return;
      case 'leave':
        if (job.entry) this.#options.attributes.apply(job.directory.self(), job.path, job.entry);
        else if (job.mode !== undefined) setMode(job.directory.self(), job.mode);
        job.directory.release();
        this.#options.onDirectory(job.path);
    }
  }

  async #part(
    spot: Spot,
    part: FilePart,
    first: FirstLink | undefined,
    chunks: FetchedChunks,
  ): Promise<void> {
    const { content, size_bytes } = spot.entry;
    if (part.from === 0) {
      const fd = createTemporary(spot);
      this.#open = { spot, fd };
      if (content.some(({ kind }) => kind === 'hole')) fs.ftruncateSync(fd, size_bytes);
    }
    const { fd } = this.#open!;
    let offset = part.offset_bytes;
    let index = 0;
    for (const segment of content.slice(part.from, part.to)) {
      if (segment.kind === 'chunk') {
        writeWhole(fd, chunks.bytes(part.needed[index++]!), offset, spot);
        await this.#options.comparison.turn();
      }
      offset += segment.size_bytes;
    }
    if (part.to < content.length) return;
    fs.closeSync(fd);
    this.#open = undefined;
    this.#finish(spot, first, size_bytes);
  }

  #node(spot: Spot, first: FirstLink | undefined): void {
    const { entry, directory, temporary } = spot;
    const access = directory.at(temporary);
    fs.rmSync(access, { force: true });
    if (entry.type === 'symlink') fs.symlinkSync(Buffer.from(entry.target), access);
    else if (entry.type === 'file' || entry.type === 'directory')
      throw new RangeError(`a ${entry.type} is not made as a node`);
    else makeNode(access, entry.type, entry.rdevMajor, entry.rdevMinor);
    this.#finish(spot, first, 0);
  }

  /** Attributes, then the real name. */
  #finish(spot: Spot, first: FirstLink | undefined, written_bytes: number): void {
    const access = spot.directory.at(spot.temporary);
    try {
      this.#options.attributes.apply(access, spot.path, spot.entry);
    } catch (error) {
      fs.rmSync(access, { force: true });
      throw error;
    }
    if (this.#name(spot)) this.#done(spot, first, 'written', written_bytes);
  }

  /** Gives what stands at the temporary name its real one; false if something has come to stand there meanwhile. */
  #name(spot: Spot): boolean {
    const temporary = spot.directory.at(spot.temporary);
    const access = spot.directory.at(spot.name);
    if (!spot.replaces && fs.lstatSync(access, { throwIfNoEntry: false })) {
      fs.unlinkSync(temporary);
      this.#options.onConflict(spot.path, spot.entry);
      return false;
    }
    fs.renameSync(temporary, access);
    return true;
  }

  async #link(spot: Spot, first: FirstLink): Promise<void> {
    const { comparison, onConflict, warnings } = this.#options;
    if (first.isThere && isSameFile(first.spot, spot)) return this.#done(spot, undefined, 'linked', 0);
    const standing = await whatStands(spot.directory.at(spot.name), spot.entry, comparison);
    if (standing === 'directory' || (standing === 'different' && !spot.replaces)) {
      onConflict(spot.path, spot.entry);
      return;
    }
    // The same content under a name of its own loses nothing by becoming the link that it should be.
    const replacing: Spot = { ...spot, replaces: spot.replaces || standing === 'same' };
    if (first.isThere) {
      try {
        makeLink(first.spot, replacing);
        if (this.#name(replacing)) this.#done(spot, undefined, 'linked', 0);
        return;
      } catch (error) {
        if (!isOfOneEntry(error)) throw error;
        warnings.add(
          'link',
          `${printable(spot.path)} is a copy, not a hard link to ${printable(first.spot.path)}: ${reasonOf(error)}`,
        );
      }
    }
    if (spot.entry.type !== 'file') return this.#node(replacing, first.isThere ? undefined : first);
    return this.#whole(replacing, first.isThere ? undefined : first);
  }

  /** A file whose content was not fetched ahead, chunk by chunk. */
  async #whole(spot: Spot, first: FirstLink | undefined): Promise<void> {
    const { content } = spot.entry;
    let offset_bytes = 0;
    if (content.length === 0) {
      const none = await this.#options.fetch([]);
      return this.#part(spot, { from: 0, to: 0, offset_bytes, needed: [] }, first, none);
    }
    for (const [index, segment] of content.entries()) {
      const needed = segment.kind === 'chunk' ? [this.#options.place(segment)] : [];
      if (needed.includes(undefined))
        throw damaged('restore.chunk_missing', `a part of ${printable(spot.path)} is in no known pack`);
      const chunks = needed as NeededChunk[];
      const part = { from: index, to: index + 1, offset_bytes, needed: chunks };
      await this.#part(spot, part, first, await this.#options.fetch(chunks));
      offset_bytes += segment.size_bytes;
    }
  }

  #done(
    spot: Spot,
    first: FirstLink | undefined,
    what: 'written' | 'right' | 'linked',
    written_bytes: number,
  ): void {
    if (first) {
      first.spot = spot;
      first.isThere = true;
    }
    this.#options.onDone(spot, what, written_bytes);
  }
}

function createTemporary(spot: Spot): number {
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  const open = (): number =>
    fs.openSync(spot.directory.at(spot.temporary), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  try {
    return open();
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error;
    // Left by a restore that was killed.
    fs.unlinkSync(spot.directory.at(spot.temporary));
    return open();
  }
}

let readBack = Buffer.alloc(0);

/** Writes, and reads back through the page cache: what the kernel has taken is what was meant. */
function writeWhole(fd: number, bytes: Buffer, position: number, spot: Spot): void {
  for (let at = 0; at < bytes.length;) at += fs.writeSync(fd, bytes, at, bytes.length - at, position + at);
  if (readBack.length < bytes.length) readBack = Buffer.allocUnsafeSlow(bytes.length);
  const got = readBack.subarray(0, bytes.length);
  if (!readWhole(fd, got, position) || !got.equals(bytes))
    throw new RrbackupError({
      code: 'restore.not_as_written',
      kind: 'failure',
      message: `${printable(spot.path)} does not read back as it was written`,
      guidance: 'check the disk that is written to',
    });
}

function isSameFile(first: Spot, other: Spot): boolean {
  const a = fs.lstatSync(first.directory.at(first.name), { bigint: true, throwIfNoEntry: false });
  const b = fs.lstatSync(other.directory.at(other.name), { bigint: true, throwIfNoEntry: false });
  return a !== undefined && b !== undefined && a.ino === b.ino && a.dev === b.dev;
}

/** A second name, for now the temporary one, for what stands at the first. */
function makeLink(first: Spot, spot: Spot): void {
  const from = first.directory.hold();
  try {
    const access = spot.directory.at(spot.temporary);
    fs.rmSync(access, { force: true });
    fs.linkSync(Buffer.concat([from.path, Buffer.of(0x2f), first.name]), access);
  } finally {
    from.close();
  }
}
