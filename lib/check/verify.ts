// Reads whole packs and has every byte of them verified in threads, bounded in what is held at once. Says of each pack that is
// not in order which of its blocks cannot be had. Keeps nothing of what it reads.

import os from 'node:os';
import type { Transferable } from 'node:worker_threads';
import type { Catalog } from '../catalog/index.js';
import { RrbackupError } from '../errors/index.js';
import { packKey } from '../pack/index.js';
import { fetchExact } from '../pack/fetch.js';
import type { PackName } from '../pack/types.js';
import type { Run } from '../progress.js';
import type { Repository } from '../repository/index.js';
import { throwIfAborted } from '../store/failures.js';
import { WorkerPool } from '../workers/pool.js';
import { type NamedPack, otherSize, tellPack } from './check-packs.js';
import type { BadBlocks } from './findings-files.js';
import type { Findings } from './findings.js';
import type { VerifyRequest, VerifyResponse } from './verify-pack.js';
import type { VerifySetup } from './verify-worker.js';

/** Packs of the usual size: more at once are waited for. */
const maximumHeld_bytes = 64 * 1024 * 1024;
/** For repositories of very small packs, and stores that are far away. */
const maximumUnderWay = 16;
/** A store that refuses so many packs one after another refuses all. */
const patience = 16;

export interface VerifyOptions {
  readonly repository: Pick<Repository, 'context' | 'store'>;
  /** Knows the packs as the history names them. */
  readonly catalog: Catalog;
  readonly findings: Findings;
  /** Of each pack that is damaged the blocks that cannot be had: none where only what is around them is damaged. */
  readonly bad: Map<PackName, BadBlocks>;
  readonly run: Run;
  /** Every byte of the pack is what it should be. */
  onGood?(name: PackName): void;
  /** It is not, and not all of it lies in other packs. */
  onDamaged?(name: PackName): void;
}

export interface VerifyResult {
  readonly packs: number;
  readonly bytes: number;
}

/** Throws what keeps it from going on: 'interrupted', a store that does not answer. */
export async function verifyPacks(
  packs: readonly NamedPack[],
  options: VerifyOptions,
): Promise<VerifyResult> {
  if (packs.length === 0) return { packs: 0, bytes: 0 };
  const verification = new Verification(packs, options);
  return verification.run();
}

class Verification {
  readonly #packs: readonly NamedPack[];
  readonly #options: VerifyOptions;
  readonly #pool: WorkerPool<VerifyRequest, VerifyResponse>;
  readonly #underWay = new Set<Promise<void>>();
  readonly #total_bytes: number;
  #held_bytes = 0;
  #done = 0;
  #done_bytes = 0;
  #refusals = 0;
  #failure: { readonly error: unknown } | undefined;

  constructor(packs: readonly NamedPack[], options: VerifyOptions) {
    this.#packs = packs;
    this.#options = options;
    this.#total_bytes = packs.reduce((sum, { size_bytes }) => sum + size_bytes, 0);
    const { keys, repositoryId } = options.repository.context;
    this.#pool = new WorkerPool({
      script: new URL('./verify-worker.js', import.meta.url),
      size: Math.min(os.availableParallelism(), packs.length),
      workerData: { keys, repositoryId } satisfies VerifySetup,
    });
  }

  async run(): Promise<VerifyResult> {
    try {
      for (const pack of this.#packs) {
        await this.#room(pack.size_bytes);
        this.#begin(pack);
      }
      while (this.#underWay.size > 0 && this.#failure === undefined) await Promise.race(this.#underWay);
      this.#throwIfFailed();
      await this.#pool.close();
    } catch (error) {
      await this.#pool.abort(error);
      await Promise.all(this.#underWay);
      throw error;
    }
    return { packs: this.#done, bytes: this.#done_bytes };
  }

  async #room(size_bytes: number): Promise<void> {
    for (;;) {
      this.#throwIfFailed();
      const isFull =
        this.#underWay.size >= maximumUnderWay || this.#held_bytes + size_bytes > maximumHeld_bytes;
      if (this.#underWay.size === 0 || !isFull) return;
      await Promise.race(this.#underWay);
    }
  }

  #throwIfFailed(): void {
    throwIfAborted(this.#options.run.signal);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #begin(pack: NamedPack): void {
    this.#held_bytes += pack.size_bytes;
    const work = this.#verify(pack)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#held_bytes -= pack.size_bytes;
        this.#underWay.delete(work);
      });
    this.#underWay.add(work);
  }

  async #verify(pack: NamedPack): Promise<void> {
    const { name, size_bytes, stored_bytes } = pack;
    const { catalog, onGood, run } = this.#options;
    const bytes = await this.#fetch(pack);
    if (bytes !== undefined) {
      const info = catalog.flatPack(name)?.bytes;
      const transfer: Transferable[] =
        bytes.byteLength === bytes.buffer.byteLength ? [bytes.buffer as ArrayBuffer] : [];
      const { problem, badBlocks } = await this.#pool.run({ name, bytes, info }, transfer);
      const isOther = stored_bytes !== size_bytes;
      const what = isOther ? `the pack ${name} ${otherSize(pack, size_bytes)}` : problem;
      if (what === undefined) onGood?.(name);
      else {
        this.#options.bad.set(name, new Set(badBlocks));
        this.#tell('pack.damaged', name, what);
      }
    }
    this.#done++;
    this.#done_bytes += size_bytes;
    run.onProgress?.({
      phase: 'verify',
      files_done: 0,
      bytes_done: this.#done_bytes,
      bytes_total: this.#total_bytes,
      current: `pack ${this.#done} of ${this.#packs.length}`,
    });
  }

  /** Undefined where the store does not have it, or does not hand it out: that has been told then. */
  async #fetch({ name, versionId, size_bytes, stored_bytes }: NamedPack): Promise<Buffer | undefined> {
    const { repository, run, bad } = this.#options;
    const length = Math.min(size_bytes, stored_bytes);
    if (length === 0) return Buffer.alloc(0);
    try {
      const bytes = await fetchExact(repository.store, packKey(name), {
        versionId,
        range: { offset: 0, length },
        signal: run.signal,
      });
      this.#refusals = 0;
      return bytes;
    } catch (error) {
      const isOfPack =
        error instanceof RrbackupError &&
        (error.kind === 'not_found' || error.kind === 'damaged' || isRefusal(error));
      if (!isOfPack) throw error;
      if (isRefusal(error) && ++this.#refusals >= patience) throw error;
      bad.set(name, 'all');
      const code = error.kind === 'not_found' ? 'pack.missing' : 'pack.unreadable';
      this.#tell(code, name, `the pack ${name} cannot be had: ${error.message}`);
      return undefined;
    }
  }

  #tell(code: 'pack.damaged' | 'pack.missing' | 'pack.unreadable', name: PackName, message: string): void {
    const { findings, catalog, bad, onDamaged } = this.#options;
    if (tellPack(findings, catalog, { name, code, message }, bad.get(name)!)) onDamaged?.(name);
  }
}

/** Of this object, as far as the store says: a disk that cannot read it, a key without the right to. */
function isRefusal({ code }: RrbackupError): boolean {
  return code === 'store.failed' || code === 'store.denied';
}
