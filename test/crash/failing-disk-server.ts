// Serves a FailingDisk as a process of its own: shows a directory as it is and has one call fail when it is told to. Reads the
// kernel's requests from descriptor 3, one after the other; the control file's calls are not counted.

import fs from 'node:fs';
import { constants } from 'node:os';
import path from 'node:path';
import { systemClock } from '../../lib/clock.js';
import { readRequest, writeReply } from '../../lib/mount/drivers/device.js';
import { opcodes as op } from '../../lib/mount/protocol/constants.js';
import { setModified } from '../../lib/posix/attributes.js';
import { controlName, type Fault, type FaultReport } from './failing-disk.js';

const device = 3;
const backing = process.argv[2]!;
const { ENOSYS, ENOENT, EIO } = constants.errno;
const maximumWrite_bytes = 128 * 1024;
const big_writes = 1 << 5;
const header_bytes = 40;
const second_ns = 1_000_000_000n;
const controlNode = 2n;

const writing: readonly number[] = [
  ...[op.CREATE, op.WRITE, op.MKDIR, op.SETATTR, op.LINK, op.SYMLINK],
  ...[op.RENAME, op.RENAME2, op.FSYNC, op.FSYNCDIR, op.UNLINK, op.RMDIR],
];
const opening: readonly number[] = [op.OPEN, op.CREATE, op.OPENDIR];
const reading: readonly number[] = [op.LOOKUP, op.GETATTR, op.READ, op.READDIR, op.READLINK];
const kinds = { writing, opening, all: [...writing, ...opening, ...reading] };
const kindNames = ['writing', 'opening', 'all'] as const;

let fault: Fault = { below: '', calls: 'all', nth: 0, errno: EIO };
const none: FaultReport = { calls: { writing: 0, opening: 0, all: 0 }, failed: '' };
let report = none;

/** What the kernel knows by a number: paths below `backing`. */
const paths = new Map<bigint, string>([[1n, '']]);
const ids = new Map<string, bigint>([['', 1n]]);
let lastId = controlNode;
const listings = new Map<number, readonly string[]>();
let lastListing = 2 ** 20;

const at = (relative: string): string => path.join(backing, relative);

function idOf(relative: string): bigint {
  let id = ids.get(relative);
  if (id === undefined) {
    id = ++lastId;
    ids.set(relative, id);
    paths.set(id, relative);
  }
  return id;
}

/** What was known by a name, and below it, is known by another one. */
function renamed(from: string, to: string): void {
  for (const [known, id] of [...ids]) {
    if (known !== from && !known.startsWith(`${from}/`)) continue;
    const now = to + known.slice(from.length);
    ids.delete(known);
    ids.set(now, id);
    paths.set(id, now);
  }
}

const statOf = (relative: string): fs.BigIntStats => fs.lstatSync(at(relative), { bigint: true });

/** struct fuse_attr, behind `before` bytes of zeros: nothing is remembered longer than the call. */
function attributes(stat: fs.BigIntStats, before: number): Buffer {
  const into = Buffer.alloc(before + 88);
  into.writeBigUInt64LE(stat.ino, before);
  into.writeBigUInt64LE(stat.size, before + 8);
  into.writeBigUInt64LE(stat.blocks, before + 16);
  for (const [index, time_ns] of [stat.atimeNs, stat.mtimeNs, stat.ctimeNs].entries()) {
    into.writeBigInt64LE(time_ns / second_ns, before + 24 + index * 8);
    into.writeUInt32LE(Number(time_ns % second_ns), before + 48 + index * 4);
  }
  const words = [stat.mode, stat.nlink, stat.uid, stat.gid, stat.rdev, 4096n];
  for (const [index, word] of words.entries()) into.writeUInt32LE(Number(word), before + 60 + index * 4);
  return into;
}

/** struct fuse_entry_out */
function entry(relative: string): Buffer {
  const reply = attributes(statOf(relative), 40);
  reply.writeBigUInt64LE(idOf(relative), 0);
  return reply;
}

/** struct fuse_open_out, or another that begins with a number and has as many bytes. */
function handleReply(handle: number): Buffer {
  const reply = Buffer.alloc(16);
  reply.writeBigUInt64LE(BigInt(handle), 0);
  return reply;
}

function listing(names: readonly string[], offset: number, room_bytes: number): Buffer {
  const parts: Buffer[] = [];
  let left_bytes = room_bytes;
  for (let index = offset; index < names.length; index++) {
    const name = Buffer.from(names[index]!);
    const entryOut = Buffer.alloc((24 + name.length + 7) & ~7);
    left_bytes -= entryOut.length;
    if (left_bytes < 0) break;
    entryOut.writeBigUInt64LE(1n, 0);
    entryOut.writeBigUInt64LE(BigInt(index + 1), 8);
    entryOut.writeUInt32LE(name.length, 16);
    entryOut.set(name, 24);
    parts.push(entryOut);
  }
  return Buffer.concat(parts);
}

