// One run of a backup up to its commit: changes go to the workers in batches, their packs to the store, their rows in path
// order to the commit. Every queue is bounded. The commit itself is the caller's (index.ts), so that nothing here can
// publish half a run.

import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { defaultLevel } from '../compression/index.js';
import { interrupted } from '../errors/index.js';
import type { CommitWriter } from '../manifest/commit.js';
import type { Row, VersionHeader } from '../manifest/types.js';
import { packKey } from '../pack/index.js';
import type { PackName } from '../pack/types.js';
import type { Run } from '../progress.js';
import type { Repository } from '../repository/index.js';
import { WorkerPool } from '../workers/pool.js';
import type { ChunkTable } from './chunk-table.js';
import type { FinishedPack, Item, WorkerRequest, WorkerResponse, WorkerSetup } from './messages.js';

const batchItems = 256;
const batch_bytes = 4 * 1024 * 1024;
/** Batches sent out and not yet in the commit: what one slow file may hold up. */
const maximumBatchesOpen = 128;
const packsInAirPerWorker = 2;
/** What S3 answers where versioning is off. */
const suspendedVersionId = 'null';

export interface PipelineOptions {
  readonly repository: Repository;
  readonly stream: string;
  readonly run: string;
  readonly sequence: number;
  readonly sourcePath: Uint8Array;
  readonly table: ChunkTable;
  readonly orphansUsed: SharedArrayBuffer;
  readonly writer: CommitWriter;
  readonly workers: number;
  readonly progress: Run;
  /** A row has reached the commit. */
  onRow(row: Row): void;
  /** There is no row for it: it cannot be read, or (without a reason) is as it was. */
  onSpared(item: Item, reason: string | undefined): void;
}

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #ports: MessagePort[] = [];
  readonly #credits: Int32Array;
  #pool: WorkerPool<WorkerRequest, WorkerResponse> | undefined;
  readonly #uploads = new Set<Promise<void>>();
  readonly #packNames: PackName[] = [];

  /** Started by the first change: a run with nothing to do needs no workers. */
  #started: Promise<WorkerPool<WorkerRequest, WorkerResponse>> | undefined;
  #batch: Item[] = [];
  #batch_bytes = 0;
  #nextToCommit: Promise<void> = Promise.resolve();
  readonly #open = new Set<Promise<void>>();
  #received = 0;
  #onPack: () => void = () => undefined;
  #failure: { readonly error: unknown } | undefined;

  readonly unstable: Uint8Array[] = [];
  newBytes = 0;
  storedBytes = 0;
  uploaded_bytes = 0;
  rows = 0;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#credits = new Int32Array(new SharedArrayBuffer(8));
    Atomics.store(this.#credits, 0, packsInAirPerWorker * options.workers);
  }

  /** The next change, in path order. Waits while the workers are behind. */
  async add(item: Item): Promise<void> {
    this.#batch.push(item);
    if (item.op !== 'removed') this.#batch_bytes += item.entry.size_bytes;
    if (this.#batch.length >= batchItems || this.#batch_bytes >= batch_bytes)
      await this.#send(this.#options.workers);
  }

  async #start(workers: number): Promise<WorkerPool<WorkerRequest, WorkerResponse>> {
    const { repository, table, orphansUsed, stream, run, sequence, sourcePath } = this.#options;
    const setup: WorkerSetup = {
      keys: repository.context.keys,
      repositoryId: repository.id,
      catalogPath: repository.catalog.path,
      chunkTable: table.buffer,
      orphansUsed,
      stream,
      run,
      sequence,
      compressionLevel: defaultLevel,
      sourcePath,
    };
    const pool = new WorkerPool<WorkerRequest, WorkerResponse>({
      script: new URL('./worker.js', import.meta.url),
      size: workers,
      workerData: setup,
    });
    this.#pool = pool;
    const credits = this.#credits.buffer as SharedArrayBuffer;
    const starts = Array.from({ length: workers }, (_, worker) => {
      const { port1, port2 } = new MessageChannel();
      port1.on('message', (pack: FinishedPack) => this.#takePack(pack));
      this.#ports.push(port1);
      return pool.runOn(worker, { kind: 'start', packPort: port2, credits }, [port2]);
    });
    await Promise.all(starts);
    return pool;
  }

  /**
   * Ends the run: everything is read, stored and acknowledged when it settles, the last pack with the header that
   * `makeHeader` gives once the statistics are known. Returns that header.
   */
  async finish(makeHeader: () => VersionHeader, adopted: readonly PackName[]): Promise<VersionHeader> {
    const pool = await (this.#started ??= this.#start(1));
    for (let worker = 1; worker < pool.size; worker++)
      this.#count(await pool.runOn(worker, { kind: 'flush', finish: true }));
    this.#count(await pool.runOn(0, { kind: 'flush', finish: false }));
    await this.#settleUploads();
    const otherPacks = [...this.#packNames, ...adopted];
    const header = makeHeader();
    await pool.runOn(0, { kind: 'finish-last', header, otherPacks });
    await this.#settleUploads();
    return header;
  }

  /** Waits until all changes are read and their rows are in the commit. */
  async drain(): Promise<void> {
    // A run of one batch is over before a second worker is up.
    if (this.#batch.length > 0) await this.#send(1);
    await this.#nextToCommit;
    this.#throwIfFailed();
  }

  /** Ends the workers, whatever they do. */
  async close(): Promise<void> {
    await this.#pool?.abort();
    for (const port of this.#ports) port.close();
    await Promise.allSettled([...this.#uploads, ...this.#open]);
  }

  #count(response: WorkerResponse): void {
    this.newBytes += response.newBytes;
    this.storedBytes += response.storedBytes;
  }

  /** `workers`: how many to start if none are. */
  async #send(workers: number): Promise<void> {
    const pool = await (this.#started ??= this.#start(workers));
    const items = this.#batch;
    this.#batch = [];
    this.#batch_bytes = 0;
    const response = pool.run({ kind: 'batch', items });
    const before = this.#nextToCommit;
    const committed = this.#collect(before, items, response).catch((error: unknown) => {
      this.#failure ??= { error };
    });
    this.#nextToCommit = committed;
    this.#open.add(committed);
    void committed.then(() => this.#open.delete(committed));
    await pool.room();
    if (this.#open.size >= maximumBatchesOpen) await Promise.race(this.#open);
    this.#throwIfFailed();
  }

  /** Puts a batch's rows into the commit, once those of the batch before are in it. */
  async #collect(
    before: Promise<void>,
    items: readonly Item[],
    answer: Promise<WorkerResponse>,
  ): Promise<void> {
    const [response] = await Promise.all([answer, before]);
    this.#throwIfFailed();
    this.#count(response);
    for (const { item, reason } of response.spared) this.#options.onSpared(items[item]!, reason);
    this.unstable.push(...response.unstable);
    for (const row of response.rows) {
      await this.#options.writer.addRow(row);
      this.rows++;
      this.#options.onRow(row);
    }
  }

  #takePack(pack: FinishedPack): void {
    this.#received++;
    this.#onPack();
    const upload = this.#upload(pack)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#uploads.delete(upload);
        Atomics.add(this.#credits, 0, 1);
        Atomics.notify(this.#credits, 0);
      });
    this.#uploads.add(upload);
  }

  async #upload({ bytes, info }: FinishedPack): Promise<void> {
    const { repository, stream, writer } = this.#options;
    if (this.#failure !== undefined) return;
    repository.state.journalAdd(stream, info.name);
    const versionId = await this.#put(packKey(info.name), bytes);
    await writer.addPack({ ...info, versionId });
    this.#packNames.push(info.name);
    this.uploaded_bytes += info.size_bytes;
  }

  async #put(key: string, bytes: Uint8Array): Promise<string> {
    const { store } = this.#options.repository;
    const { signal, onWarning } = this.#options.progress;
    const call = signal === undefined ? {} : { signal };
    const { versionId } = await store.put(key, bytes, call);
    if (versionId !== suspendedVersionId) return versionId;
    // Somebody has suspended the bucket's versioning since the repository was made: what is stored so can be overwritten.
    await store.prepare({ ...call, note: (message) => onWarning?.(message) });
    return (await store.put(key, bytes, call)).versionId;
  }

  async #settleUploads(): Promise<void> {
    // Packs come over ports of their own: one that was sent before its worker's answer may arrive after it.
    while (this.#received < Atomics.load(this.#credits, 1)) {
      await new Promise<void>((resolve) => (this.#onPack = resolve));
    }
    while (this.#uploads.size > 0) await Promise.all(this.#uploads);
    this.#throwIfFailed();
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#options.progress.signal?.aborted) throw interrupted();
  }
}
