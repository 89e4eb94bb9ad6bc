// What a server may tell the kernel unasked: bytes of a file for its page cache. Such a call waits for pages that a reader of the
// same file has locked, so it belongs to threads that no reader waits for.

import { encodeNode, type NodeId } from '../tree/node.js';

const NOTIFY_STORE = 4;
// struct fuse_out_header, then struct fuse_notify_store_out
const layout = { len: 0, error: 4, unique: 8, nodeid: 16, offset: 24, size: 32, bytes: 40 } as const;

/** Room at the beginning of a message, before the bytes. */
export const storeHeader_bytes = layout.bytes;

/** Completes a message whose bytes stand behind the room. Only pages that they fill, or that end the file, become valid. */
export function writeStoreHeader(header: Buffer, node: NodeId, offset: number): void {
  header.writeUInt32LE(header.length, layout.len);
  header.writeInt32LE(NOTIFY_STORE, layout.error);
  header.fill(0, layout.unique, layout.nodeid);
  const { high, low } = encodeNode(node);
  header.writeUInt32LE(low, layout.nodeid);
  header.writeUInt32LE(high, layout.nodeid + 4);
  header.writeUInt32LE(offset % 2 ** 32, layout.offset);
  header.writeUInt32LE(Math.floor(offset / 2 ** 32), layout.offset + 4);
  header.writeUInt32LE(header.length - layout.bytes, layout.size);
  header.writeUInt32LE(0, layout.size + 4);
}