/** struct fuse_setattr_in */
function change(file: string, body: Buffer): void {
  const valid = { mode: 1, uid: 2, gid: 4, size: 8, mtime: 32, mtimeNow: 256 };
  const asks = (bit: number): boolean => (body.readUInt32LE(0) & bit) !== 0;
  if (asks(valid.size)) fs.truncateSync(file, Number(body.readBigUInt64LE(16)));
  if (asks(valid.mode)) fs.chmodSync(file, body.readUInt32LE(68) & 0o7777);
  if (asks(valid.uid | valid.gid)) {
    const { uid, gid } = fs.lstatSync(file);
    fs.lchownSync(
      file,
      asks(valid.uid) ? body.readUInt32LE(76) : uid,
      asks(valid.gid) ? body.readUInt32LE(80) : gid,
    );
  }
  const given_ns = body.readBigInt64LE(40) * second_ns + BigInt(body.readUInt32LE(60));
  if (asks(valid.mtime))
    setModified(Buffer.from(file), asks(valid.mtimeNow) ? systemClock.now_ns() : given_ns);
}

/** The parts of a reply; undefined for what has none. Throws what the file system throws. */
function answer(opcode: number, node: bigint, body: Buffer): Buffer | undefined {
  const text = (from: number): string => body.toString('utf8', from, body.indexOf(0, from));
  const here = paths.get(node) ?? '';
  const child = (from: number, parent = here): string => path.join(parent, text(from));
  const handle = (): number => Number(body.readBigUInt64LE(0));
  const empty = Buffer.alloc(0);
  switch (opcode) {
    case op.INIT: {
      const reply = Buffer.alloc(64);
      reply.writeUInt32LE(7, 0);
      reply.writeUInt32LE(31, 4);
      reply.writeUInt32LE(body.readUInt32LE(8), 8);
      reply.writeUInt32LE(big_writes, 12);
      reply.writeUInt32LE(maximumWrite_bytes, 20);
      reply.writeUInt32LE(1, 24);
      return reply;
    }
    case op.LOOKUP:
      return entry(child(0));
    case op.GETATTR:
      return attributes(
        body.readUInt32LE(0) & 1
          ? fs.fstatSync(Number(body.readBigUInt64LE(8)), { bigint: true })
          : statOf(here),
        16,
      );
    case op.SETATTR:
      change(at(here), body);
      return attributes(statOf(here), 16);
    case op.READLINK:
      return Buffer.from(fs.readlinkSync(at(here)));
    case op.SYMLINK:
      fs.symlinkSync(text(body.indexOf(0) + 1), at(child(0)));
      return entry(child(0));
    case op.MKDIR:
      fs.mkdirSync(at(child(8)), { mode: body.readUInt32LE(0) });
      return entry(child(8));
    case op.UNLINK:
    case op.RMDIR:
      if (opcode === op.UNLINK) fs.unlinkSync(at(child(0)));
      else fs.rmdirSync(at(child(0)));
      ids.delete(child(0));
      return empty;
    case op.RENAME:
    case op.RENAME2: {
      const from_at = opcode === op.RENAME ? 8 : 16;
      const to = child(body.indexOf(0, from_at) + 1, paths.get(body.readBigUInt64LE(0)));
      fs.renameSync(at(child(from_at)), at(to));
      ids.delete(to);
      renamed(child(from_at), to);
      return empty;
    }
    case op.LINK:
      fs.linkSync(at(paths.get(body.readBigUInt64LE(0))!), at(child(8)));
      return entry(child(8));
    case op.OPEN:
      return handleReply(fs.openSync(at(here), body.readUInt32LE(0) & ~fs.constants.O_NOFOLLOW));
    case op.CREATE: {
      const fd = fs.openSync(
        at(child(16)),
        body.readUInt32LE(0) | fs.constants.O_CREAT,
        body.readUInt32LE(4),
      );
      return Buffer.concat([entry(child(16)), handleReply(fd)]);
    }
    case op.READ: {
      const bytes = Buffer.alloc(body.readUInt32LE(16));
      return bytes.subarray(0, fs.readSync(handle(), bytes, 0, bytes.length, body.readBigInt64LE(8)));
    }
    case op.WRITE: {
      const size_bytes = body.readUInt32LE(16);
      const written = fs.writeSync(handle(), body, 40, size_bytes, Number(body.readBigUInt64LE(8)));
      const reply = Buffer.alloc(8);
      reply.writeUInt32LE(written, 0);
      return reply;
    }
    case op.FSYNC:
    case op.FLUSH:
    case op.FSYNCDIR:
      return empty;
    case op.RELEASE:
      fs.closeSync(handle());
      return empty;
    case op.OPENDIR:
      listings.set(++lastListing, ['.', '..', ...fs.readdirSync(at(here))]);
      return handleReply(lastListing);
    case op.READDIR:
      return listing(listings.get(handle()) ?? [], Number(body.readBigUInt64LE(8)), body.readUInt32LE(16));
    case op.RELEASEDIR:
      listings.delete(handle());
      return empty;
    case op.STATFS: {
      const reply = Buffer.alloc(80);
      const blocks = BigInt(2 ** 30);
      for (const offset of [0, 8, 16, 24, 32]) reply.writeBigUInt64LE(blocks, offset);
      reply.writeUInt32LE(4096, 40);
      reply.writeUInt32LE(255, 44);
      reply.writeUInt32LE(4096, 48);
      return reply;
    }
    case op.FORGET:
    case op.BATCH_FORGET:
    case op.INTERRUPT:
    case op.DESTROY:
      return undefined;
    default:
      throw Object.assign(new Error('not here'), { errno: -ENOSYS });
  }
}

