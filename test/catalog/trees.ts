// Trees and commits in memory for the tests of the catalog: literal entries, the diff of two trees as a commit.

import { ByteWriter } from '../../lib/bytes/cursor.js';
import { comparePaths } from '../../lib/bytes/path.js';
import { sha256 } from '../../lib/crypto/index.js';
import { encodeEntry } from '../../lib/manifest/entry.js';
import type { Commit, Entry, Row, VersionHeader } from '../../lib/manifest/types.js';
import { objectHeader_bytes } from '../../lib/crypto/index.js';
import { codecs, type BlockInfo, type PackInfo } from '../../lib/pack/types.js';

/** Paths as Latin-1 strings: raw bytes, one per character. */
export type Tree = Map<string, Entry>;

export const repositoryId = '0123456789abcdef0123456789abcdef';
export const streamOf = (number: number): string => number.toString(16).padStart(32, '0');
export const bytesOf = (path: string): Buffer => Buffer.from(path, 'latin1');

const plain: Entry = {
  type: 'file',
  mode: 0o644,
  uid: 1000,
  gid: 1000,
  mtime_ns: 1_700_000_000_123_456_789n,
  ctime_ns: 1_700_000_000_987_654_321n,
  inode: 1n,
  device: 42n,
  links: 1,
  size_bytes: 0,
  rdevMajor: 0,
  rdevMinor: 0,
  target: new Uint8Array(),
  xattrs: [],
  content: [],
};

export const chunkIdOf = (text: string): Buffer => sha256(Buffer.from(text));

export function file(text: string, fields: Partial<Entry> = {}): Entry {
  const size_bytes = Buffer.byteLength(text);
  const content = size_bytes === 0 ? [] : [{ kind: 'chunk' as const, id: chunkIdOf(text), size_bytes }];
  return { ...plain, size_bytes, content, ...fields };
}

export const directory = (fields: Partial<Entry> = {}): Entry => ({
  ...plain,
  type: 'directory',
  mode: 0o755,
  ...fields,
});
export const symlink = (target: string, fields: Partial<Entry> = {}): Entry => ({
  ...plain,
  type: 'symlink',
  target: Buffer.from(target),
  ...fields,
});

/** Entries are equal when their stored forms are. */
export function printed(entry: Entry | undefined): string {
  if (entry === undefined) return '-';
  const writer = new ByteWriter();
  encodeEntry(writer, entry);
  return writer.take().toString('hex');
}

export const sortedPaths = (paths: Iterable<string>): string[] =>
  [...paths].sort((a, b) => comparePaths(bytesOf(a), bytesOf(b)));

export function diff(before: Tree, after: Tree): Row[] {
  const rows: Row[] = [];
  for (const path of sortedPaths(new Set([...before.keys(), ...after.keys()]))) {
    const old = before.get(path);
    const entry = after.get(path);
    if (entry === undefined) rows.push({ op: 'removed', path: bytesOf(path) });
    else if (old === undefined) rows.push({ op: 'added', path: bytesOf(path), entry });
    else if (printed(old) !== printed(entry)) rows.push({ op: 'changed', path: bytesOf(path), entry });
  }
  return rows;
}

/** A pack with one block per text. */
export function packOf(...texts: string[]): PackInfo {
  const blocks: BlockInfo[] = texts.map((text) => {
    const size_bytes = Buffer.byteLength(text);
    return {
      stored_bytes: size_bytes + 16,
      plain_bytes: size_bytes,
      codec: codecs.stored,
      chunks: [{ id: chunkIdOf(text), size_bytes }],
    };
  });
  const stored_bytes = blocks.reduce((sum, block) => sum + block.stored_bytes, 0);
  return {
    name: sha256(Buffer.from(texts.join('\0'))).toString('hex'),
    versionId: `version-of-${texts.join('-')}`.slice(0, 1000),
    size_bytes: stored_bytes + 4096,
    header: Buffer.alloc(objectHeader_bytes, texts.length),
    blocks,
  };
}

export interface CommitFields {
  readonly stream?: string;
  readonly sequence: number;
  readonly rows: Iterable<Row>;
  readonly packs?: readonly PackInfo[];
  /** Tells commits of the same sequence apart. */
  readonly flavour?: string;
}

export const hashOf = (stream: string, sequence: number, flavour = ''): string =>
  sha256(Buffer.from(`${stream} ${sequence} ${flavour}`)).toString('hex');

export function headerOf(stream: string, sequence: number, flavour = ''): VersionHeader {
  const run = (number: number): string => hashOf(stream, number, flavour).slice(0, 32);
  return {
    stream,
    sequence,
    parentHash: sequence === 1 ? '' : hashOf(stream, sequence - 1),
    parentVersionId: sequence === 1 ? '' : `v${sequence - 1}`,
    run: run(sequence),
    parentRun: sequence === 1 ? '' : run(sequence - 1),
    host: 'tester',
    source: `source-${stream.slice(-2)}`,
    sourcePath: Buffer.from('/some/where\xff', 'latin1'),
    started_ns: 1_700_000_000_000_000_000n + BigInt(sequence),
    finished_ns: 1_700_000_001_000_000_000n + BigInt(sequence),
    program: 'rrbackup test',
    statistics: {
      files: 1,
      directories: 2,
      others: 3,
      bytes: 4,
      added: 5,
      changed: 6,
      removed: 7,
      newBytes: 8,
      storedBytes: 9,
      unreadable: 10,
    },
    userNames: new Map([[1000, 'somebody']]),
    groupNames: new Map([[1000, 'people']]),
  };
}

export function commitOf(fields: CommitFields): Commit {
  const { stream = streamOf(1), sequence, rows, packs = [], flavour } = fields;
  return {
    kind: 'version',
    hash: hashOf(stream, sequence, flavour),
    versionId: `v${sequence}`,
    header: headerOf(stream, sequence, flavour),
    parts: [],
    async *packs() {
      yield* packs;
    },
    async *rows() {
      yield* rows;
    },
  };
}

/** Commits that lead from the empty tree through all of them. */
export const commitsOf = (trees: readonly Tree[], stream = streamOf(1)): Commit[] =>
  trees.map((tree, index) =>
    commitOf({ stream, sequence: index + 1, rows: diff(trees[index - 1] ?? new Map(), tree) }),
  );

/** Forty versions in which names come, change and go. */
export const busyTrees = (): Tree[] =>
  Array.from({ length: 40 }, (_, version) => {
    const tree: Tree = new Map([['', directory()]]);
    for (let number = 0; number < 30; number++) {
      if ((number + version) % 7 === 0) continue;
      tree.set(`d${number}`, directory());
      tree.set(`d${number}/file`, file(`${number % 3 === 0 ? version : 0}`));
    }
    return tree;
  });
