// One run of a backup up to its commit: changes go to the workers in batches, their packs to the store, their rows in path
// order to the commit. Every queue is bounded. The commit itself is the caller's (index.ts), so that nothing here can
// publish half a run.

import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { interrupted } from '../errors/index.js';
import type { CommitWriter } from '../manifest/commit.js';
import type { VersionHeader } from '../manifest/types.js';
import { packKey } from '../pack/index.js';
import type { PackName } from '../pack/types.js';
import type { Run } from '../progress.js';
import type { Repository } from '../repository/index.js';
import { WorkerPool } from '../workers/pool.js';
import type { ChunkTable } from './chunk-table.js';
import type {
  FinishedPack,
  Item,
  Unreadable,
  WorkerRequest,
  WorkerResponse,
  WorkerSetup,
} from './messages.js';

const batchItems = 256;
const batch_bytes = 4 * 1024 * 1024;
/** Batches sent out and not yet in the commit: what one slow file may hold up. */
const maximumBatchesOpen = 128;
const batchesPerWorker = 2;
const packsInAirPerWorker = 2;
const defaultCompressionLevel = 3;

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
}

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #pool: WorkerPool<WorkerRequest, WorkerResponse>;
  readonly #ports: MessagePort[] = [];
  readonly #credits: Int32Array;
  readonly #uploads = new Set<Promise<void>>();
  readonly #packNames: PackName[] = [];

  #batch: Item[] = [];
  #batch_bytes = 0;
  #nextToCommit: Promise<void> = Promise.resolve();
  readonly #open = new Set<Promise<void>>();
  #received = 0;
  #onPack: () => void = () => undefined;
  #failure: { readonly error: unknown } | undefined;

  readonly unreadable: Unreadable[] = [];
  readonly unstable: Uint8Array[] = [];
  newBytes = 0;
  storedBytes = 0;
  uploaded_bytes = 0;
  rows = 0;

  constructor(options: PipelineOptions) {
    this.#options = options;
    const { repository } = options;
    const setup: WorkerSetup = {
      keys: repository.context.keys,
      repositoryId: repository.id,
      catalogPath: repository.catalogPath,
      chunkTable: options.table.buffer,
      orphansUsed: options.orphansUsed,
      stream: options.stream,
      run: options.run,
      sequence: options.sequence,
      compressionLevel: defaultCompressionLevel,
      sourcePath: options.sourcePath,
    };
    this.#credits = new Int32Array(new SharedArrayBuffer(8));
    Atomics.store(this.#credits, 0, packsInAirPerWorker * options.workers);
    this.#pool = new WorkerPool({
      script: new URL('./worker.js', import.meta.url),
      size: options.workers,
      workerData: setup,
    });
  }

  /** Starts the workers. */
  async start(): Promise<void> {
    const credits = this.#credits.buffer as SharedArrayBuffer;
    await Promise.all(
      Array.from({ length: this.#options.workers }, async (_, index) => {
        const { port1, port2 } = new MessageChannel();
        port1.on('message', (pack: FinishedPack) => this.#takePack(pack));
        this.#ports.push(port1);
        await this.#pool.runOn(index, { kind: 'start', packPort: port2, credits }, [port2]);
      }),
    );
  }

  /** The next change, in path order. Waits while the workers are behind. */
  async add(item: Item): Promise<void> {
    this.#batch.push(item);
    if (item.op !== 'removed') this.#batch_bytes += item.entry.size_bytes;
    if (this.#batch.length >= batchItems || this.#batch_bytes >= batch_bytes) await this.#send();
  }

  /**
   * Ends the run: everything is read, stored and acknowledged when it settles, the last pack with the header that
   * `makeHeader` gives once the statistics are known. Returns that header.
   */
  async finish(
    makeHeader: () => VersionHeader,
    adopted: AsyncIterable<{ name: PackName }>,
  ): Promise<VersionHeader> {
    for (let worker = 1; worker < this.#options.workers; worker++)
      await this.#flush(worker, { finish: true });
    await this.#flush(0, { finish: false });
    await this.#settleUploads();
    const otherPacks = [...this.#packNames];
    for await (const { name } of adopted) otherPacks.push(name);
    const header = makeHeader();
    await this.#pool.runOn(0, { kind: 'finish-last', header, otherPacks });
    await this.#settleUploads();
    return header;
  }

  /** Waits until all changes are read and their rows are in the commit. */
  async drain(): Promise<void> {
    if (this.#batch.length > 0) await this.#send();
    await this.#nextToCommit;
    this.#throwIfFailed();
  }

  async close(): Promise<void> {
    for (const port of this.#ports) port.close();
    await this.#pool.close();
    await Promise.allSettled([...this.#uploads, ...this.#open]);
  }

  async #flush(worker: number, { finish }: { finish: boolean }): Promise<void> {
    this.#count(await this.#pool.runOn(worker, { kind: 'flush', finish }));
  }

  #count(response: WorkerResponse): void {
    this.newBytes += response.newBytes;
    this.storedBytes += response.storedBytes;
  }

  async #send(): Promise<void> {
    const items = this.#batch;
    this.#batch = [];
    this.#batch_bytes = 0;
    const response = this.#pool.run({ kind: 'batch', items });
    const before = this.#nextToCommit;
    const committed = this.#collect(before, response).catch((error: unknown) => {
      this.#failure ??= { error };
    });
    this.#nextToCommit = committed;
    this.#open.add(committed);
    void committed.then(() => this.#open.delete(committed));
    const unanswered = batchesPerWorker * this.#options.workers;
    if (this.#pool.pending >= unanswered) await this.#pool.oneDone();
    if (this.#open.size >= maximumBatchesOpen) await Promise.race(this.#open);
    this.#throwIfFailed();
  }

  /** Puts a batch's rows into the commit, once those of the batch before are in it. */
  async #collect(before: Promise<void>, answer: Promise<WorkerResponse>): Promise<void> {
    const [response] = await Promise.all([answer, before]);
    this.#throwIfFailed();
    this.#count(response);
    this.unreadable.push(...response.unreadable);
    this.unstable.push(...response.unstable);
    for (const row of response.rows) {
      await this.#options.writer.addRow(row);
      this.rows++;
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
    const { repository, stream, writer, progress } = this.#options;
    if (this.#failure !== undefined) return;
    const call = progress.signal === undefined ? {} : { signal: progress.signal };
    const { versionId } = await repository.store.put(packKey(info.name), bytes, call);
    repository.state.journalAdd(stream, { name: info.name, versionId, size_bytes: info.size_bytes });
    await writer.addPack({ ...info, versionId });
    this.#packNames.push(info.name);
    this.uploaded_bytes += info.size_bytes;
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
