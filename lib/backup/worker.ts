// A backup's worker thread: compares places of the source with the version before, reads what is new or different, and fills
// packs of its own. Never talks to the store.

import { type MessagePort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { openCatalogReader } from '../catalog/index.js';
import { Cutter } from '../chunking/index.js';
import { loadZstd } from '../compression/index.js';
import { cryptoReady, expandGear } from '../crypto/index.js';
import { encodeRow } from '../manifest/row-stream.js';
import { ReadBuffer } from '../posix/directory.js';
import { hasSoundChunk } from '../repository/damage.js';
import { serve } from '../workers/serve.js';
import { BigFileWork, UnreadableError } from './big-file-work.js';
import { ChunkTable } from './chunk-table.js';
import { Comparison } from './compare.js';
import type { Place } from './findings.js';
import { compareOptions } from './compare-options.js';
import { FileReader, window_bytes } from './file-reader.js';
import type { FinishedPack, Finding, WorkerRequest, WorkerResponse, WorkerSetup } from './messages.js';
import { PackMaker } from './pack-maker.js';
import { Recorder } from './recorder.js';

const setup = workerData as WorkerSetup;
await cryptoReady();
const { keys, repositoryId, run, sequence, compressionLevel, source } = setup;
const catalog = openCatalogReader(setup.catalogPath, repositoryId);
const cutter = new Cutter(expandGear(keys), window_bytes);
const window = new ReadBuffer(cutter.window);

let packPort: MessagePort;
/** See WorkerRequest. */
let credits: Int32Array;
let open_at = 0;

const packs = new PackMaker({
  keys,
  repositoryId,
  zstd: await loadZstd(),
  catalog: { hasChunk: (id) => hasSoundChunk(catalog, source.gone, id) },
  table: new ChunkTable(setup.chunkTable),
  orphansUsed: new Uint8Array(setup.orphansUsed),
  stream: source.stream,
  run,
  sequence,
  compressionLevel,
  nextPart: () => Atomics.add(credits, 1, 1),
  send(pack: FinishedPack) {
    takeCredit();
    packPort.postMessage(pack, [pack.info.blockTable.buffer as ArrayBuffer]);
  },
  spareMemory: () => (receiveMessageOnPort(packPort) as { message: SharedArrayBuffer } | undefined)?.message,
});
const files = new FileReader({
  cutter,
  window,
  storeChunk: (plain) => packs.store(plain),
  onDescriptor: (fd) => (credits[open_at] = (fd ?? -1) + 1),
});
const recorder = new Recorder(files, packs);
const bigFiles = new BigFileWork({ keys, cutter, window, packs });
let comparison: Comparison | undefined;

/** Waits until the main thread has taken enough of the earlier packs, so that memory stays bounded. */
function takeCredit(): void {
  for (;;) {
    const available = Atomics.load(credits, 0);
    if (available === 0) Atomics.wait(credits, 0, 0);
    else if (Atomics.compareExchange(credits, 0, available, available - 1) === available) return;
  }
}

/** Goes down into a place, depth first, until the share of work is done; what is left then stands among the findings. */
function explore(place: Place): Finding[] {
  comparison ??= new Comparison({
    ...compareOptions(source, catalog),
    onDescriptor: (fd) => (credits[open_at + 1] = (fd ?? -1) + 1),
  });
  const found: Finding[] = [];
  const ahead: Finding[] = [{ kind: 'place', place }];
  for (let next = ahead.pop(); next; next = ahead.pop()) {
    if (next.kind !== 'place' || recorder.isEnough()) found.push(next);
    else {
      comparison.compare(next.place, recorder);
      ahead.push(...recorder.take().reverse());
    }
  }
  return found;
}

function explorePlaces(places: readonly Place[]): WorkerResponse {
  catalog.refresh();
  recorder.begin();
  const findings = places.map(explore);
  return respond({ findings, remarks: recorder.takeRemarks() });
}

/** Of a part of a very large file. */
function respondOfFile(work: () => Partial<WorkerResponse>): { response: WorkerResponse } {
  try {
    return { response: respond(work()) };
  } catch (error) {
    if (!(error instanceof UnreadableError)) throw error;
    return { response: respond({ reason: error.message }) };
  }
}

function respond(part: Partial<WorkerResponse>): WorkerResponse {
  const { newBytes, storedBytes } = packs;
  packs.newBytes = 0;
  packs.storedBytes = 0;
  return { ...part, newBytes, storedBytes };
}

serve<WorkerRequest, WorkerResponse>((request) => {
  switch (request.kind) {
    case 'start':
      packPort = request.packPort;
      credits = new Int32Array(request.credits);
      open_at = request.open_at;
      return { response: respond({}) };
    case 'places': {
      const response = explorePlaces(request.places);
      const buffers = response.findings!.flatMap((findings) =>
        findings.map((finding) => (finding.kind === 'rows' ? finding.rows.bytes.buffer : undefined)),
      );
      return { response, transfer: buffers.filter((buffer) => buffer !== undefined) as ArrayBuffer[] };
    }
    case 'cut':
      return respondOfFile(() => ({ cuts: bigFiles.cut(request.fd, request.range, request.meet) }));
    case 'identify':
      return respondOfFile(() => ({
        isSame: bigFiles.identify(request.fd, request.ranges, request.ids),
      }));
    case 'store':
      return respondOfFile(() => ({ ids: bigFiles.store(request.fd, request.ranges) }));
    case 'record':
      packs.record(encodeRow(request.row));
      packs.endRun();
      return { response: respond({}) };
    case 'flush':
      if (!packs.isEmpty) packs.close();
      return { response: respond({}) };
    case 'finish-last':
      packs.close(request);
      return { response: respond({}) };
  }
});
