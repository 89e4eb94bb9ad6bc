// Replies to the kernel, encoded: a header of 16 bytes, then a body per opcode, at the offsets of <linux/fuse.h>. A writer
// keeps one buffer for a thread's whole life: what it returns is valid until its next reply.

import { typeBits, typeMask, type Attributes } from '../tree/attributes.js';
import { encodeNode, type NodeId } from '../tree/node.js';
import type { ListedEntry, Found, Totals } from '../tree/index.js';
import { page_bytes } from './constants.js';

export const replyHeader_bytes = 16;
// struct fuse_out_header
const header = { len: 0, error: 4, unique: 8 } as const;

// struct fuse_attr
const attr = {
  ino: 0,
  size: 8,
  blocks: 16,
  atime: 24,
  mtime: 32,
  ctime: 40,
  atimensec: 48,
  mtimensec: 52,
  ctimensec: 56,
  mode: 60,
  nlink: 64,
  uid: 68,
  gid: 72,
  rdev: 76,
  blksize: 80,
  flags: 84,
  bytes: 88,
} as const;

// struct fuse_entry_out
const entryOut = {
  nodeid: 0,
  generation: 8,
  entry_valid: 16,
  attr_valid: 24,
  nsecs: 32,
  attr: 40,
  bytes: 128,
} as const;
// struct fuse_attr_out
const attrOut = { attr_valid: 0, nsec: 8, attr: 16, bytes: 104 } as const;
// struct fuse_dirent; a struct fuse_direntplus has a fuse_entry_out before it
const dirent = { ino: 0, off: 8, namelen: 16, type: 20, name: 24 } as const;
// struct fuse_kstatfs
const statfs = { blocks: 0, files: 24, bsize: 40, namelen: 44, frsize: 48, bytes: 80 } as const;

/** How long the kernel may believe a name and the attributes behind it. */
export interface Lifetimes {
  readonly entry_s: number;
  readonly attributes_s: number;
}

const half = 2 ** 32;
const largestReply_bytes = 2 ** 20 + page_bytes;

export class ReplyWriter {
  readonly #buffer = Buffer.alloc(replyHeader_bytes + largestReply_bytes);
  /** The same bytes as numbers of the machine's own order, which is the kernel's: most of a reply is these. */
  readonly #words = new Uint32Array(this.#buffer.buffer, this.#buffer.byteOffset, this.#buffer.length >>> 2);
  #length = replyHeader_bytes;

  error(unique: bigint, number: number): Buffer {
    this.#length = replyHeader_bytes;
    return this.#finish(unique, -number);
  }

  empty(unique: bigint): Buffer {
    return this.error(unique, 0);
  }

  bytes(unique: bigint, bytes: Uint8Array): Buffer {
    const at = this.#reserve(bytes.length);
    this.#buffer.set(bytes, at);
    return this.#finish(unique, 0);
  }

  number32(unique: bigint, value: number): Buffer {
    const at = this.#reserve(8);
    this.#write32(at, value);
    return this.#finish(unique, 0);
  }

  number64(unique: bigint, value: number): Buffer {
    this.#write64(this.#reserve(8), value);
    return this.#finish(unique, 0);
  }

  /** struct fuse_open_out, without a handle. */
  opened(unique: bigint, flags: number): Buffer {
    const at = this.#reserve(16);
    this.#write32(at + 8, flags);
    return this.#finish(unique, 0);
  }

  entry(unique: bigint, found: Found, lifetimes: Lifetimes): Buffer {
    this.#entryOut(this.#reserve(entryOut.bytes), found.node, found.attributes, lifetimes);
    return this.#finish(unique, 0);
  }

  /** Tells the kernel to remember that the name is not there. */
  noEntry(unique: bigint, entry_s: number): Buffer {
    const at = this.#reserve(entryOut.bytes);
    this.#write64(at + entryOut.entry_valid, entry_s);
    return this.#finish(unique, 0);
  }

  attributes(unique: bigint, node: NodeId, attributes: Attributes, attributes_s: number): Buffer {
    const at = this.#reserve(attrOut.bytes);
    this.#write64(at + attrOut.attr_valid, attributes_s);
    this.#attributes(at + attrOut.attr, node, attributes);
    return this.#finish(unique, 0);
  }

  /** Sizes in blocks of a page; all of it used, as on any read-only medium. */
  totals(unique: bigint, totals: Totals): Buffer {
    const at = this.#reserve(statfs.bytes);
    this.#write64(at + statfs.blocks, Math.ceil(totals.bytes / page_bytes));
    this.#write64(at + statfs.files, totals.files);
    this.#write32(at + statfs.bsize, page_bytes);
    this.#write32(at + statfs.namelen, 255);
    this.#write32(at + statfs.frsize, page_bytes);
    return this.#finish(unique, 0);
  }

  beginDirectory(): void {
    this.#length = replyHeader_bytes;
  }

  /** Adds an entry to a READDIR reply; false (and nothing added) where it would not fit into `room_bytes`. */
  addEntry(entry: ListedEntry, next: number, room_bytes: number): boolean {
    return this.#add(entry, next, 0, room_bytes) !== undefined;
  }

