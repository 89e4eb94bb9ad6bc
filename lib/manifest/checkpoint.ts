// Checkpoints: the whole tree at a version in one piece, so that a catalog can be rebuilt without all diffs before it, and
// history goes on behind a commit that is lost. Never the only copy of anything.

import type { FlatPackInfo } from '../pack/table.js';
import type { PackInfo } from '../pack/types.js';
import { ContentsWriter } from './contents.js';
import { checkpointMagic } from './layout.js';
import { checkpointKey } from './names.js';
import { rootBinding, sealObject, type ManifestContext } from './object.js';
import { encodeCheckpointRoot } from './root.js';
import type { BatchShape, StoredRows } from './stored-rows.js';
import type { PartReference, Row, VersionHeader } from './types.js';

/** A checkpoint as its reader sees it. */
export interface Checkpoint {
  readonly stream: string;
  readonly sequence: number;
  /** SHA-256 (hex) of the stored root of the commit that it stands for: the next commit's parentHash. */
  readonly commitHash: string;
  /** Of that commit. */
  readonly header: VersionHeader;
  readonly parts: readonly PartReference[];
  /** Every pack that holds a chunk which the tree needs. */
  packs(): AsyncIterable<PackInfo>;
  /** The whole tree, every row 'added'. */
  rows(): AsyncIterable<Row>;
  /** As in Commit. */
  storedRows?(shape: BatchShape): AsyncIterable<StoredRows>;
  storedPacks?(): AsyncIterable<FlatPackInfo>;
}

export interface CheckpointSource {
  readonly commitHash: string;
  readonly header: VersionHeader;
  /** Every pack that holds a chunk which the tree needs, each once, whole tables. */
  readonly packs: Iterable<PackInfo> | AsyncIterable<PackInfo>;
  /** The whole tree in path order, every row 'added'. */
  readonly rows: Iterable<Row> | AsyncIterable<Row>;
}

/** Below this, diffs are read faster than a checkpoint is worth. */
const fewRows = 4096;

/** Whether the diffs since the last checkpoint (or version 1, which is one itself) outweigh half the tree. */
export function shouldCheckpoint(sizes: {
  readonly rowsSinceCheckpoint: number;
  readonly treeRows: number;
}): boolean {
  return sizes.rowsSinceCheckpoint > Math.max(fewRows, sizes.treeRows / 2);
}

/** Stores a checkpoint; parts first, the root last. An interrupted one leaves nothing that a reader would find. */
export async function writeCheckpoint(
  context: ManifestContext,
  source: CheckpointSource,
  signal?: AbortSignal,
): Promise<void> {
  const { header, commitHash } = source;
  const writer = new ContentsWriter(context, header.stream, signal);
  for await (const info of source.packs) await writer.addPack(info);
  for await (const row of source.rows) {
    if (row.op !== 'added') throw new RangeError(`a row '${row.op}' in a checkpoint`);
    await writer.addRow(row);
  }
  const root = sealObject(
    context,
    checkpointMagic,
    rootBinding(header.stream, header.sequence),
    encodeCheckpointRoot(commitHash, header, await writer.finish()),
  );
  const key = checkpointKey(header.stream, header.sequence);
  await context.store.put(key, root.bytes, signal === undefined ? {} : { signal });
}
