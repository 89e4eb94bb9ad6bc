// One run of a backup up to its commit: places go to the workers, their packs to the store, their rows in path order to the
// commit. Every queue is bounded. The commit itself is the caller's (index.ts), so that nothing here can publish half a run.

import fs from 'node:fs';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { interrupted } from '../errors/index.js';
import type { Feed } from '../catalog/index.js';
import type { CommitWriter } from '../manifest/commit.js';
import { encodeRow, encodeRows } from '../manifest/row-stream.js';
import type { Row, VersionHeader } from '../manifest/types.js';
import { packKey } from '../pack/index.js';
import type { PackName } from '../pack/types.js';
import { FileStatus } from '../posix/status.js';
import { closeAbandoned, type HeldRoot, joinAbsolute, OpenDirectory } from '../posix/directory.js';
import { withReachable } from '../posix/long-path.js';
import type { Run } from '../progress.js';
import { hasSoundChunk } from '../repository/damage.js';
import type { Repository } from '../repository/index.js';
import { WorkerPool } from '../workers/pool.js';
import { Agenda } from './agenda.js';
import { readBigFile } from './big-file.js';
import type { ChunkTable } from './chunk-table.js';
import type {
  BigFile,
  FinishedPack,
  Finding,
  Remarks,
  SourceSettings,
  WorkerRequest,
  WorkerResponse,
  WorkerSetup,
} from './messages.js';
import { noRemarks, xattrsUnreadable } from './recorder.js';
import { isSameEntry } from './same-entry.js';
import { sourceWentAway } from './source.js';
import { countChange, countEntry } from './tally.js';

/** Places sent to a worker at a time: most directories are small. */
const placesPerRequest = 32;
const requestsPerWorker = 2;
/** Rows that wait for those before them: what one slow file may hold up. */
const maximumWaiting_bytes = 32 * 1024 * 1024;
/** Each takes its memory; a store that is far away is kept busy by a few. */
const packsInAir = (workers: number): number => workers + 1;
/** Where the workers' open files and directories are among the shared numbers, one of each behind the other. */
const open_at = 2;
const openOfWorker = 2;
/** What S3 answers where versioning is off. */
const suspendedVersionId = 'null';

export interface PipelineOptions {
  readonly repository: Repository;
  readonly source: SourceSettings;
  readonly run: string;
  readonly sequence: number;
  readonly compressionLevel: number | null;
  readonly table: ChunkTable;
  readonly orphansUsed: SharedArrayBuffer;
  readonly writer: CommitWriter;
  readonly feed: Feed;
  readonly workers: number;
  readonly progress: Run;
  /** What workers, or this room, have to say of what they did; `path`: where they are. */
  onRemarks(remarks: Remarks, path: Uint8Array | undefined): void;
}

type Pool = WorkerPool<WorkerRequest, WorkerResponse>;

export class Pipeline {
  readonly #options: PipelineOptions;
  readonly #ports: MessagePort[] = [];
  readonly #credits: Int32Array;
  /** Started by the first thing to do: a run with nothing to do needs no workers. */
  #pool: Pool | undefined;
  readonly #uploads = new Set<Promise<void>>();
  readonly #packNames: PackName[] = [];
  #onPack: () => void = () => undefined;
  #failure: { readonly error: unknown } | undefined;
  #underWay = 0;
  #waiting_bytes = 0;
  /** Ends the wait of whoever waits for something to happen. */
  #wake: () => void = () => undefined;

  newBytes = 0;
  storedBytes = 0;
  uploaded_bytes = 0;
  rows = 0;

  constructor(options: PipelineOptions) {
    this.#options = options;
    this.#credits = new Int32Array(new SharedArrayBuffer(4 * (open_at + openOfWorker * options.workers)));
    Atomics.store(this.#credits, 0, packsInAir(options.workers));
  }

  get #root(): HeldRoot {
    const { root, rootDescriptor: descriptor } = this.#options.source;
    return { path: Buffer.from(root), descriptor };
  }

  /** So many workers at the most come up, for work that is about to be there. */
  begin(workers: number): void {
    if (workers > 0) this.#poolOf(workers);
  }

