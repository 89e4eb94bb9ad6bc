// Answers requests of the kernel out of the tree. Runs in the worker threads and, for history and for reads, in the main
// thread. Whatever the request holds and whatever the tree throws, the answer is an errno at worst. Touches no descriptor.

import type { Tree } from '../tree/index.js';
import { isDirectory } from '../tree/attributes.js';
import type { NodeId } from '../tree/node.js';
import { errno, opcodes, seek, writingOpcodes } from '../protocol/constants.js';
import { negotiate, ourVersion } from '../protocol/init.js';
import {
  decodeBatchForget,
  decodeForget,
  decodeHeader,
  decodeInit,
  decodeInterrupt,
  decodeName,
  decodeRead,
  decodeSeek,
  decodeXattrName,
  decodeXattrSize,
  type RequestHeader,
} from '../protocol/request.js';
import { ReplyWriter } from '../protocol/reply.js';
import { DirectoryPages } from './directory-pages.js';
import { forever_s, growing_s, lifetimesIn } from './lifetimes.js';

export type Outcome =
  /** Write these bytes before the next request is given to the session. */
  | { readonly kind: 'reply'; readonly bytes: Buffer }
  | { readonly kind: 'none' }
  | {
      readonly kind: 'read';
      readonly unique: bigint;
      readonly node: NodeId;
      readonly offset: number;
      readonly size_bytes: number;
    }
  | { readonly kind: 'interrupt'; readonly unique: bigint; readonly target: bigint };

export interface SessionOptions {
  readonly tree: Tree;
  readonly checkAccess: boolean;
  onWarning(message: string): void;
  /** The kernel and we have agreed, or it is too old. */
  onInit(isSupported: boolean): void;
}

