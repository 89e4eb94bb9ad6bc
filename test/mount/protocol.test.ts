// The wire format: offsets as <linux/fuse.h> has them, and no request that ends in an exception.

import fc from 'fast-check';
import t from 'tap';
import { Session, type Outcome } from '../../lib/mount/drivers/session.js';
import { errno, opcodes } from '../../lib/mount/protocol/constants.js';
import { Tree } from '../../lib/mount/tree/index.js';
import { nodeNumber, rootNode, type NodeId } from '../../lib/mount/tree/node.js';
import { scratchDirectory } from '../trees.js';
import { directory, TestRepository } from './repository.js';

const day1_ns = 1_795_230_000_000_000_000n;
const inHeader_bytes = 40;

function request(opcode: number, node: bigint, body: Buffer = Buffer.alloc(0), unique = 42n): Buffer {
  const header = Buffer.alloc(inHeader_bytes);
  header.writeUInt32LE(inHeader_bytes + body.length, 0);
  header.writeUInt32LE(opcode, 4);
  header.writeBigUInt64LE(unique, 8);
  header.writeBigUInt64LE(node, 16);
  return Buffer.concat([header, body]);
}

function replyOf(outcome: Outcome): { error: number; body: Buffer } {
  if (outcome.kind !== 'reply') throw new Error(`no reply but ${outcome.kind}`);
  const bytes = Buffer.from(outcome.bytes);
  if (bytes.readUInt32LE(0) !== bytes.length) throw new Error('the length is wrong');
  if (bytes.readBigUInt64LE(8) !== 42n) throw new Error('the request is not named');
  return { error: -bytes.readInt32LE(4), body: bytes.subarray(16) };
}

const testOf = async (test: Parameters<typeof scratchDirectory>[0], warnings: string[] = []) => {
  const repository = await TestRepository.create(scratchDirectory(test));
  test.teardown(() => repository.catalog.close());
  await repository.commit('here', 'docs', day1_ns, {
    file: { content: 'text', xattrs: { 'user.a': 'value' }, mtime_ns: -1n },
    d: directory,
    link: { type: 'symlink', target: 'file' },
  });
  const tree = new Tree(repository.catalog, { host: 'here', owner: { uid: 0, gid: 0 } });
  const inits: boolean[] = [];
  const session = new Session({
    tree,
    checkAccess: false,
    onWarning: (message) => warnings.push(message),
    onInit: (isSupported) => inits.push(isSupported),
  });
  const node = (...names: string[]): NodeId =>
    names.reduce((parent, name) => tree.lookup(parent, Buffer.from(name))!.node, rootNode);
  const version = node('docs', '2026-11-21T03-00-00Z');
  return {
    session,
    tree,
    inits,
    version: nodeNumber(version),
    file: nodeNumber(tree.lookup(version, Buffer.from('file'))!.node),
  };
};

const u32 = (...values: number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => bytes.writeUInt32LE(value, index * 4));
  return bytes;
};

void t.test('INIT: versions and flags', async (test) => {
  const { session, inits } = await testOf(test);
  const init = (major: number, minor: number) =>
    replyOf(session.answer(request(opcodes.INIT, 0n, u32(major, minor, 131072, 0x73fffffb))));
  const agreed = init(7, 45).body;
  test.strictSame([agreed.readUInt32LE(0), agreed.readUInt32LE(4), agreed.length], [7, 38, 64]);
  test.equal(agreed.readUInt16LE(28), 256, 'reads of a mebibyte');
  test.equal(agreed.readUInt32LE(12) & (1 << 20), 0, 'ACLs are enforced only where others may enter');
  test.equal(init(7, 31).body.readUInt32LE(4), 31);
  test.equal(init(7, 30).error, errno.EPROTO);
  test.equal(init(8, 0).body.readUInt32LE(0), 7, 'a newer kernel is told our version');
  test.strictSame(inits, [true, true, false]);
});