  /** Adds an entry to a READDIRPLUS reply; without attributes it leaves the kernel to look the name up. */
  addEntryPlus(entry: ListedEntry, next: number, lifetimes: Lifetimes, room_bytes: number): boolean {
    const at = this.#add(entry, next, entryOut.bytes, room_bytes);
    if (at === undefined) return false;
    if (entry.attributes === undefined) this.#words.fill(0, at >>> 2, (at + entryOut.bytes) >>> 2);
    else this.#entryOut(at, entry.node, entry.attributes, lifetimes);
    return true;
  }

  finishDirectory(unique: bigint): Buffer {
    return this.#finish(unique, 0);
  }

  /** Returns where the entry begins; its first `prefix_bytes` are still to be filled in. */
  #add(entry: ListedEntry, next: number, prefix_bytes: number, room_bytes: number): number | undefined {
    const { nameBytes, nameStart } = entry;
    const name_bytes = entry.nameEnd - nameStart;
    const size = (prefix_bytes + dirent.name + name_bytes + 7) & ~7;
    const used = this.#length - replyHeader_bytes;
    if (used + size > Math.min(room_bytes, largestReply_bytes)) return undefined;
    const start = this.#length;
    this.#length += size;
    const at = start + prefix_bytes;
    // The name is shorter than its room by less than this.
    this.#words.fill(0, (start + size - 8) >>> 2, (start + size) >>> 2);
    this.#writeNode(at + dirent.ino, entry.node);
    this.#write64(at + dirent.off, next);
    this.#write32(at + dirent.namelen, name_bytes);
    this.#write32(at + dirent.type, entry.type >>> 12);
    for (let index = 0; index < name_bytes; index++)
      this.#buffer[at + dirent.name + index] = nameBytes[nameStart + index]!;
    return start;
  }

  #entryOut(at: number, node: NodeId, attributes: Attributes, lifetimes: Lifetimes): void {
    this.#writeNode(at + entryOut.nodeid, node);
    this.#write64(at + entryOut.generation, 0);
    this.#write64(at + entryOut.entry_valid, lifetimes.entry_s);
    this.#write64(at + entryOut.attr_valid, lifetimes.attributes_s);
    this.#write64(at + entryOut.nsecs, 0);
    this.#attributes(at + entryOut.attr, node, attributes);
  }

  #attributes(at: number, node: NodeId, attributes: Attributes): void {
    this.#writeNode(at + attr.ino, node);
    this.#write64(at + attr.size, attributes.size_bytes);
    this.#write64(at + attr.blocks, attributes.blocks);
    this.#write64(at + attr.atime, attributes.mtime_s);
    this.#write64(at + attr.mtime, attributes.mtime_s);
    this.#write64(at + attr.ctime, attributes.ctime_s);
    this.#write32(at + attr.atimensec, attributes.mtimeRest_ns);
    this.#write32(at + attr.mtimensec, attributes.mtimeRest_ns);
    this.#write32(at + attr.ctimensec, attributes.ctimeRest_ns);
    this.#write32(at + attr.mode, attributes.mode);
    this.#write32(at + attr.nlink, Math.min(attributes.links, 0xffffffff));
    this.#write32(at + attr.uid, attributes.uid);
    this.#write32(at + attr.gid, attributes.gid);
    this.#write32(at + attr.rdev, deviceNumber(attributes));
    this.#write32(at + attr.blksize, page_bytes);
    this.#write32(at + attr.flags, 0);
  }

  #reserve(size: number): number {
    const at = replyHeader_bytes;
    this.#length = at + size;
    this.#buffer.fill(0, at, this.#length);
    return at;
  }

  #finish(unique: bigint, error: number): Buffer {
    writeHeader(this.#buffer, this.#length, error, unique);
    return this.#buffer.subarray(0, this.#length);
  }

  #writeNode(at: number, node: NodeId): void {
    const { high, low } = encodeNode(node);
    this.#words[at >>> 2] = low;
    this.#words[(at >>> 2) + 1] = high;
  }

  /** At a multiple of four. */
  #write32(at: number, value: number): void {
    this.#words[at >>> 2] = value;
  }

  /** Two's complement for what is below 0: a time before 1970. */
  #write64(at: number, value: number): void {
    this.#words[at >>> 2] = value;
    this.#words[(at >>> 2) + 1] = Math.floor(value / half);
  }
}

function writeHeader(buffer: Buffer, length: number, error: number, unique: bigint): void {
  buffer.writeUInt32LE(length, header.len);
  buffer.writeInt32LE(error, header.error);
  buffer.writeBigUInt64LE(unique, header.unique);
}

/** Completes a reply whose body stands behind the room for its header. */
export function writeReplyHeader(reply: Buffer, unique: bigint): void {
  writeHeader(reply, reply.length, 0, unique);
}

/** The header of a reply whose body is written from elsewhere, in one writev with it. */
export function replyHeader(unique: bigint, body_bytes: number, error = 0): Buffer {
  const bytes = Buffer.alloc(replyHeader_bytes);
  writeHeader(bytes, replyHeader_bytes + body_bytes, -error, unique);
  return bytes;
}

/** The kernel's new_encode_dev: 12 bits of major, 20 of minor. */
function deviceNumber(attributes: Attributes): number {
  const type = attributes.mode & typeMask;
  if (type !== typeBits['character-device'] && type !== typeBits['block-device']) return 0;
  const { rdevMajor: major, rdevMinor: minor } = attributes;
  return ((minor & 0xff) | ((major & 0xfff) << 8) | ((minor & 0xfff00) << 12)) >>> 0;
}
