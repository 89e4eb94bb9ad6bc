// The part of the catalog that knows packs: where a chunk lies, what a pack holds. Pack numbers are never re-used, so what
// is kept in memory here never grows stale.

import type { ChunkId, ChunkPlace, PackInfo } from '../pack/types.js';
import { decodePackInfo, scanPackInfo, type FlatPackInfo } from '../pack/table.js';
import { ByteReader } from '../bytes/cursor.js';
import type { Tables } from './database.js';
import { catalogDamaged } from './failure.js';
import { blockOf, numberKey, sealedPack, toPack, type Counters, type PackRecord } from './records.js';
import { checksum_bytes } from './table.js';

/** Packs whose block tables stay decoded; some ten kilobytes each. */
const keptPacks = 256;
const what = 'a pack in the local catalog';

export class PackTable {
  readonly #tables: Tables;
  readonly #kept = new Map<number, PackRecord>();

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  hasChunk(id: ChunkId): boolean {
    return this.#tables.chunks.has(id);
  }

  chunk(id: ChunkId): ChunkPlace | undefined {
    const chunk = this.#tables.chunks.get(id);
    if (chunk === undefined) return undefined;
    const pack = this.#pack(chunk.pack);
    const block = blockOf(pack, chunk.block);
    if (block === undefined) throw catalogDamaged(`pack ${pack.name} has no block ${chunk.block}`);
    return {
      pack: pack.name,
      packVersionId: pack.versionId,
      packHeader: pack.header,
      block: chunk.block,
      blockOffset_bytes: block.offset_bytes,
      blockStored_bytes: block.stored_bytes,
      blockPlain_bytes: block.plain_bytes,
      codec: block.codec,
      offset_bytes: chunk.offset_bytes,
      size_bytes: chunk.size_bytes,
    };
  }

  /** The number of the pack that holds a chunk. */
  packNumberOf(id: ChunkId): number | undefined {
    return this.#tables.chunks.get(id)?.pack;
  }

  numberOf(name: string): number | undefined {
    return this.#tables.packNames.get(Buffer.from(name, 'hex'))?.readUInt32LE(0);
  }

  /** The whole table of a pack, every chunk id included. */
  info(number: number): PackInfo {
    return decodePackInfo(this.#contents(number), what);
  }

  flatInfo(number: number): FlatPackInfo {
    return scanPackInfo(this.#contents(number), what);
  }

  #contents(number: number): ByteReader {
    const value = this.#tables.contents.get(numberKey(number));
    if (value === undefined) throw catalogDamaged(`pack ${number} is missing`);
    return new ByteReader(value, what);
  }

  #pack(number: number): PackRecord {
    const kept = this.#kept.get(number);
    if (kept !== undefined) return kept;
    const value = this.#tables.packs.get(numberKey(number));
    if (value === undefined) throw catalogDamaged(`pack ${number} is missing`);
    const pack = toPack(value);
    if (this.#kept.size >= keptPacks) this.#kept.delete(this.#kept.keys().next().value!);
    this.#kept.set(number, pack);
    return pack;
  }

  /** Inside a transaction. A pack that is known already is written again as it is now; its number stays. */
  add(pack: FlatPackInfo, counters: Counters): void {
    const nameKey = Buffer.from(pack.name, 'hex');
    let number = this.numberOf(pack.name);
    if (number === undefined) {
      number = counters.pack++;
      this.#tables.packNames.put(nameKey, Buffer.concat([Buffer.alloc(4), u32(number)]));
    }
    this.#kept.delete(number);
    const key = numberKey(number);
    this.#tables.packs.put(key, sealedPack(pack));
    const { bytes, blocks, chunks } = pack;
    const sealed = Buffer.allocUnsafe(checksum_bytes + bytes.length);
    bytes.copy(sealed, checksum_bytes);
    this.#tables.contents.put(key, sealed);
    let chunk = 0;
    for (let block = 0; block < blocks.length / 4; block++) {
      let offset_bytes = 0;
      for (const end = chunk + 2 * blocks[block * 4 + 3]!; chunk < end; chunk += 2) {
        const size_bytes = chunks[chunk + 1]!;
        this.#tables.chunks.add(bytes, chunks[chunk]!, { pack: number, block, offset_bytes, size_bytes });
        offset_bytes += size_bytes;
      }
    }
  }
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value, 0);
  return bytes;
}
