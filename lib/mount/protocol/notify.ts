// What a server may tell the kernel unasked: bytes of a file for its page cache. Such a call waits for pages that a reader of the
// same file has locked, so it belongs to threads that no reader waits for.

import { encodeNode, type NodeId } from '../tree/node.js';

const NOTIFY_STORE = 4;
// struct fuse_out_header, then struct fuse_notify_store_out
const layout = { len: 0, error: 4, unique: 8, nodeid: 16, offset: 24, size: 32, bytes: 40 } as const;

/** What stands before the bytes, in one writev with them. Only pages that they fill, or that end the file, become valid. */
export function storeHeader(node: NodeId, offset: number, size_bytes: number): Buffer {
  const header = Buffer.alloc(layout.bytes);
  header.writeUInt32LE(layout.bytes + size_bytes, layout.len);
  header.writeInt32LE(NOTIFY_STORE, layout.error);
  const { high, low } = encodeNode(node);
  header.writeUInt32LE(low, layout.nodeid);
  header.writeUInt32LE(high, layout.nodeid + 4);
  header.writeUInt32LE(offset % 2 ** 32, layout.offset);
  header.writeUInt32LE(Math.floor(offset / 2 ** 32), layout.offset + 4);
  header.writeUInt32LE(size_bytes, layout.size);
  return header;
}
