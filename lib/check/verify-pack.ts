// One whole pack, every byte of it, and where something is wrong with it, which of its blocks can be read all the same: by the
// table that the history has of it, as every reader reads. Works in any thread; never talks to the store.

import { ByteReader, ByteWriter } from '../bytes/cursor.js';
import { RrbackupError } from '../errors/index.js';
import { decodeRecords } from '../manifest/records.js';
import {
  BlockDecoder,
  blockPlaces,
  decodePackInfo,
  encodePackInfo,
  type PackContext,
  type PlacedChunk,
  verifyPack,
} from '../pack/index.js';
import type { PackInfo, PackName } from '../pack/types.js';

export interface VerifyRequest {
  readonly name: PackName;
  /** Of the object, as far as there is any, up to the size that it should have. */
  readonly bytes: Uint8Array;
  /** The pack as the history names it (encodePackInfo); undefined where no version that can be read does. */
  readonly info: Uint8Array | undefined;
}

export interface VerifyResponse {
  /** Undefined: every byte is what it should be. */
  readonly problem: string | undefined;
  /** Blocks of the history's table that cannot be read. */
  readonly badBlocks: readonly number[];
}

export class PackVerifier {
  readonly #context: PackContext;
  readonly #decoder: BlockDecoder;

  /** Call cryptoReady once before. */
  constructor(context: PackContext) {
    this.#context = context;
    this.#decoder = new BlockDecoder(context, { reusesMemory: true });
  }

  verify({ name, bytes, info }: VerifyRequest): VerifyResponse {
    try {
      const end = verifyPack(this.#context, bytes, name);
      decodeRecords(end.records, end.info);
      const isAsNamed = info === undefined || isSame(end.info, Buffer.from(info));
      if (isAsNamed) return { problem: undefined, badBlocks: [] };
      return {
        problem: `pack ${name} has other blocks than its log entry says`,
        badBlocks: this.#badBlocks(bytes, info),
      };
    } catch (error) {
      if (!isOfBytes(error)) throw error;
      const badBlocks = info === undefined ? [] : this.#badBlocks(bytes, Buffer.from(info));
      return { problem: error.message, badBlocks };
    }
  }

  #badBlocks(bytes: Uint8Array, encodedInfo: Uint8Array): number[] {
    const info = decodePackInfo(new ByteReader(encodedInfo, 'a pack in the history'), 'its blocks');
    const bad: number[] = [];
    for (const places of blockPlaces(info)) {
      const { block, blockOffset_bytes, blockStored_bytes } = places[0]!.place;
      const stored = bytes.subarray(blockOffset_bytes, blockOffset_bytes + blockStored_bytes);
      if (stored.length !== blockStored_bytes || !this.#isReadable(stored, places)) bad.push(block);
    }
    return bad;
  }

  #isReadable(stored: Uint8Array, places: readonly PlacedChunk[]): boolean {
    try {
      const plain = this.#decoder.decode(places[0]!.place, stored);
      for (const { place, id } of places) this.#decoder.chunkFrom(plain, place, id);
      return true;
    } catch (error) {
      if (!isOfBytes(error)) throw error;
      return false;
    }
  }
}

function isSame(info: PackInfo, named: Buffer): boolean {
  // Under which version id it was found is not in the pack.
  const { versionId } = decodePackInfo(new ByteReader(named, 'a pack in the history'), 'its blocks');
  const writer = new ByteWriter(named.length);
  encodePackInfo(writer, { ...info, versionId });
  return writer.view().equals(named);
}

function isOfBytes(error: unknown): error is RrbackupError {
  return error instanceof RrbackupError && ['damaged', 'tampered', 'newer_format'].includes(error.kind);
}
