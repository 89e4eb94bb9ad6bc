// Reads an LMDB data file as plain bytes, before LMDB maps it: LMDB trusts its file, and a truncated or overwritten one
// would end the process with SIGBUS. Checks structure and row checksums; changes nothing.
//
// Layout (LMDB 1.0 as lmdb-js has it, little endian, 64 bit). Page header, 24 bytes: number u64, transaction u64, pad u16,
// flags u16, lower u16, upper u16 (overflow pages: their count u32). Pages 0 and 1 are the meta pages. A tree is 48 bytes:
// pad u32 (free list: page size), flags u16, depth u16, branch, leaf and overflow pages u64 each, entries u64, root u64.

import { fstatSync, readSync } from 'node:fs';

import { checksum, checksum_bytes } from './table.js';

const magic = 0xbeefc0de;
const dataVersion = 2;
const header_bytes = 24;
const meta = { magic: 24, version: 28, freeTree: 48, mainTree: 96, lastPage: 144, transaction: 152 } as const;
const meta_bytes = 168;
const tree = { pageSize: 0, depth: 6, entries: 32, root: 40 } as const;
const tree_bytes = 48;
const page = { number: 0, flags: 18, lower: 20, upper: 22, count: 20 } as const;
const pageFlags = { branch: 1, leaf: 2, overflow: 4, meta: 8 } as const;
const nodeFlags = { big: 1, tree: 2 } as const;
const nodeHeader_bytes = 8;
const bigReference_bytes = 24;
const noRoot = 0xffffffffffffffffn;
const deepest = 32;

class Unsound extends Error {}

const fail = (why: string): never => {
  throw new Unsound(why);
};

interface Meta {
  readonly pageSize_bytes: number;
  readonly lastPage: number;
  readonly transaction: bigint;
  readonly freeTree: Buffer;
  readonly mainTree: Buffer;
}

/** undefined: these bytes are no meta page of a file that our LMDB makes. */
function parseMeta(bytes: Buffer): Meta | undefined {
  if (bytes.length < meta_bytes || bytes.readUInt32LE(meta.magic) !== magic) return undefined;
  if ((bytes.readUInt32LE(meta.version) & 0xffff) !== dataVersion) return undefined;
  const freeTree = bytes.subarray(meta.freeTree, meta.freeTree + tree_bytes);
  const pageSize_bytes = freeTree.readUInt32LE(tree.pageSize);
  const isPossible =
    pageSize_bytes >= 512 && pageSize_bytes <= 65536 && Number.isInteger(Math.log2(pageSize_bytes));
  const lastPage = bytes.readBigUInt64LE(meta.lastPage);
  if (!isPossible || lastPage > 1n << 40n || (bytes.readUInt16LE(page.flags) & pageFlags.meta) === 0)
    return undefined;
  return {
    pageSize_bytes,
    lastPage: Number(lastPage),
    transaction: bytes.readBigUInt64LE(meta.transaction),
    freeTree,
    mainTree: bytes.subarray(meta.mainTree, meta.mainTree + tree_bytes),
  };
}

function readAt(descriptor: number, at: number, size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  const got = readSync(descriptor, bytes, 0, size, at);
  return bytes.subarray(0, got);
}

/** The newest snapshot; undefined where the file is no LMDB file, or one of its meta pages is damaged. */
function newestMeta(descriptor: number): Meta | undefined {
  const first = parseMeta(readAt(descriptor, 0, meta_bytes));
  const second = first && parseMeta(readAt(descriptor, first.pageSize_bytes, meta_bytes));
  if (first === undefined || second?.pageSize_bytes !== first.pageSize_bytes) return undefined;
  return first.transaction >= second.transaction ? first : second;
}

/** Whether the file begins as a file of LMDB does, sound or not. */
export function beginsLikeLmdb(descriptor: number): boolean {
  const start = readAt(descriptor, 0, meta_bytes);
  return start.length >= meta.version && start.readUInt32LE(meta.magic) === magic;
}

/** Cheap: meta pages only. What is wrong, for people; undefined if nothing is seen to be. */
export function checkMeta(descriptor: number): string | undefined {
  return newestMeta(descriptor) === undefined ? 'it does not begin as a catalog does' : undefined;
}

/** Reads every page of the newest snapshot. What is wrong, for people; undefined if all of it is sound. */
export function checkPages(descriptor: number): string | undefined {
  for (;;) {
    const before = newestMeta(descriptor);
    if (before === undefined) return checkMeta(descriptor);
    const found = check(descriptor, before);
    // Another process may have written meanwhile and re-used pages of this snapshot: then it was no damage, look again.
    const after = newestMeta(descriptor);
    if (found === undefined || after === undefined || after.transaction === before.transaction) return found;
  }
}

function check(descriptor: number, snapshot: Meta): string | undefined {
  try {
    new Checker(descriptor, snapshot).run();
    return undefined;
  } catch (error) {
    if (error instanceof Unsound || error instanceof RangeError) return error.message;
    throw error;
  }
}

/** What a leaf's data has to be. */
type Check = (key: Buffer, data: Buffer) => void;

class Checker {
  readonly #descriptor: number;
  readonly #snapshot: Meta;
  readonly #fileSize_bytes: number;
  #pages = 0;

  constructor(descriptor: number, snapshot: Meta) {
    this.#descriptor = descriptor;
    this.#snapshot = snapshot;
    this.#fileSize_bytes = fstatSync(descriptor).size;
  }

