// The pages of a listing that are made before they are asked for.

import t from 'tap';
import { Session } from '../../lib/mount/drivers/session.js';
import { opcodes } from '../../lib/mount/protocol/constants.js';
import { Tree } from '../../lib/mount/tree/index.js';
import { nodeNumber, rootNode, type NodeId } from '../../lib/mount/tree/node.js';
import { scratchDirectory } from '../trees.js';
import { directory, TestRepository } from './repository.js';

const day1_ns = 1_795_230_000_000_000_000n;
/** As glibc asks for it. */
const page_bytes = 32 * 1024;
const names = Array.from({ length: 6000 }, (_, index) => `f${String(index).padStart(5, '0')}`);

const inHeader_bytes = 40;

function request(opcode: number, node: NodeId, body: Buffer): Buffer {
  const header = Buffer.alloc(inHeader_bytes);
  header.writeUInt32LE(inHeader_bytes + body.length, 0);
  header.writeUInt32LE(opcode, 4);
  header.writeBigUInt64LE(nodeNumber(node), 16);
  return Buffer.concat([header, body]);
}

function page(opcode: number, node: NodeId, offset: number, size_bytes = page_bytes): Buffer {
  const body = Buffer.alloc(40);
  body.writeBigUInt64LE(BigInt(offset), 8);
  body.writeUInt32LE(size_bytes, 16);
  return request(opcode, node, body);
}

/** Where the last struct fuse_direntplus of a reply says that the next page begins; undefined for an empty page. */
function nextOf(reply: Buffer): number | undefined {
  let next: number | undefined;
  for (let at = 16; at < reply.length;) {
    next = Number(reply.readBigUInt64LE(at + 128 + 8));
    at += (128 + 24 + reply.readUInt32LE(at + 128 + 16) + 7) & ~7;
  }
  return next;
}

void t.test('pages that are made ahead', async (test) => {
  const repository = await TestRepository.create(scratchDirectory(test));
  test.teardown(() => repository.catalog.close());
  const tree: Record<string, string | typeof directory> = { large: directory, other: directory };
  for (const name of names) tree[`large/${name}`] = '';
  for (const name of names.slice(0, 500)) tree[`other/${name}`] = name;
  await repository.commit('here', 'docs', day1_ns, tree);
  /** How often the catalog was asked for a page. */
  let asked = 0;
  const shown = new Tree(repository.catalog, { host: 'here', owner: { uid: 0, gid: 0 } });
  const visit = shown.visit.bind(shown);
  shown.visit = (...of) => (asked++, visit(...of));
  const version = ['docs', '2026-11-21T03-00-00Z'].reduce(
    (parent, name) => shown.lookup(parent, Buffer.from(name))!.node,
    rootNode,
  );
  const [large, other] = ['large', 'other'].map((name) => shown.lookup(version, Buffer.from(name))!.node) as [
    NodeId,
    NodeId,
  ];
  const newSession = (): Session =>
    new Session({
      tree: shown,
      checkAccess: false,
      onWarning: (message) => {
        test.fail(message);
      },
      onInit: () => undefined,
    });
  const answer = (session: Session, bytes: Buffer): Buffer => {
    const outcome = session.answer(bytes);
    if (outcome.kind !== 'reply') throw new Error('no reply');
    return Buffer.from(outcome.bytes);
  };
  /** All pages of a directory; `between` is called when one has been answered. */
  const listAll = (session: Session, node: NodeId, between: () => void): Buffer[] => {
    const replies: Buffer[] = [];
    for (let offset: number | undefined = 0; offset !== undefined;) {
      const reply = answer(session, page(opcodes.READDIRPLUS, node, offset));
      replies.push(reply);
      offset = nextOf(reply);
      between();
    }
    return replies;
  };

  await test.test('are the pages that are made when they are asked for', (test) => {
    const plain = listAll(newSession(), large, () => undefined);
    test.ok(plain.length > 20, `${plain.length} pages`);
    const session = newSession();
    test.strictSame(
      listAll(session, large, () => {
        session.lookAhead();
      }),
      plain,
    );
    test.end();
  });
  await test.test('wait for their request', (test) => {
    const session = newSession();
    const next = nextOf(answer(session, page(opcodes.READDIRPLUS, large, 0)))!;
    session.lookAhead();
    asked = 0;
    const later = answer(session, page(opcodes.READDIRPLUS, large, next));
    test.equal(asked, 0, 'the catalog is not asked again');
    test.not(nextOf(later), undefined);
    session.lookAhead();
    session.lookAhead();
    test.equal(asked, 1, 'and once only for the page behind it');
    test.end();
  });
  await test.test('answer nothing else', (test) => {
    const wanted = nextOf(answer(newSession(), page(opcodes.READDIRPLUS, large, 0)))!;
    for (const [what, bytes] of [
      ['another directory', page(opcodes.READDIRPLUS, other, wanted)],
      ['another place', page(opcodes.READDIRPLUS, large, wanted + 1)],
      ['another size', page(opcodes.READDIRPLUS, large, wanted, 4096)],
      ['names alone', page(opcodes.READDIR, large, wanted)],
      ['a lookup', request(opcodes.LOOKUP, large, Buffer.from(`${names[3]!}\0`))],
    ] as const) {
      const session = newSession();
      answer(session, page(opcodes.READDIRPLUS, large, 0));
      session.lookAhead();
      test.strictSame(answer(session, bytes), answer(newSession(), bytes), what);
    }
    test.end();
  });
  await test.test('are not made of what may change', (test) => {
    const session = newSession();
    answer(session, page(opcodes.READDIRPLUS, shown.lookup(rootNode, Buffer.from('docs'))!.node, 0));
    asked = 0;
    session.lookAhead();
    test.equal(asked, 0);
    test.end();
  });
});
