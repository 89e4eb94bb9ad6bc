// Packs that an interrupted run of this stream left in the store: their chunks are used again, so that a lost connection
// costs minutes, not days. They are known from the local journal or, without one, are the packs younger than the newest
// commit.

import { RrbackupError } from '../errors/index.js';
import { type StoredPack, packKey, packsPrefix, parsePackKey, readPackEnd } from '../pack/index.js';
import { decodeRecords, type StoredRecords } from '../manifest/records.js';
import type { PackInfo } from '../pack/types.js';
import type { Run } from '../progress.js';
import type { Repository } from '../repository/index.js';
import type { Call, ObjectStore, StoredObject } from '../store/types.js';
import type { ChunkTable } from './chunk-table.js';

/** The key may store packs and not read them: then nothing that an interrupted run left can be used again. */
const denied = 'store.denied';

/** More than this many are not looked at: the journal of a run knows its packs, a listing of a busy store does not end. */
const maximumOrphans = 4096;

export class Orphans {
  readonly #repository: Repository;
  readonly #packs: StoredPack[] = [];
  /** One byte a pack, written by the workers: whether a chunk of it is used. */
  readonly used = new SharedArrayBuffer(maximumOrphans);

  constructor(repository: Repository) {
    this.#repository = repository;
  }

  /**
   * Finds the packs and puts their chunks into the table. A pack that cannot be read is left alone. Throws
   * 'backup.history_gone' if packs tell of a version of the stream behind `head`.
   */
  async find(stream: string, head: number, table: ChunkTable, run: Run): Promise<void> {
    const isRemembered = this.#repository.state.journal(stream) !== undefined;
    let count = 0;
    for await (const pack of this.#candidates(stream, run.signal)) {
      if (count++ === maximumOrphans) return;
      const found = await this.#read(pack, run);
      if (found === undefined) continue;
      const { info, records } = found;
      // A run of this machine that came that far and no further is in its journal; of any other it is not known.
      if (!isRemembered && records.stream === stream && records.last && records.sequence > head)
        throw historyGone(records.sequence, head);
      for (const block of info.blocks) {
        for (const chunk of block.chunks) table.addOrphan(chunk.id, this.#packs.length);
      }
      this.#packs.push(pack);
    }
  }

  get areUsed(): boolean {
    return new Uint8Array(this.used).includes(1);
  }

  /** The packs of which a chunk was used: the commit adds them. */
  async *adopted(run: Run): AsyncIterable<PackInfo> {
    const used = new Uint8Array(this.used);
    for (const [index, pack] of this.#packs.entries()) {
      if (used[index] === 0) continue;
      const info = (await this.#read(pack, run))?.info;
      if (info === undefined) {
        throw new RrbackupError({
          code: 'backup.orphan_gone',
          kind: 'store',
          message: `pack ${pack.name} of an earlier, interrupted run was deleted while this run used it`,
          guidance: 'run rrbackup backup again',
        });
      }
      yield info;
    }
  }

  async #read(pack: StoredPack, run: Run): Promise<{ info: PackInfo; records: StoredRecords } | undefined> {
    try {
      const { info, records } = await readPackEnd(this.#repository.context, pack, run.signal);
      return { info, records: decodeRecords(records, info) };
    } catch (error) {
      const isLeftAlone =
        error instanceof RrbackupError &&
        (error.code === denied || ['not_found', 'damaged', 'tampered'].includes(error.kind));
      if (!isLeftAlone) throw error;
      return undefined;
    }
  }

  async *#candidates(stream: string, signal: AbortSignal | undefined): AsyncIterable<StoredPack> {
    const journal = this.#repository.state.journal(stream);
    const { catalog, store } = this.#repository;
    const call = signal === undefined ? {} : { signal };
    if (journal !== undefined) {
      for (const name of journal) {
        // It was noted before it was sent: whether it arrived the store knows.
        const object = await statUnlessDenied(store, packKey(name), call);
        if (object !== undefined) yield { ...object, name };
      }
      return;
    }
    const head = catalog.streams().reduce((newest, info) => {
      const finished_ns = catalog.version(info.id, info.head)?.header.finished_ns ?? 0n;
      return finished_ns > newest ? finished_ns : newest;
    }, 0n);
    for await (const { key, versionId, size_bytes, modified_ms } of store.list(packsPrefix, call)) {
      const name = parsePackKey(key);
      // The clocks may differ: too many candidates cost a little reading, never more.
      if (name === undefined || BigInt(Math.floor(modified_ms)) * 1_000_000n < head || catalog.hasPack(name))
        continue;
      yield { name, versionId, size_bytes };
    }
  }
}

async function statUnlessDenied(
  store: ObjectStore,
  key: string,
  call: Call,
): Promise<StoredObject | undefined> {
  try {
    return await store.stat(key, call);
  } catch (error) {
    if (error instanceof RrbackupError && error.code === denied) return undefined;
    throw error;
  }
}

function historyGone(sequence: number, head: number): RrbackupError {
  return new RrbackupError({
    code: 'backup.history_gone',
    kind: 'tampered',
    message:
      `the store holds the packs of version ${sequence} of this source, but its history ` +
      (head === 0 ? 'is not there' : `ends with version ${head}`),
    guidance: 'run rrbackup recover, which rebuilds the versions from the packs, then run the backup again',
  });
}