  run(): void {
    this.#tree(this.#snapshot.freeTree, (_key, data) => {
      this.#freeList(data);
    });
    this.#tree(this.#snapshot.mainTree, undefined);
  }

  /** `data` undefined: the tree of trees. */
  #tree(bytes: Buffer, data: Check | undefined): void {
    const root = bytes.readBigUInt64LE(tree.root);
    const entries = bytes.readBigUInt64LE(tree.entries);
    const depth = bytes.readUInt16LE(tree.depth);
    if (depth > deepest) fail('a tree is too deep');
    const found = root === noRoot ? 0 : this.#page(Number(root), depth, data);
    if (BigInt(found) !== entries) fail(`a table of ${entries} rows has ${found}`);
  }

  /** Returns how many rows lie below. */
  #page(number: number, depth: number, data: Check | undefined): number {
    const bytes = this.#read(number, 1);
    const flags = bytes.readUInt16LE(page.flags);
    const isLeaf = depth === 1;
    if (bytes.readBigUInt64LE(page.number) !== BigInt(number))
      fail(`page ${number} has the number of another`);
    if (flags !== (isLeaf ? pageFlags.leaf : pageFlags.branch)) fail(`page ${number} is of the wrong kind`);
    const lower = bytes.readUInt16LE(page.lower);
    const upper = bytes.readUInt16LE(page.upper) + header_bytes;
    const count = lower >> 1;
    if (header_bytes + lower > upper || upper > bytes.length || count === 0)
      fail(`page ${number} has wrong bounds`);
    let rows = 0;
    let before: Buffer | undefined;
    for (let index = 0; index < count; index++) {
      const at = bytes.readUInt16LE(header_bytes + index * 2) + header_bytes;
      if (at < upper || at + nodeHeader_bytes > bytes.length) fail(`page ${number} has wrong bounds`);
      const size = bytes.readUInt32LE(at);
      const kind = bytes.readUInt16LE(at + 4);
      const keyEnd = at + nodeHeader_bytes + bytes.readUInt16LE(at + 6);
      if (keyEnd > bytes.length) fail(`page ${number} has wrong bounds`);
      const key = bytes.subarray(at + nodeHeader_bytes, keyEnd);
      if (isLeaf) {
        this.#leaf(key, bytes.subarray(keyEnd), size, kind, data);
        rows++;
      } else rows += this.#page(size + kind * 2 ** 32, depth - 1, data);
      const isFirstOfBranch = !isLeaf && index === 0;
      if (!isFirstOfBranch && before !== undefined && !this.#isInOrder(before, key, data))
        fail('keys are out of order');
      if (!isFirstOfBranch) before = key;
    }
    return rows;
  }

  /** The free list has numbers in the machine's byte order as keys; their order does not matter here. */
  #isInOrder(before: Buffer, key: Buffer, data: Check | undefined): boolean {
    return (data !== undefined && data !== checkRow) || Buffer.compare(before, key) < 0;
  }

  #leaf(key: Buffer, rest: Buffer, size: number, kind: number, data: Check | undefined): void {
    const isBig = kind === nodeFlags.big;
    if (!isBig && kind !== (data === undefined ? nodeFlags.tree : 0)) fail('a row is of the wrong kind');
    if ((isBig ? bigReference_bytes : size) > rest.length) fail('a row is longer than its page');
    const value = isBig ? this.#big(rest, size) : rest.subarray(0, size);
    if (data !== undefined) data(key, value);
    else if (value.length !== tree_bytes) fail('a table has a wrong description');
    else this.#tree(value, checkRow);
  }

  #big(reference: Buffer, size: number): Buffer {
    const number = Number(reference.readBigUInt64LE(0));
    const count = Math.ceil((header_bytes + size) / this.#snapshot.pageSize_bytes);
    const bytes = this.#read(number, count);
    const isRight =
      bytes.readBigUInt64LE(page.number) === BigInt(number) &&
      bytes.readUInt16LE(page.flags) === pageFlags.overflow &&
      bytes.readUInt32LE(page.count) === count;
    if (!isRight) fail(`page ${number} is of the wrong kind`);
    return bytes.subarray(header_bytes, header_bytes + size);
  }

  /** A count, then page numbers, or negative lengths of runs of pages. */
  #freeList(data: Buffer): void {
    const count = data.length >= 8 ? data.readBigInt64LE(0) : -1n;
    if (count < 0n || (count + 1n) * 8n > BigInt(data.length)) fail('the list of free pages is damaged');
    const last = BigInt(this.#snapshot.lastPage);
    for (let at = 8; at < (Number(count) + 1) * 8; at += 8) {
      const number = data.readBigInt64LE(at);
      if (number > last || -number > last) fail('the list of free pages is damaged');
    }
  }

  #read(number: number, count: number): Buffer {
    const { pageSize_bytes, lastPage } = this.#snapshot;
    if (number < 2 || number + count - 1 > lastPage) fail(`there is no page ${number}`);
    if ((number + count) * pageSize_bytes > this.#fileSize_bytes) fail('its end is missing');
    // What is no tree would be walked for ever.
    this.#pages += count;
    if (this.#pages * pageSize_bytes > this.#fileSize_bytes) fail('a page is in more than one place');
    const bytes = readAt(this.#descriptor, number * pageSize_bytes, count * pageSize_bytes);
    return bytes.length === count * pageSize_bytes ? bytes : fail('its end is missing');
  }
}

function checkRow(key: Buffer, data: Buffer): void {
  if (data.length < checksum_bytes || data.readUInt32LE(0) !== checksum(key, data, checksum_bytes))
    fail('a row does not match its checksum');
}
