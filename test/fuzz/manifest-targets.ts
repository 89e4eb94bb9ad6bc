// Decoders of the manifest: log entries, checkpoints, parts, rows, entries. Where two decoders read the same bytes (one for the
// catalog, one for objects), both have to end alike.

import { ByteReader, ByteWriter } from '../../lib/bytes/cursor.js';
import type { RrbackupError } from '../../lib/errors/index.js';
import { ChainReader } from '../../lib/manifest/chain.js';
import { decodeEntry, encodeEntry } from '../../lib/manifest/entry.js';
import { checkpointMagic, commitMagic } from '../../lib/manifest/layout.js';
import { checkpointKey, commitKey } from '../../lib/manifest/names.js';
import { rootBinding, sealObject, type ManifestContext } from '../../lib/manifest/object.js';
import { RowReader } from '../../lib/manifest/rows.js';
import { checkStatus, decodeStatus, MutableStatus } from '../../lib/manifest/status.js';
import { rowFlags, StoredRowReader } from '../../lib/manifest/stored-rows.js';
import type { Checkpoint } from '../../lib/manifest/checkpoint.js';
import type { Commit, Entry } from '../../lib/manifest/types.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { packContext } from '../pack/fixture.js';
import { collect, stream } from '../manifest/fixture.js';
import { same, sameEnding } from './same.js';
import type { Target } from './target.js';

const shape = { rows: 1000, room_bytes: 8 };

export async function manifestTargets(): Promise<Target[]> {
  const context = await packContext();

  const chainOf = async (key: string, bytes: Buffer): Promise<ChainReader> => {
    const store = new MemoryStore();
    await store.put(key, bytes);
    return new ChainReader({ ...context, store });
  };
  const commitsOf = async (bytes: Buffer): Promise<void> => {
    const chain = await chainOf(commitKey(stream, 1), bytes);
    for await (const commit of chain.commits(stream)) await readAll(commit);
  };
  const checkpointOf = async (bytes: Buffer): Promise<void> => {
    const chain = await chainOf(checkpointKey(stream, 1), bytes);
    await readAll(await chain.checkpoint(stream, 1));
  };
  const sealed = (magic: string, input: Buffer): Buffer =>
    sealObject(context as ManifestContext, magic, rootBinding(stream, 1), input).bytes;

  return [
    { name: 'commit', share: 500, read: commitsOf },
    { name: 'commit-root', share: 300, read: (input) => commitsOf(sealed(commitMagic, input)) },
    { name: 'checkpoint', share: 300, read: checkpointOf },
    { name: 'checkpoint-root', share: 300, read: (input) => checkpointOf(sealed(checkpointMagic, input)) },
    {
      name: 'rows',
      allocated_bytes: 64 * 2 ** 20,
      read: (input) => sameEnding([() => rowsOf(input), () => storedRowsOf(input)]).length > 0,
    },
    { name: 'entry', read: (input) => entryOf(input).type },
  ];
}

/** Everything that a log entry leads to, by both ways. */
async function readAll(owner: Commit | Checkpoint): Promise<void> {
  const packs = await collect(owner.packs());
  const flat = await collect(owner.storedPacks!());
  same(
    flat.map((pack) => pack.name),
    packs.map((pack) => pack.name),
  );
  const rows = await collect(owner.rows());
  const batches = await collect(owner.storedRows!(shape));
  same(
    batches.reduce((sum, { count }) => sum + count, 0),
    rows.length,
  );
}

interface SimpleRow {
  readonly path: string;
  readonly isRemoved: boolean;
  readonly entry: Entry | undefined;
}

function rowsOf(input: Buffer): SimpleRow[] {
  const reader = new RowReader('rows');
  const rows = [...reader.read(input)].map((row) => ({
    path: Buffer.from(row.path).toString('latin1'),
    isRemoved: row.op === 'removed',
    entry: row.op === 'removed' ? undefined : plain(row.entry),
  }));
  reader.end();
  return rows;
}

function storedRowsOf(input: Buffer): SimpleRow[] {
  const reader = new StoredRowReader('rows', shape);
  const rows: SimpleRow[] = [];
  for (const batch of reader.read(input))
    for (let row = 0; row < batch.count; row++) {
      const isRemoved = batch.is(row, rowFlags.removed);
      const bytes = batch.bytes.subarray(batch.entryStart(row), batch.entryEnd(row));
      rows.push({
        path: batch.bytes.toString('latin1', batch.pathStart(row), batch.pathEnd(row)),
        isRemoved,
        entry: isRemoved ? undefined : plain(decodeEntry(new ByteReader(bytes, 'an entry'))),
      });
    }
  reader.end();
  return rows;
}

/** Views as memory of their own, so that entries can be compared. */
function plain(entry: Entry): Entry {
  return {
    ...entry,
    target: Buffer.from(entry.target),
    xattrs: entry.xattrs.map(({ name, value }) => ({ name: Buffer.from(name), value: Buffer.from(value) })),
    content: entry.content.map((segment) =>
      segment.kind === 'hole' ? segment : { ...segment, id: Buffer.from(segment.id) },
    ),
  };
}

/** What was read can be written, and is the same when it is read again; its status shows the same. */
function entryOf(input: Buffer): Entry {
  const entry = plain(decodeEntry(new ByteReader(input, 'an entry')));
  const again = new ByteWriter();
  encodeEntry(again, entry);
  same(plain(decodeEntry(new ByteReader(again.take(), 'an entry'))), entry);
  const status = new MutableStatus();
  decodeStatus(input, 0, status);
  try {
    checkStatus(status, new ByteReader(input, 'an entry'));
  } catch (error) {
    throw new Error('a status is refused that an entry may have', { cause: error as RrbackupError });
  }
  const { type, mode, uid, gid, links, size_bytes, rdevMajor, rdevMinor } = entry;
  same(
    [
      status.type,
      status.mode,
      status.uid,
      status.gid,
      status.links,
      status.size_bytes,
      status.rdevMajor,
      status.rdevMinor,
    ],
    [type, mode, uid, gid, links, size_bytes, rdevMajor, rdevMinor],
  );
  same(BigInt(status.mtime_s) * 1_000_000_000n + BigInt(status.mtimeRest_ns), entry.mtime_ns);
  same((BigInt(status.inodeHigh) << 32n) | BigInt(status.inodeLow), entry.inode);
  return entry;
}