  /** Does all that is left to do: everything is read, and its rows are in the commit, when it settles. */
  async drain(findings: readonly Finding[]): Promise<void> {
    const agenda = new Agenda(findings);
    const { signal } = this.#options.progress;
    const onAbort = (): void => this.#wake();
    signal?.addEventListener('abort', onAbort);
    try {
      for (;;) {
        this.#throwIfFailed();
        const happened = new Promise<void>((resolve) => (this.#wake = resolve));
        for (let finding = agenda.shift(); finding; finding = agenda.shift())
          await this.#conclude(finding, agenda);
        if (agenda.isEmpty) return;
        this.#dispatch(agenda);
        if (!agenda.isIdle) await happened;
      }
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Gives the workers what they have room for. */
  #dispatch(agenda: Agenda): void {
    const width = this.#options.workers * requestsPerWorker;
    while (this.#underWay < width && (this.#waiting_bytes < maximumWaiting_bytes || agenda.isIdle)) {
      const taken = agenda.take(placesPerRequest, width - this.#underWay);
      if (taken.length === 0) return;
      const places = taken.map(({ place }) => place);
      this.#underWay++;
      const pool = this.#underWay > 1 ? this.#wholePool() : this.#startedPool();
      void pool
        .run({ kind: 'places', places })
        .then((response) => {
          this.#count(response);
          for (const [index, { settle }] of taken.entries()) settle(response.findings![index]!);
          for (const finding of response.findings!.flat())
            if (finding.kind === 'rows') this.#waiting_bytes += finding.rows.bytes.length;
          this.#options.onRemarks(response.remarks!, places[0]!.path);
        })
        .catch((error: unknown) => {
          this.#failure ??= { error };
        })
        .finally(() => {
          this.#underWay--;
          this.#wake();
        });
    }
  }

  /** Its turn has come: everything before it in path order is done. */
  async #conclude(finding: Exclude<Finding, { kind: 'place' }>, agenda: Agenda): Promise<void> {
    switch (finding.kind) {
      case 'rows':
        this.#waiting_bytes -= finding.rows.bytes.length;
        await this.#options.writer.addEncodedRows(finding.rows);
        await this.#options.feed.add(finding.rows);
        this.rows += finding.rows.count;
        return;
      case 'still-there':
        checkStillThere(this.#root, finding);
        return;
      case 'big-file':
        // The others go on meanwhile, as far as rows may wait.
        this.#dispatch(agenda);
        await this.#bigFile(finding.file);
    }
  }

  async #bigFile(file: BigFile): Promise<void> {
    const { workers, repository, source } = this.#options;
    const pool = this.#wholePool();
    const result = await readBigFile(
      {
        root: this.#root,
        width: workers * requestsPerWorker,
        hasChunk: (id) => hasSoundChunk(repository.catalog, source.gone, id),
        ask: async (request) => {
          const response = await pool.run(request);
          this.#count(response);
          this.#throwIfFailed();
          return response;
        },
      },
      file,
    );
    const { path, previous, isAdded } = file;
    const remarks = noRemarks();
    if ('reason' in result) {
      remarks.unreadable.push({ path, reason: result.reason });
      remarks.figures.statistics.unreadable++;
      if (previous !== undefined) countEntry(remarks.figures, 'file', previous.size_bytes);
    } else {
      const { entry, xattrsReason } = result;
      if (xattrsReason !== undefined) remarks.warnings.push(xattrsUnreadable(path, xattrsReason));
      countEntry(remarks.figures, 'file', entry.size_bytes);
      if (!result.isStable) remarks.unstable.push(path);
      if (previous === undefined || !isSameEntry(entry, previous)) {
        const op = isAdded ? 'added' : 'changed';
        const row: Row = { op, path, entry };
        await this.#options.writer.addRow(row);
        await this.#options.feed.add(encodeRows([encodeRow(row)]));
        this.rows++;
        this.#count(await pool.run({ kind: 'record', row }));
        countChange(remarks.figures, op, entry.size_bytes);
        remarks.users.push(entry.uid);
        remarks.groups.push(entry.gid);
      }
    }
    this.#options.onRemarks(remarks, path);
  }

  /** With one worker to begin with: a run with little to do is over before a second one is up. */
  #startedPool(): Pool {
    if (this.#pool !== undefined) return this.#pool;
    const { repository, table, orphansUsed, run, sequence, source, compressionLevel } = this.#options;
    const setup: WorkerSetup = {
      keys: repository.context.keys,
      repositoryId: repository.id,
      catalogPath: repository.catalog.path,
      chunkTable: table.buffer,
      orphansUsed,
      run,
      sequence,
      compressionLevel,
      source,
    };
    const script = new URL('./worker.js', import.meta.url);
    this.#pool = new WorkerPool({ script, size: 1, workerData: setup });
    this.#introduce(this.#pool, 0);
    return this.#pool;
  }

  #wholePool(): Pool {
    return this.#poolOf(this.#options.workers);
  }

  #poolOf(workers: number): Pool {
    const pool = this.#startedPool();
    while (pool.size < Math.min(workers, this.#options.workers)) this.#introduce(pool, pool.add());
    return pool;
  }

  /** A worker's first request. */
  #introduce(pool: Pool, worker: number): void {
    const { port1, port2 } = new MessageChannel();
    port1.on('message', (pack: FinishedPack) => this.#takePack(pack, port1));
    this.#ports.push(port1);
    const credits = this.#credits.buffer as SharedArrayBuffer;
    pool
      .runOn(worker, { kind: 'start', packPort: port2, credits, open_at: open_at + openOfWorker * worker }, [
        port2,
      ])
      .catch((error: unknown) => {
        this.#failure ??= { error };
        this.#wake();
      });
  }

  /**
   * Ends the run: everything is read, stored and acknowledged when it settles, the last pack with the header that
   * `makeHeader` gives once the statistics are known. Returns that header.
   */
  async finish(makeHeader: () => VersionHeader, adopted: readonly PackName[]): Promise<VersionHeader> {
    const pool = this.#startedPool();
    const others = Array.from({ length: pool.size - 1 }, (_, index) =>
      pool.runOn(index + 1, { kind: 'flush' }),
    );
    for (const response of await Promise.all(others)) this.#count(response);
    // The last pack says that all others are there.
    await this.#settleUploads();
    const otherPacks = [...this.#packNames, ...adopted];
    const header = makeHeader();
    await pool.runOn(0, { kind: 'finish-last', header, otherPacks });
    await this.#settleUploads();
    await pool.close();
    return header;
  }

  /** Ends the workers, whatever they do. */
  async close(): Promise<void> {
    await this.#pool?.abort();
    // What a worker had open it could not close any more.
    for (const fd of this.#credits.subarray(open_at)) if (fd > 0) closeAbandoned(fd - 1);
    for (const port of this.#ports) port.close();
    await Promise.allSettled(this.#uploads);
  }

  #count(response: WorkerResponse): void {
    this.newBytes += response.newBytes;
    this.storedBytes += response.storedBytes;
  }

  #takePack(pack: FinishedPack, from: MessagePort): void {
    this.#packNames.push(pack.info.name);
    this.#onPack();
    const upload = this.#upload(pack)
      .catch((error: unknown) => {
        this.#failure ??= { error };
        this.#wake();
      })
      .finally(() => {
        this.#uploads.delete(upload);
        from.postMessage(pack.bytes.buffer);
        Atomics.add(this.#credits, 0, 1);
        Atomics.notify(this.#credits, 0);
      });
    this.#uploads.add(upload);
  }

  async #upload({ bytes, info }: FinishedPack): Promise<void> {
    const { repository, source, writer } = this.#options;
    if (this.#failure !== undefined) return;
    repository.state.journalAdd(source.stream, info.name);
    const versionId = await this.#put(packKey(info.name), bytes);
    await writer.addPack({ ...info, versionId });
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

  /** Packs come over ports of their own: one that was sent before its worker's answer may arrive after it. */
  async #receivePacks(): Promise<void> {
    while (this.#packNames.length < Atomics.load(this.#credits, 1))
      await new Promise<void>((resolve) => (this.#onPack = resolve));
  }

  async #settleUploads(): Promise<void> {
    await this.#receivePacks();
    while (this.#uploads.size > 0) await Promise.all(this.#uploads);
    this.#throwIfFailed();
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#options.progress.signal?.aborted) throw interrupted();
  }
}

/** Throws 'backup.source_went_away'. */
function checkStillThere(root: HeldRoot, { path, device }: Extract<Finding, { kind: 'still-there' }>): void {
  const status = new FileStatus();
  try {
    // The root itself can be read for as long as it is held: whether it still stands there its path tells.
    if (path.length > 0) new OpenDirectory(root, path, status).close();
    else status.setStats(withReachable(root.path, (reachable) => fs.statSync(reachable, { bigint: true })));
  } catch {
    throw sourceWentAway(joinAbsolute(root.path, path));
  }
  if (!status.isSameDevice(device)) throw sourceWentAway(joinAbsolute(root.path, path));
}