void t.test('LOOKUP, GETATTR, xattrs at their offsets', async (test) => {
  const { session, version, file } = await testOf(test);
  const found = replyOf(session.answer(request(opcodes.LOOKUP, version, Buffer.from('file\0')))).body;
  test.equal(found.length, 128);
  test.equal(found.readBigUInt64LE(0), file);
  test.equal(found.readBigUInt64LE(16), 86_400n, 'a day for a name in a version');
  test.strictSame([found.readBigUInt64LE(40), found.readBigUInt64LE(48)], [file, 4n]);
  test.strictSame([found.readBigInt64LE(72), found.readUInt32LE(92)], [-1n, 999_999_999], 'before 1970');
  const absent = replyOf(session.answer(request(opcodes.LOOKUP, version, Buffer.from('absent\0'))));
  test.strictSame([absent.error, absent.body.readBigUInt64LE(0)], [0, 0n], 'absence is remembered');
  test.equal(
    replyOf(session.answer(request(opcodes.LOOKUP, 1n, Buffer.from('absent\0')))).error,
    errno.ENOENT,
  );
  test.equal(
    replyOf(session.answer(request(opcodes.GETATTR, 1n, Buffer.alloc(16)))).body.readUInt32LE(16 + 60),
    0o40555,
  );
  const get = (size: number, name = 'user.a') =>
    replyOf(
      session.answer(
        request(opcodes.GETXATTR, file, Buffer.concat([u32(size, 0), Buffer.from(`${name}\0`)])),
      ),
    );
  test.equal(get(0).body.readUInt32LE(0), 5);
  test.equal(get(5).body.toString(), 'value');
  test.equal(get(4).error, errno.ERANGE);
  test.equal(get(0, 'user.b').error, errno.ENODATA);
  test.equal(
    replyOf(session.answer(request(opcodes.LISTXATTR, file, u32(100, 0)))).body.toString(),
    'user.a\0',
  );
});

void t.test('what would write is refused; what is unknown is not there', async (test) => {
  const { session, file } = await testOf(test);
  test.equal(replyOf(session.answer(request(opcodes.WRITE, file))).error, errno.EROFS);
  test.equal(replyOf(session.answer(request(opcodes.OPEN, file))).error, errno.ENOSYS);
  test.equal(replyOf(session.answer(request(4000, file))).error, errno.ENOSYS);
  test.equal(replyOf(session.answer(request(opcodes.GETATTR, 2n ** 64n - 1n))).error, errno.ESTALE);
  test.equal(
    replyOf(session.answer(request(opcodes.READDIR, 1n, Buffer.alloc(40)))).error,
    errno.EINVAL,
    'no room',
  );
});

void t.test('no bytes make it throw', async (test) => {
  const warnings: string[] = [];
  const { session, version, file } = await testOf(test, warnings);
  const known = Object.values(opcodes);
  const anyNode = fc.oneof(
    fc.constantFrom(1n, 2n, version, file),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc
      .tuple(fc.integer({ min: 0, max: 7 }), fc.bigInt({ min: 0n, max: 2000n }))
      .map(([kind, low]) => (BigInt(kind) << 61n) | low),
  );
  const anyOpcode = fc.oneof(fc.constantFrom(...known), fc.integer({ min: 0, max: 5000 }));
  const whole = fc
    .tuple(anyOpcode, anyNode, fc.uint8Array({ maxLength: 200 }))
    .map(([opcode, node, body]) => request(opcode, node, Buffer.from(body)));
  const cut = fc.tuple(whole, fc.nat(240)).map(([bytes, length]) => bytes.subarray(0, length));
  const noise = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(whole, cut, noise), (bytes) => {
      session.isForMain(bytes);
      const outcome = session.answer(bytes);
      if (outcome.kind !== 'reply') return;
      if (outcome.bytes.readUInt32LE(0) !== outcome.bytes.length)
        throw new Error('a reply of another length');
      const error = -outcome.bytes.readInt32LE(4);
      if (error < 0 || error > 200) throw new Error(`not an errno: ${error}`);
    }),
    { numRuns: 20_000 },
  );
  test.strictSame(warnings, [], 'and nothing went wrong inside');
});
