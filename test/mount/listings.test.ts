// Attributes in the listing of a large directory: as long as nobody asks for them, its later pages go without.

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

interface Listed {
  readonly name: string;
  /** Bits of d_type. */
  readonly type: number;
  readonly hasAttributes: boolean;
}

interface Page {
  readonly entries: readonly Listed[];
  readonly next: number;
}

/** struct fuse_direntplus, one after another. */
function readPage(session: Session, node: NodeId, offset: number): Page {
  const body = Buffer.alloc(40);
  body.writeBigUInt64LE(BigInt(offset), 8);
  body.writeUInt32LE(page_bytes, 16);
  const outcome = session.answer(request(opcodes.READDIRPLUS, node, body));
  if (outcome.kind !== 'reply' || outcome.bytes.readInt32LE(4) !== 0) throw new Error('no listing');
  const bytes = Buffer.from(outcome.bytes.subarray(16));
  const entries: Listed[] = [];
  let next = offset;
  for (let at = 0; at < bytes.length;) {
    const length = bytes.readUInt32LE(at + 128 + 16);
    next = Number(bytes.readBigUInt64LE(at + 128 + 8));
    entries.push({
      name: bytes.toString('latin1', at + 128 + 24, at + 128 + 24 + length),
      type: bytes.readUInt32LE(at + 128 + 20),
      hasAttributes: bytes.readBigUInt64LE(at) !== 0n,
    });
    at += (128 + 24 + length + 7) & ~7;
  }
  return { entries, next };
}

void t.test('a large directory', async (test) => {
  const repository = await TestRepository.create(scratchDirectory(test));
  test.teardown(() => repository.catalog.close());
  const tree: Record<string, string | typeof directory> = { large: directory, small: directory };
  for (const name of names) tree[`large/${name}`] = '';
  for (const name of names.slice(0, 500)) tree[`small/${name}`] = '';
  await repository.commit('here', 'docs', day1_ns, tree);
  const shown = new Tree(repository.catalog, { host: 'here', owner: { uid: 0, gid: 0 } });
  const [large, small] = ['large', 'small'].map((last) =>
    ['docs', '2026-11-21T03-00-00Z', last].reduce(
      (parent, name) => shown.lookup(parent, Buffer.from(name))!.node,
      rootNode,
    ),
  ) as [NodeId, NodeId];
  const newSession = (): Session =>
    new Session({
      tree: shown,
      checkAccess: false,
      onWarning: (message) => {
        test.fail(message);
      },
      onInit: () => undefined,
    });
  /** `onPage` is called before the next page is asked for. */
  const listAll = (session: Session, node: NodeId, onPage?: (page: Page) => void): Listed[] => {
    const all: Listed[] = [];
    for (
      let page = readPage(session, node, 0);
      page.entries.length > 0;
      page = readPage(session, node, page.next)
    ) {
      all.push(...page.entries);
      onPage?.(page);
    }
    return all.filter(({ name }) => name !== '.' && name !== '..');
  };
  const lookup = (session: Session, node: NodeId, name: string): void => {
    const outcome = session.answer(request(opcodes.LOOKUP, node, Buffer.from(`${name}\0`)));
    if (outcome.kind !== 'reply' || outcome.bytes.readInt32LE(4) !== 0) throw new Error(`no ${name}`);
  };
  const without = (listed: readonly Listed[]): number =>
    listed.filter((entry) => !entry.hasAttributes).length;

  await test.test('names and types of all, attributes of those at the beginning', async (test) => {
    const session = newSession();
    const listed = listAll(session, large);
    test.strictSame(
      listed.map(({ name }) => name),
      names,
    );
    test.ok(
      listed.every(({ type }) => type === 8),
      'all are files',
    );
    test.notOk(listed[0]!.hasAttributes === false);
    const left = without(listed);
    test.ok(left > 1000 && left < 2000, `${left} without`);
    test.equal(without(listed.slice(0, 4000)), 0);
    test.equal(session.knowsFilesOf(large), false, 'so nobody puts their contents into the cache');
  });
  await test.test('who asks for names as he reads gets all but a page', async (test) => {
    const session = newSession();
    let asked = 0;
    const listed = listAll(session, large, ({ entries }) => {
      for (const { name, hasAttributes } of entries) {
        if (hasAttributes || name === '.' || name === '..') continue;
        lookup(session, large, name);
        asked++;
      }
    });
    test.equal(listed.length, names.length);
    test.ok(asked > 0 && asked < 300, `${asked} asked for`);
    test.equal(session.knowsFilesOf(large), true);
  });
  await test.test('one that was asked for begins anew', async (test) => {
    const session = newSession();
    const first = without(listAll(session, large));
    lookup(session, large, names[5000]!);
    test.equal(without(listAll(session, large)), first);
  });
  await test.test('a small one comes with all', async (test) => {
    const session = newSession();
    test.equal(without(listAll(session, small)), 0);
    test.equal(session.knowsFilesOf(small), true);
  });
});
