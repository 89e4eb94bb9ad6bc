// The wire format: offsets as <linux/fuse.h> has them, and no request that ends in an exception.

import fc from 'fast-check';
import t from 'tap';
import { Session, type Outcome } from '../../lib/mount/drivers/session.js';
import { errno, opcodes, seek } from '../../lib/mount/protocol/constants.js';
import { Tree } from '../../lib/mount/tree/index.js';
import { nodeNumber, rootNode, type NodeId } from '../../lib/mount/tree/node.js';
import { scratchDirectory } from '../trees.js';
import { directory, TestRepository } from './repository.js';
import { runs } from '../runs.js';

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
  const sessionOf = (checkAccess: boolean) =>
    new Session({
      tree,
      checkAccess,
      onWarning: (message) => warnings.push(message),
      onInit: (isSupported) => inits.push(isSupported),
    });
  const session = sessionOf(false);
  const node = (...names: string[]): NodeId =>
    names.reduce((parent, name) => tree.lookup(parent, Buffer.from(name))!.node, rootNode);
  const version = node('docs', '2026-11-21T03-00-00Z');
  return {
    session,
    checking: sessionOf(true),
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
  const { session, checking, inits } = await testOf(test);
  const init = (major: number, minor: number) =>
    replyOf(session.answer(request(opcodes.INIT, 0n, u32(major, minor, 131072, 0x73fffffb))));
  const agreed = init(7, 45).body;
  test.strictSame([agreed.readUInt32LE(0), agreed.readUInt32LE(4), agreed.length], [7, 38, 64]);
  test.equal(agreed.readUInt16LE(28), 256, 'reads of a mebibyte');
  test.equal(agreed.readUInt32LE(12) & (1 << 20), 0, 'ACLs are enforced only where others may enter');
  test.equal(init(7, 31).body.readUInt32LE(4), 31);
  test.equal(init(7, 30).error, errno.EPROTO);
  const checked = (flags: number) =>
    replyOf(checking.answer(request(opcodes.INIT, 0n, u32(7, 38, 131072, flags))));
  test.not(checked(1 << 20).body.readUInt32LE(12) & (1 << 20), 0);
  test.equal(checked(0).error, errno.EPROTO, 'a kernel that enforces no ACLs cannot let others in');
  test.equal(init(8, 0).body.readUInt32LE(0), 7, 'a newer kernel is told our version');
  test.strictSame(inits, [true, true, false, true, false]);
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

void t.test(
  'nodes of a version that is not there any more are stale, whatever is asked of them',
  async (test) => {
    const { session, version, file } = await testOf(test);
    const removed = version + (1n << 40n); // the same directory, one version later
    const name = Buffer.from('file\0');
    const page = Buffer.alloc(40);
    page.writeUInt32LE(4096, 16);
    const data = Buffer.concat([u32(0, 0, 0, 0), u32(seek.DATA, 0)]);
    for (const [opcode, node, body] of [
      [opcodes.GETATTR, removed, Buffer.alloc(16)],
      [opcodes.LOOKUP, removed, name],
      [opcodes.LOOKUP, removed, Buffer.from('absent\0')],
      [opcodes.READDIR, removed, page],
      [opcodes.READDIRPLUS, removed, page],
      [opcodes.LISTXATTR, removed, u32(100, 0)],
      [opcodes.GETATTR, file + 1000n, Buffer.alloc(16)],
      [opcodes.READLINK, file + 1000n, Buffer.alloc(0)],
      [opcodes.LISTXATTR, file + 1000n, u32(100, 0)],
      [opcodes.LSEEK, file + 1000n, data],
    ] as const)
      test.equal(replyOf(session.answer(request(opcode, node, body))).error, errno.ESTALE, `${opcode}`);
  },
);

void t.test('a listing as the kernel asks for it', async (test) => {
  const { session, version, file } = await testOf(test);
  const names: string[] = [];
  for (let offset = 0n, isLast = false; !isLast;) {
    const body = Buffer.alloc(40);
    body.writeBigUInt64LE(offset, 8);
    // Room for one entry, sometimes for two.
    body.writeUInt32LE(320, 16);
    const reply = replyOf(session.answer(request(opcodes.READDIRPLUS, version, body))).body;
    isLast = reply.length === 0;
    for (let at = 0; at < reply.length;) {
      const length = reply.readUInt32LE(at + 128 + 16);
      const name = reply.toString('latin1', at + 152, at + 152 + length);
      offset = reply.readBigUInt64LE(at + 128 + 8);
      names.push(name);
      if (name === 'file') {
        test.equal(reply.readBigUInt64LE(at), file);
        test.strictSame([reply.readBigInt64LE(at + 72), reply.readUInt32LE(at + 92)], [-1n, 999_999_999]);
      }
      at += (152 + length + 7) & ~7;
    }
  }
  test.strictSame(names, ['.', '..', 'd', 'file', 'link']);
});

void t.test('ACLs that no entry has: not supported at all, unless the kernel enforces them', async (test) => {
  const { session, checking, file } = await testOf(test);
  const get = (from: Session, name: string) =>
    replyOf(
      from.answer(request(opcodes.GETXATTR, file, Buffer.concat([u32(0, 0), Buffer.from(`${name}\0`)]))),
    ).error;
  test.equal(get(session, 'system.posix_acl_access'), errno.EOPNOTSUPP);
  test.equal(get(session, 'security.selinux'), errno.EOPNOTSUPP);
  test.equal(get(session, 'user.b'), errno.ENODATA);
  test.equal(get(checking, 'system.posix_acl_access'), errno.ENODATA);
});

void t.test('no bytes make it throw', async (test) => {
  const warnings: string[] = [];
  const { session, checking, version, file } = await testOf(test, warnings);
  const known = Object.values(opcodes);
  const anyNode = fc.oneof(
    fc.constantFrom(1n, 2n, version, file),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    fc
      .tuple(fc.integer({ min: 0, max: 7 }), fc.bigInt({ min: 0n, max: 2000n }))
      .map(([kind, low]) => (BigInt(kind) << 61n) | low),
  );
  const anyOpcode = fc.oneof(fc.constantFrom(...known), fc.integer({ min: 0, max: 5000 }));
  const anyNumber = fc.oneof(fc.bigInt({ min: 0n, max: 300n }), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }));
  const numbers = fc.array(anyNumber, { maxLength: 8 }).map((values) => {
    const bytes = Buffer.alloc(values.length * 8);
    values.forEach((value, index) => bytes.writeBigUInt64LE(value, index * 8));
    return bytes;
  });
  const names = fc
    .tuple(
      fc.constantFrom('', 'file', 'd', '..', 'user.a', 'system.posix_acl_access', 'x'.repeat(300)),
      fc.nat(8),
    )
    .map(([name, before]) => Buffer.concat([Buffer.alloc(before), Buffer.from(`${name}\0`)]));
  const anyBody = fc.oneof(
    numbers,
    names,
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  );
  const whole = fc
    .tuple(anyOpcode, anyNode, anyBody)
    .map(([opcode, node, body]) => request(opcode, node, body));
  const cut = fc.tuple(whole, fc.nat(240)).map(([bytes, length]) => bytes.subarray(0, length));
  const noise = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(whole, cut, noise), (bytes) => {
      session.isForMain(bytes);
      checking.answer(bytes);
      const outcome = session.answer(bytes);
      if (outcome.kind !== 'reply') return;
      if (outcome.bytes.readUInt32LE(0) !== outcome.bytes.length)
        throw new Error('a reply of another length');
      const error = -outcome.bytes.readInt32LE(4);
      if (error < 0 || error > 200) throw new Error(`not an errno: ${error}`);
    }),
    runs(20_000),
  );
  test.strictSame(warnings, [], 'and nothing went wrong inside');
});

void t.test(
  'every opcode on every kind of node, cut at every length, is answered with an errno',
  async (test) => {
    const warnings: string[] = [];
    const { session, version, file } = await testOf(test, warnings);
    const body = Buffer.concat([u32(1, 0, 0, 0, 4096, 0, 0, 0, 0, 0), Buffer.from('name\0')]);
    const nodes = [
      0n,
      1n,
      2n,
      version,
      file,
      ...Array.from({ length: 8 }, (_, kind) => (BigInt(kind) << 61n) | 3n),
    ];
    let answers = 0;
    for (const opcode of [...Object.values(opcodes), 0, 9, 4096]) {
      for (const node of nodes) {
        const whole = request(opcode, node, body);
        for (let length = 0; length <= whole.length; length++) {
          const outcome = session.answer(whole.subarray(0, length));
          if (outcome.kind !== 'reply') continue;
          answers++;
          const error = -outcome.bytes.readInt32LE(4);
          if (error < 0 || error > 200) test.fail(`${opcode} of ${length} bytes: ${error}`);
        }
      }
    }
    test.ok(answers > 10_000);
    test.strictSame(warnings, []);
  },
);
