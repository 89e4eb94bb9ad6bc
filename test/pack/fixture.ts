// What tests of formats share: a repository's keys, and small packs with known content.

import { loadZstd } from '../../lib/compression/index.js';
import { chunkId, cryptoReady, deriveKeys } from '../../lib/crypto/index.js';
import { PackBuilder, type BuiltPack, type PackContext } from '../../lib/pack/encode.js';
import { packKey } from '../../lib/pack/names.js';
import { blockPlaces } from '../../lib/pack/places.js';
import type { BlockChunk, ChunkPlace, PackInfo } from '../../lib/pack/types.js';
import { MemoryStore } from '../../lib/store/memory.js';
import type { GetOptions } from '../../lib/store/types.js';

export const repositoryId = '00112233445566778899aabbccddeeff';

export async function packContext(secretByte = 7): Promise<PackContext> {
  await cryptoReady();
  return { keys: deriveKeys(Buffer.alloc(32, secretByte)), repositoryId, zstd: await loadZstd() };
}

export function chunksOf(context: PackContext, plains: readonly Uint8Array[]): BlockChunk[] {
  return plains.map((plain) => ({ id: chunkId(context.keys, plain), size_bytes: plain.length }));
}

/** One block for each list of chunks. */
export function buildPack(
  context: PackContext,
  blocks: readonly (readonly Uint8Array[])[],
  records: Uint8Array = Buffer.from('records'),
): BuiltPack {
  const builder = new PackBuilder(context);
  for (const plains of blocks) builder.addBlock(Buffer.concat(plains), chunksOf(context, plains));
  return builder.finish(() => records);
}

/** The places of all chunks of a pack, in order. */
export const placesOf = (info: PackInfo): ChunkPlace[] =>
  [...blockPlaces(info)].flat().map(({ place }) => place);

/** Counts what it is asked for. */
export class CountingStore extends MemoryStore {
  readonly asked: GetOptions[] = [];

  override get(key: string, options: GetOptions = {}): Promise<Buffer> {
    this.asked.push(options);
    return super.get(key, options);
  }
}

/** A pack in a store, one block for each plain. */
export async function storedPack(
  context: PackContext,
  plains: readonly Buffer[],
  store = new CountingStore(),
) {
  const { bytes, info } = buildPack(
    context,
    plains.map((plain) => [plain]),
  );
  const { versionId } = await store.put(packKey(info.name), bytes);
  const places = placesOf({ ...info, versionId });
  return { store, places, bytes, info, versionId };
}

/** Bytes that do not compress, the same for the same seed. */
export function noise(size_bytes: number, seed = 1): Buffer {
  const bytes = Buffer.alloc(size_bytes);
  let state = seed;
  for (let index = 0; index < size_bytes; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}
