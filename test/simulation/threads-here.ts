// Runs a backup's worker threads as objects of this thread, so that a run depends on nothing but its seed and costs a tenth.
// What lib/backup/worker.ts puts together is put together here once more; all the rest is the product's.

import { EventEmitter } from 'node:events';
import { createRequire, syncBuiltinESMExports } from 'node:module';
import { type MessagePort, receiveMessageOnPort, type Worker } from 'node:worker_threads';
import { Comparison } from '../../lib/backup/compare.js';
import type { Place } from '../../lib/backup/findings.js';
import { compareOptions } from '../../lib/backup/compare-options.js';
import { ChunkTable } from '../../lib/backup/chunk-table.js';
import { FileReader, window_bytes } from '../../lib/backup/file-reader.js';
import type {
  FinishedPack,
  Finding,
  WorkerRequest,
  WorkerResponse,
  WorkerSetup,
} from '../../lib/backup/messages.js';
import { PackMaker } from '../../lib/backup/pack-maker.js';
import { Recorder } from '../../lib/backup/recorder.js';
import { openCatalogReader } from '../../lib/catalog/index.js';
import { Cutter } from '../../lib/chunking/index.js';
import { loadZstd } from '../../lib/compression/index.js';
import { cryptoReady, expandGear } from '../../lib/crypto/index.js';
import { toRrbackupError } from '../../lib/errors/index.js';
import { encodeRow } from '../../lib/manifest/row-stream.js';
import { ReadBuffer } from '../../lib/posix/directory.js';
import type { FromWorker, ToWorker } from '../../lib/workers/messages.js';

type Threads = { Worker: new (script: URL, options: { workerData: unknown }) => unknown };

/** From now on, in this process, backups start no threads. */
export function runBackupsHere(): void {
  const threads = createRequire(import.meta.url)('node:worker_threads') as Threads;
  const Thread = threads.Worker as unknown as new (script: URL, options: object) => Worker;
  threads.Worker = function (script: URL, options: { workerData: unknown }) {
    return script.pathname.endsWith('/lib/backup/worker.js')
      ? new WorkerHere(options.workerData as WorkerSetup)
      : new Thread(script, options);
  } as unknown as Threads['Worker'];
  syncBuiltinESMExports();
}

class WorkerHere extends EventEmitter {
  #work: Promise<Work>;
  #last: Promise<void>;
  #isOver = false;

  constructor(setup: WorkerSetup) {
    super();
    this.#work = makeWork(setup);
    this.#last = this.#work.then(() => void this.emit('message', { isUp: true }));
  }

  postMessage(message: ToWorker<WorkerRequest>): void {
    if ('close' in message) void this.terminate();
    else this.#last = this.#last.then(() => this.#answer(message.id, message.request));
  }

  async #answer(id: number, request: WorkerRequest): Promise<void> {
    if (this.#isOver) return;
    let answer: FromWorker<WorkerResponse>;
    try {
      answer = { id, response: (await this.#work).handle(request) };
    } catch (error) {
      answer = { id, error: toRrbackupError(error).toPlain() };
    }
    this.emit('message', answer);
  }

  async terminate(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    await (await this.#work).close();
    this.emit('exit', 0);
  }
}

let cutter: { readonly of: string; readonly cutter: Cutter } | undefined;

async function makeWork(setup: WorkerSetup): Promise<Work> {
  await cryptoReady();
  const { keys, repositoryId } = setup;
  if (cutter?.of !== repositoryId)
    cutter = { of: repositoryId, cutter: new Cutter(expandGear(keys), window_bytes) };
  return new Work(setup, cutter.cutter, await loadZstd());
}

class Work {
  readonly #setup: WorkerSetup;
  readonly #catalog;
  readonly #packs: PackMaker;
  readonly #recorder: Recorder;
  #comparison: Comparison | undefined;
  #port!: MessagePort;
  #credits!: Int32Array;

  constructor(setup: WorkerSetup, cutter: Cutter, zstd: Awaited<ReturnType<typeof loadZstd>>) {
    this.#setup = setup;
    this.#catalog = openCatalogReader(setup.catalogPath, setup.repositoryId);
    this.#packs = new PackMaker({
      ...setup,
      zstd,
      catalog: this.#catalog,
      table: new ChunkTable(setup.chunkTable),
      orphansUsed: new Uint8Array(setup.orphansUsed),
      stream: setup.source.stream,
      nextPart: () => Atomics.add(this.#credits, 1, 1),
      send: (pack: FinishedPack) => {
        this.#port.postMessage(pack, [pack.info.blockTable.buffer as ArrayBuffer]);
      },
      spareMemory: () =>
        (receiveMessageOnPort(this.#port) as { message: SharedArrayBuffer } | undefined)?.message,
    });
    const files = new FileReader({
      cutter,
      window: new ReadBuffer(cutter.window),
      storeChunk: (plain) => this.#packs.store(plain),
      onDescriptor: () => undefined,
    });
    this.#recorder = new Recorder(files, this.#packs);
  }

  handle(request: WorkerRequest): WorkerResponse {
    const packs = this.#packs;
    switch (request.kind) {
      case 'start':
        this.#port = request.packPort;
        this.#credits = new Int32Array(request.credits);
        return this.#respond({});
      case 'places': {
        this.#catalog.refresh();
        this.#recorder.begin();
        const findings = request.places.map((place) => this.#explore(place));
        return this.#respond({ findings, remarks: this.#recorder.takeRemarks() });
      }
      case 'record':
        packs.record(encodeRow(request.row));
        packs.endRun();
        return this.#respond({});
      case 'flush':
        if (!packs.isEmpty) packs.close();
        return this.#respond({});
      case 'finish-last':
        packs.close(request);
        return this.#respond({});
      default:
        throw new RangeError('simulated trees have no very large files');
    }
  }

  #explore(place: Place): Finding[] {
    this.#comparison ??= new Comparison(compareOptions(this.#setup.source, this.#catalog));
    const found: Finding[] = [];
    const ahead: Finding[] = [{ kind: 'place', place }];
    for (let next = ahead.pop(); next; next = ahead.pop()) {
      if (next.kind !== 'place' || this.#recorder.isEnough()) found.push(next);
      else {
        this.#comparison.compare(next.place, this.#recorder);
        ahead.push(...this.#recorder.take().reverse());
      }
    }
    return found;
  }

  #respond(part: Partial<WorkerResponse>): WorkerResponse {
    const { newBytes, storedBytes } = this.#packs;
    this.#packs.newBytes = 0;
    this.#packs.storedBytes = 0;
    return { ...part, newBytes, storedBytes };
  }

  close(): Promise<void> {
    return this.#catalog.close();
  }
}
