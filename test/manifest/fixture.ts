// What tests of the manifest share: a store with keys, short ways to write entries and headers, and a small history.

import { type Clock, systemClock } from '../../lib/clock.js';
import { CommitWriter } from '../../lib/manifest/commit.js';
import { ChainReader, type KnownCommit } from '../../lib/manifest/chain.js';
import type { ManifestContext } from '../../lib/manifest/object.js';
import type { Commit, Entry, Row, VersionHeader } from '../../lib/manifest/types.js';
import type { PackInfo } from '../../lib/pack/types.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { packContext } from '../pack/fixture.js';

/** Waits for nothing. */
export const restless: Clock = { ...systemClock, pause: () => Promise.resolve() };

export const stream = 'aa'.repeat(16);

export async function manifestContext(
  store = new MemoryStore(),
): Promise<ManifestContext & { store: MemoryStore }> {
  return { ...(await packContext()), store };
}

export function entryOf(fields: Partial<Entry> = {}): Entry {
  return {
    type: 'file',
    mode: 0o644,
    uid: 1000,
    gid: 1000,
    mtime_ns: 1_700_000_000_123_456_789n,
    ctime_ns: 1_700_000_001_000_000_001n,
    inode: 4711n,
    device: 2049n,
    links: 1,
    size_bytes: 0,
    rdevMajor: 0,
    rdevMinor: 0,
    target: Buffer.alloc(0),
    xattrs: [],
    content: [],
    ...fields,
  };
}

export function added(path: string, fields: Partial<Entry> = {}): Row {
  return { op: 'added', path: Buffer.from(path), entry: entryOf(fields) };
}

export const directory = { type: 'directory', mode: 0o755 } as const;

export function headerOf(
  sequence: number,
  parentHash: string,
  fields: Partial<VersionHeader> = {},
): VersionHeader {
  return {
    stream,
    sequence,
    parentHash,
    parentVersionId: '',
    run: String(sequence).padStart(32, '0'),
    parentRun: sequence === 1 ? '' : String(sequence - 1).padStart(32, '0'),
    host: 'host',
    source: 'home',
    sourcePath: Buffer.from('/home'),
    started_ns: 1_700_000_000_000_000_000n,
    finished_ns: 1_700_000_060_000_000_000n,
    program: 'rrbackup test',
    statistics: {
      files: 1,
      directories: 1,
      others: 0,
      bytes: 0,
      added: 2,
      changed: 0,
      removed: 0,
      newBytes: 0,
      storedBytes: 0,
      unreadable: 0,
    },
    userNames: new Map([[0, 'root']]),
    groupNames: new Map([[0, 'root']]),
    ...fields,
  };
}

export async function writeCommit(
  context: ManifestContext,
  header: VersionHeader,
  rows: readonly Row[] = [added(`file-${header.sequence}`)],
  packs: readonly PackInfo[] = [],
): Promise<{ hash: string; versionId: string }> {
  const writer = new CommitWriter({ ...context, stream: header.stream });
  for (const info of packs) await writer.addPack(info);
  for (const row of rows) await writer.addRow(row);
  return writer.publish(header);
}

/** Versions 1 … `count`; returns their hashes, that of version n at index n - 1. */
export async function writeHistory(context: ManifestContext, count: number): Promise<string[]> {
  const hashes: string[] = [];
  for (let sequence = 1; sequence <= count; sequence++) {
    const { hash } = await writeCommit(context, headerOf(sequence, hashes.at(-1) ?? ''));
    hashes.push(hash);
  }
  return hashes;
}

export async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** The hashes that a reader gets to see, and the error that ended it, by its code. */
export async function readHistory(
  context: ManifestContext,
  after?: KnownCommit,
): Promise<{ commits: Commit[]; hashes: string[]; code: string | undefined; error: unknown }> {
  const commits: Commit[] = [];
  let error: unknown;
  try {
    for await (const commit of new ChainReader(context, restless).commits(stream, after))
      commits.push(commit);
  } catch (thrown) {
    error = thrown;
  }
  const code = (error as { code?: string } | undefined)?.code;
  return { commits, hashes: commits.map(({ hash }) => hash), code, error };
}
