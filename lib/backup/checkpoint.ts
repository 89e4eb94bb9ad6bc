// Writes a checkpoint when the diffs since the last one outweigh half the tree. A backup is complete without it.

import { shouldCheckpoint, writeCheckpoint } from '../manifest/checkpoint.js';
import { treeRows } from '../catalog/changes.js';
import type { Run } from '../progress.js';
import type { Repository } from '../repository/index.js';

/** To be called after the stream's newest version is in the catalog. */
export async function maybeCheckpoint(repository: Repository, stream: string, run: Run): Promise<void> {
  const { catalog, chain, context, state } = repository;
  const head = catalog.stream(stream)?.head ?? 0;
  const header = catalog.version(stream, head)?.header;
  if (header === undefined) return;
  const { files, directories, others } = header.statistics;
  const isDue = (newest: number): boolean => {
    let rowsSinceCheckpoint = 0;
    for (let sequence = head; sequence > newest; sequence--) {
      const statistics = catalog.version(stream, sequence)?.header.statistics;
      if (statistics === undefined) break;
      rowsSinceCheckpoint += statistics.added + statistics.changed + statistics.removed;
    }
    return shouldCheckpoint({ rowsSinceCheckpoint, treeRows: files + directories + others });
  };
  // Another machine may have written a newer one: the store is asked, but only where one is due as far as is known here.
  if (!isDue(state.newestCheckpoint(stream) ?? 1)) return;
  const call = run.signal === undefined ? {} : { signal: run.signal };
  const newest = (await chain.checkpoints(stream, 1, call)).at(-1) ?? 1;
  state.noteCheckpoint(stream, newest);
  if (!isDue(newest)) return;
  await writeCheckpoint(
    context,
    {
      commitHash: catalog.version(stream, head)!.hash,
      header,
      packs: catalog.packsOf(stream, head),
      rows: treeRows(catalog, stream, head),
    },
    run.signal,
  );
  state.noteCheckpoint(stream, head);
}