const none: Outcome = { kind: 'none' };
export class Session {
  readonly #options: SessionOptions;
  readonly #tree: Tree;
  readonly #replies = new ReplyWriter();
  readonly #pages: DirectoryPages;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#tree = options.tree;
    this.#pages = new DirectoryPages(options.tree);
  }

  /** True for what the main thread answers: content, and everything that needs the table of history paths. */
  isForMain(bytes: Buffer): boolean {
    const header = decodeHeader(bytes);
    if (header === undefined) return false;
    if (header.opcode === opcodes.INTERRUPT) return true;
    if (header.opcode === opcodes.BATCH_FORGET) {
      return decodeBatchForget(header.body).some(({ node }) => this.#tree.isHistory(node));
    }
    return header.node !== undefined && this.#tree.isHistory(header.node);
  }

  answer(bytes: Buffer): Outcome {
    const header = decodeHeader(bytes);
    if (header === undefined) return none;
    try {
      return this.#answer(header);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#options.onWarning(`a request of the kernel (${header.opcode}) ended in an error: ${why}`);
      return this.#error(header, errno.EIO);
    }
  }

  /** Does what is likely to be asked for next; to be called once the last reply is written. False if nobody knows what that is. */
  lookAhead(): boolean {
    return this.#pages.makeNext();
  }

  #answer(header: RequestHeader): Outcome {
    const { opcode, unique, body } = header;
    switch (opcode) {
      case opcodes.INIT:
        return this.#init(header);
      case opcodes.FORGET:
        if (header.node !== undefined) this.#tree.history.forget(header.node, decodeForget(body) ?? 0);
        return none;
      case opcodes.BATCH_FORGET:
        for (const { node, lookups } of decodeBatchForget(body)) this.#tree.history.forget(node, lookups);
        return none;
      case opcodes.INTERRUPT: {
        const target = decodeInterrupt(body);
        return target === undefined ? none : { kind: 'interrupt', unique, target };
      }
      case opcodes.DESTROY:
      case opcodes.RELEASE:
      case opcodes.RELEASEDIR:
        return reply(this.#replies.empty(unique));
      case opcodes.STATFS:
        return reply(this.#replies.totals(unique, this.#tree.totals()));
    }
    if (writingOpcodes.has(opcode)) return this.#error(header, errno.EROFS);
    if (header.node === undefined) return this.#error(header, errno.ESTALE);
    return this.#answerNode(header, header.node);
  }

  #answerNode(header: RequestHeader, node: NodeId): Outcome {
    const { opcode, unique, body } = header;
    switch (opcode) {
      case opcodes.LOOKUP:
        return this.#lookup(header, node);
      case opcodes.GETATTR: {
        const attributes = this.#tree.getattr(node);
        if (attributes === undefined) return this.#error(header, errno.ESTALE);
        const lifetime_s = this.#tree.isImmutable(node) ? forever_s : growing_s;
        return reply(this.#replies.attributes(unique, node, attributes, lifetime_s));
      }
      case opcodes.READLINK: {
        const target = this.#tree.readlink(node);
        return target === undefined
          ? this.#error(header, this.#missing(node, errno.EINVAL))
          : reply(this.#replies.bytes(unique, target));
      }
      case opcodes.READ: {
        const read = decodeRead(body);
        return read === undefined
          ? this.#error(header, errno.EINVAL)
          : { kind: 'read', unique, node, ...read };
      }
      case opcodes.READDIR:
      case opcodes.READDIRPLUS:
        return this.#readdir(header, node);
      case opcodes.GETXATTR:
      case opcodes.LISTXATTR:
        return this.#xattr(header, node);
      case opcodes.LSEEK:
        return this.#seek(header, node);
      default:
        // OPEN, OPENDIR, FLUSH and ACCESS among them: the kernel then stops asking.
        return this.#error(header, errno.ENOSYS);
    }
  }

  #init(header: RequestHeader): Outcome {
    const request = decodeInit(header.body);
    if (request === undefined) return this.#error(header, errno.EINVAL);
    const agreed = negotiate(request, this.#options.checkAccess);
    if (agreed === 'again') return reply(this.#replies.bytes(header.unique, ourVersion()));
    this.#options.onInit(agreed !== undefined);
    if (agreed === undefined) return this.#error(header, errno.EPROTO);
    return reply(this.#replies.bytes(header.unique, agreed));
  }

  #lookup(header: RequestHeader, parent: NodeId): Outcome {
    const name = decodeName(header.body);
    if (name === undefined) return this.#error(header, errno.EINVAL);
    if (name.length > 255) return this.#error(header, errno.ENAMETOOLONG);
    const found = this.#tree.lookup(parent, name);
    if (found !== undefined) {
      return reply(this.#replies.entry(header.unique, found, lifetimesIn(this.#tree, parent, found.node)));
    }
    if (!this.#tree.isImmutable(parent)) return this.#error(header, errno.ENOENT);
    // What is missing in a version is missing for ever, but the version itself may have been removed.
    if (this.#tree.getattr(parent) === undefined) return this.#error(header, errno.ESTALE);
    return reply(this.#replies.noEntry(header.unique, forever_s));
  }

  #readdir(header: RequestHeader, node: NodeId): Outcome {
    const read = decodeRead(header.body);
    if (read === undefined) return this.#error(header, errno.EINVAL);
    const isPlus = header.opcode === opcodes.READDIRPLUS;
    const page = this.#pages.answer(header.unique, { node, ...read, isPlus });
    if (page === 'no directory') return this.#error(header, this.#missing(node, errno.ENOTDIR));
    return page === 'no room' ? this.#error(header, errno.EINVAL) : reply(page);
  }

  #xattr(header: RequestHeader, node: NodeId): Outcome {
    const room_bytes = decodeXattrSize(header.body);
    const asked = header.opcode === opcodes.GETXATTR ? decodeXattrName(header.body) : undefined;
    // A file system without such attributes says so, and `ls -l` asks no second time. A kernel that enforces ACLs itself
    // would take it for a failure, but then it remembers every answer.
    if (asked !== undefined && !this.#options.checkAccess && this.#tree.isUnheardOf(asked))
      return this.#error(header, errno.EOPNOTSUPP);
    const xattrs = this.#tree.xattrs(node);
    if (room_bytes === undefined) return this.#error(header, errno.EINVAL);
    if (xattrs === undefined) return this.#error(header, errno.ESTALE);
    let value: Uint8Array | undefined;
    if (header.opcode === opcodes.LISTXATTR) {
      value = Buffer.concat(xattrs.flatMap(({ name }) => [name, Buffer.of(0)]));
    } else {
      if (asked === undefined) return this.#error(header, errno.EINVAL);
      value = xattrs.find((xattr) => asked.equals(xattr.name))?.value;
    }
    if (value === undefined) return this.#error(header, errno.ENODATA);
    if (room_bytes === 0) return reply(this.#replies.number32(header.unique, value.length));
    if (room_bytes < value.length) return this.#error(header, errno.ERANGE);
    return reply(this.#replies.bytes(header.unique, value));
  }

  #seek(header: RequestHeader, node: NodeId): Outcome {
    const request = decodeSeek(header.body);
    const entry = this.#tree.entry(node);
    if (request === undefined || (request.whence !== seek.DATA && request.whence !== seek.HOLE)) {
      return this.#error(header, errno.EINVAL);
    }
    if (entry?.type !== 'file') return this.#error(header, this.#missing(node, errno.ENXIO));
    if (request.offset >= entry.size_bytes) return this.#error(header, errno.ENXIO);
    const wanted = request.whence === seek.DATA ? 'chunk' : 'hole';
    let start = 0;
    for (const segment of entry.content) {
      const end = start + segment.size_bytes;
      if (segment.kind === wanted && end > request.offset) {
        return reply(this.#replies.number64(header.unique, Math.max(start, request.offset)));
      }
      start = end;
    }
    // Behind the last byte there is a hole, as everywhere.
    if (wanted === 'chunk') return this.#error(header, errno.ENXIO);
    return reply(this.#replies.number64(header.unique, entry.size_bytes));
  }

  #missing(node: NodeId, otherwise: number): number {
    const attributes = this.#tree.getattr(node);
    return attributes === undefined || isDirectory(attributes) ? errno.ESTALE : otherwise;
  }

  #error(header: RequestHeader, number: number): Outcome {
    return reply(this.#replies.error(header.unique, number));
  }
}

function reply(bytes: Buffer): Outcome {
  return { kind: 'reply', bytes };
}
