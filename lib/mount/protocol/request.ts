// Requests of the kernel, decoded: a header of 40 bytes, then a body per opcode. Every field is checked against the length
// that was read; what does not fit is undefined, and the caller answers EINVAL. Never throws, never copies.

import { decodeNode, type NodeId } from '../tree/node.js';

const requestHeader_bytes = 40;

// struct fuse_in_header
const header = { len: 0, opcode: 4, unique: 8, nodeid: 16 } as const;

export interface RequestHeader {
  readonly opcode: number;
  readonly unique: bigint;
  /** undefined for a number that no node of ours has. */
  readonly node: NodeId | undefined;
  /** Behind the header; as long as the header says. */
  readonly body: Buffer;
}

/** undefined for bytes too short to be answered at all. */
export function decodeHeader(bytes: Buffer): RequestHeader | undefined {
  if (bytes.length < requestHeader_bytes) return undefined;
  const length = bytes.readUInt32LE(header.len);
  return {
    opcode: bytes.readUInt32LE(header.opcode),
    unique: bytes.readBigUInt64LE(header.unique),
    node: decodeNode(bytes.readUInt32LE(header.nodeid + 4), bytes.readUInt32LE(header.nodeid)),
    body: bytes.subarray(requestHeader_bytes, Math.max(requestHeader_bytes, length)),
  };
}

/** A file name with its NUL: LOOKUP, and GETXATTR behind its fixed part. */
export function decodeName(body: Buffer, from = 0): Buffer | undefined {
  const end = body.indexOf(0, from);
  return end <= from ? undefined : body.subarray(from, end);
}

// struct fuse_init_in
const init = { major: 0, minor: 4, max_readahead: 8, flags: 12, bytes: 16 } as const;

export interface InitRequest {
  readonly major: number;
  readonly minor: number;
  readonly maximumReadahead_bytes: number;
  readonly flags: number;
}

export function decodeInit(body: Buffer): InitRequest | undefined {
  if (body.length < init.bytes) return undefined;
  return {
    major: body.readUInt32LE(init.major),
    minor: body.readUInt32LE(init.minor),
    maximumReadahead_bytes: body.readUInt32LE(init.max_readahead),
    flags: body.readUInt32LE(init.flags),
  };
}

// struct fuse_read_in; READ, READDIR, READDIRPLUS
const read = { offset: 8, size: 16, bytes: 40 } as const;

export interface ReadRequest {
  /** Bytes of a file, or the place in a listing. */
  readonly offset: number;
  readonly size_bytes: number;
}

export function decodeRead(body: Buffer): ReadRequest | undefined {
  const offset = body.length < read.bytes ? undefined : safe64(body, read.offset);
  return offset === undefined ? undefined : { offset, size_bytes: body.readUInt32LE(read.size) };
}

// struct fuse_getxattr_in; GETXATTR (a name follows), LISTXATTR
const xattr = { size: 0, bytes: 8 } as const;

/** Room for the answer; 0 asks how much is needed. */
export function decodeXattrSize(body: Buffer): number | undefined {
  return body.length < xattr.bytes ? undefined : body.readUInt32LE(xattr.size);
}

export function decodeXattrName(body: Buffer): Buffer | undefined {
  return decodeName(body, xattr.bytes);
}

// struct fuse_lseek_in
const lseek = { offset: 8, whence: 16, bytes: 24 } as const;

export interface SeekRequest {
  readonly offset: number;
  readonly whence: number;
}

export function decodeSeek(body: Buffer): SeekRequest | undefined {
  const offset = body.length < lseek.bytes ? undefined : safe64(body, lseek.offset);
  return offset === undefined ? undefined : { offset, whence: body.readUInt32LE(lseek.whence) };
}

/** struct fuse_interrupt_in: the request that nobody waits for any more. */
export function decodeInterrupt(body: Buffer): bigint | undefined {
  return body.length < 8 ? undefined : body.readBigUInt64LE(0);
}

/** struct fuse_forget_in: how many lookups of the header's node are given back. */
export function decodeForget(body: Buffer): number | undefined {
  return body.length < 8 ? undefined : safe64(body, 0);
}

// struct fuse_batch_forget_in, then that many struct fuse_forget_one
const batch = { count: 0, items: 8 } as const;
const forgetOne = { nodeid: 0, nlookup: 8, bytes: 16 } as const;

export interface Forget {
  readonly node: NodeId;
  readonly lookups: number;
}

export function decodeBatchForget(body: Buffer): Forget[] {
  if (body.length < batch.items) return [];
  const room = Math.floor((body.length - batch.items) / forgetOne.bytes);
  const count = Math.min(body.readUInt32LE(batch.count), room);
  const forgets: Forget[] = [];
  for (let index = 0; index < count; index++) {
    const at = batch.items + index * forgetOne.bytes + forgetOne.nodeid;
    const node = decodeNode(body.readUInt32LE(at + 4), body.readUInt32LE(at));
    const lookups = safe64(body, at + forgetOne.nlookup);
    if (node !== undefined && lookups !== undefined) forgets.push({ node, lookups });
  }
  return forgets;
}

function safe64(bytes: Buffer, at: number): number | undefined {
  const high = bytes.readUInt32LE(at + 4);
  return high >= 2 ** 21 ? undefined : high * 2 ** 32 + bytes.readUInt32LE(at);
}
