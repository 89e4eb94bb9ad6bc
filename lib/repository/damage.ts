// Which blocks of stored packs are gone, as `rrbackup repair` found them and this machine remembers: a backup does not count on
// them, so that it reads the files that need them again and stores what they hold anew. Forgotten as soon as all that they held
// lies elsewhere; losing it costs a repair.

import fs from 'node:fs';
import path from 'node:path';
import type { Catalog } from '../catalog/index.js';
import type { CatalogReader } from '../catalog/types.js';
import type { ChunkId, PackName } from '../pack/types.js';
import { readOwnFile } from '../posix/small-file.js';

/** By pack: all of its blocks, or these. Plain data. */
export type GoneBlocks = ReadonlyMap<PackName, 'all' | ReadonlySet<number>>;

/**
 * Among packs that are gone: that there are others of which nothing is known any more, not what they held. It stays until a
 * repair has found that every file has its contents again.
 */
const unknownPack: PackName = '0'.repeat(64);

const fileName = 'gone.json';
const packName = /^[0-9a-f]{64}$/;

/** Empty where nothing is remembered, or nothing that can be read. */
export function recallGone(directory: string): GoneBlocks {
  const gone = new Map<PackName, 'all' | Set<number>>();
  try {
    const text = readOwnFile(path.join(directory, fileName)) ?? '{}';
    for (const [name, blocks] of Object.entries(JSON.parse(text) as Record<string, unknown>)) {
      if (!packName.test(name)) continue;
      if (blocks === 'all') gone.set(name, blocks);
      else if (Array.isArray(blocks))
        gone.set(name, new Set(blocks.filter(Number.isSafeInteger) as number[]));
    }
    return gone;
  } catch {
    return new Map();
  }
}

/** Throws where it cannot be written. */
export function rememberGone(directory: string, gone: GoneBlocks): void {
  const file = path.join(directory, fileName);
  if (gone.size === 0) {
    fs.rmSync(file, { force: true });
    return;
  }
  const json = [...gone].map(([name, blocks]) => [name, blocks === 'all' ? blocks : [...blocks]] as const);
  const temporary = `${file}.${process.pid}.new`;
  fs.writeFileSync(temporary, `${JSON.stringify(Object.fromEntries(json))}\n`, { mode: 0o600 });
  fs.renameSync(temporary, file);
}

export function isGone(gone: GoneBlocks, { pack, block }: { pack: PackName; block: number }): boolean {
  const blocks = gone.get(pack);
  return blocks !== undefined && (blocks === 'all' || blocks.has(block));
}

/** Whether the catalog knows a place of the chunk that is not gone. */
export function hasSoundChunk(
  catalog: Pick<CatalogReader, 'chunk' | 'hasChunk'>,
  gone: GoneBlocks,
  id: ChunkId,
): boolean {
  if (gone.size === 0) return catalog.hasChunk(id);
  const place = catalog.chunk(id);
  return place !== undefined && !isGone(gone, place);
}

/** Of blocks that are gone those whose chunks have no other place; what is left is what still hurts somebody. */
export function withoutHealed(gone: GoneBlocks, catalog: Pick<Catalog, 'pack' | 'chunk'>): GoneBlocks {
  const left = new Map<PackName, Set<number>>();
  for (const [name, chunks] of goneChunks(gone, catalog)) {
    for (const [block, ids] of chunks) {
      const isMissed = ids.some((id) => {
        const place = catalog.chunk(id);
        return place?.pack === name && place.block === block;
      });
      if (isMissed) left.set(name, (left.get(name) ?? new Set()).add(block));
    }
  }
  return gone.has(unknownPack) ? withUnknownPack(left) : left;
}

export const withUnknownPack = (gone: GoneBlocks): GoneBlocks => new Map([...gone, [unknownPack, 'all']]);

/** The chunks of blocks that are gone, by pack and block; packs that no version names any more are left out. */
export function* goneChunks(
  gone: GoneBlocks,
  catalog: Pick<Catalog, 'pack'>,
): Generator<[PackName, Map<number, ChunkId[]>], void, undefined> {
  for (const [name, blocks] of gone) {
    const chunks = new Map<number, ChunkId[]>();
    for (const [block, info] of (catalog.pack(name)?.blocks ?? []).entries())
      if (blocks === 'all' || blocks.has(block))
        chunks.set(
          block,
          info.chunks.map(({ id }) => id),
        );
    yield [name, chunks];
  }
}
