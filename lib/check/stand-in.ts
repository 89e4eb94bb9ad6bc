// Writes what takes the place of something damaged: a checkpoint of a version, a pack with the same blocks. Stores new objects;
// what stood under the same key is kept beside.

import type { Catalog } from '../catalog/index.js';
import { treeRows } from '../catalog/changes.js';
import { randomBytes } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import { writeCheckpoint } from '../manifest/checkpoint.js';
import { checkpointKey } from '../manifest/names.js';
import { encodeRecords } from '../manifest/records.js';
import type { VersionHeader } from '../manifest/types.js';
import { blockPlaces, PackBuilder, packKey } from '../pack/index.js';
import type { PackInfo } from '../pack/types.js';
import type { Run } from '../progress.js';
import type { Repository } from '../repository/index.js';
import { callOf } from './check-inventory.js';
import { keepBeside } from './put-beside.js';

/** `header` and `hash` are the log entry's, whose tree the catalog has. */
export async function storeCheckpoint(
  { store, context }: Pick<Repository, 'store' | 'context'>,
  catalog: Catalog,
  { header, hash: commitHash }: { readonly header: VersionHeader; readonly hash: string },
  run: Run,
): Promise<void> {
  const { stream, sequence } = header;
  await keepBeside(store, checkpointKey(stream, sequence), callOf(run));
  const [packs, rows] = [catalog.packsOf(stream, sequence), treeRows(catalog, stream, sequence)];
  await writeCheckpoint(context, { commitHash, header, packs, rows }, run.signal);
}

/**
 * Every block of a pack in a new one, read and proven. Its records say nothing: which rows the old ones held is not known any
 * more. No version names it yet. False where a block cannot be read after all.
 */
export async function copyPack(
  { packs, context, store }: Repository,
  info: PackInfo,
  { stream, sequence }: { readonly stream: string; readonly sequence: number },
  run: Run,
): Promise<boolean> {
  const builder = new PackBuilder(context);
  try {
    for (const placed of blockPlaces(info)) {
      const { place } = placed[0]!;
      const plain = (await packs.readBlocks([place], run.signal)).get(place.block)!;
      for (const { id, place: chunk } of placed) packs.chunkFrom(plain, chunk, id);
      builder.addBlock(plain, info.blocks[place.block]!.chunks);
    }
  } catch (error) {
    if (error instanceof RrbackupError && ['damaged', 'tampered', 'not_found'].includes(error.kind))
      return false;
    throw error;
  }
  const about = { stream, run: randomBytes(16).toString('hex'), sequence, part: 0, rows: [] };
  const { bytes, encodedInfo } = builder.finish((chunkIndex) => encodeRecords(about, chunkIndex));
  await store.put(packKey(encodedInfo.name), bytes, callOf(run));
  return true;
}