/** The same for the file that tells and is asked; undefined for every other. */
function control(opcode: number, node: bigint, body: Buffer): Buffer | undefined {
  const isLookup =
    opcode === op.LOOKUP && node === 1n && body.toString('utf8', 0, body.length - 1) === controlName;
  if (node !== controlNode && !isLookup) return undefined;
  const said = Buffer.from(JSON.stringify(report));
  const stat = {
    ...statOf(''),
    mode: BigInt(0o100600),
    size: BigInt(said.length),
    nlink: 1n,
  } as fs.BigIntStats;
  switch (opcode) {
    case op.LOOKUP: {
      const reply = attributes(stat, 40);
      reply.writeBigUInt64LE(controlNode, 0);
      return reply;
    }
    case op.GETATTR:
    case op.SETATTR:
      return attributes(stat, 16);
    case op.READ:
      return said.subarray(Number(body.readBigUInt64LE(8)));
    case op.WRITE: {
      const size_bytes = body.readUInt32LE(16);
      fault = JSON.parse(body.toString('utf8', 40, 40 + size_bytes)) as Fault;
      report = none;
      const reply = Buffer.alloc(8);
      reply.writeUInt32LE(size_bytes, 0);
      return reply;
    }
    case op.OPEN:
      return handleReply(0);
    default:
      return Buffer.alloc(0);
  }
}

/** Throws where this call is the one that fails. */
function count(opcode: number, node: bigint, body: Buffer): void {
  const isLookup = opcode === op.LOOKUP;
  const here = paths.get(node) ?? '';
  const where = isLookup ? path.join(here, body.toString('utf8', 0, body.length - 1)) : here;
  if (where !== fault.below && !where.startsWith(`${fault.below}/`)) return;
  const calls = { ...report.calls };
  for (const kind of kindNames) if (kinds[kind].includes(opcode)) calls[kind]++;
  const fails = kinds[fault.calls].includes(opcode) && calls[fault.calls] === fault.nth;
  const name = Object.entries(op).find(([, number]) => number === opcode)?.[0] ?? '';
  report = { calls, failed: fails ? `${name} ${where}` : report.failed };
  if (fails) throw Object.assign(new Error('as told'), { errno: -fault.errno });
}

const request = Buffer.alloc(maximumWrite_bytes + 4096);
for (;;) {
  const length = readRequest(device, request);
  if (length === 'gone') break;
  if (length === 'again') continue;
  const [opcode, unique, node] = [
    request.readUInt32LE(4),
    request.readBigUInt64LE(8),
    request.readBigUInt64LE(16),
  ];
  const body = request.subarray(header_bytes, length);
  let reply: Buffer | undefined;
  let error = 0;
  try {
    reply = control(opcode, node, body);
    if (reply === undefined) {
      count(opcode, node, body);
      reply = answer(opcode, node, body);
      if (reply === undefined) continue;
    }
  } catch (thrown) {
    error = (thrown as { errno?: number }).errno ?? -ENOENT;
    reply = Buffer.alloc(0);
  }
  const header = Buffer.alloc(16);
  header.writeUInt32LE(header.length + reply.length, 0);
  header.writeInt32LE(error, 4);
  header.writeBigUInt64LE(unique, 8);
  writeReply(device, reply.length === 0 ? [header] : [header, reply]);
}
