// A backup's worker thread: reads files, cuts and hashes them, and puts what the repository has not yet into packs of its
// own, with the finished rows as records. Blocks while too many of its packs wait for upload. Never talks to the store.

import { type MessagePort, workerData } from 'node:worker_threads';
import { openCatalogReader } from '../catalog/index.js';
import { gearTable } from '../chunking/index.js';
import { loadZstd } from '../compression/index.js';
import { chunkId, cryptoReady, expandGear } from '../crypto/index.js';
import { encodeRecords } from '../manifest/records.js';
import { rowWeight_bytes } from '../manifest/rows.js';
import type { Row, VersionHeader } from '../manifest/types.js';
import { PackBuilder } from '../pack/encode.js';
import type { BlockChunk, ChunkId, PackName } from '../pack/types.js';
import { serve } from '../workers/serve.js';
import { ChunkTable } from './chunk-table.js';
import { FileReader } from './file-reader.js';
import { isSameEntry } from './same-entry.js';
import type { FinishedPack, Item, Spared, WorkerRequest, WorkerResponse, WorkerSetup } from './messages.js';

/** Smaller chunks share blocks of about this size. */
const blockTarget_bytes = 128 * 1024;
/** A pack is closed when its records weigh this much before compression, even if its blocks would have room. */
const recordsTarget_bytes = 8 * 1024 * 1024;

const setup = workerData as WorkerSetup;
await cryptoReady();
const zstd = await loadZstd();
const catalog = openCatalogReader(setup.catalogPath, setup.repositoryId);
const table = new ChunkTable(setup.chunkTable);
const orphansUsed = new Uint8Array(setup.orphansUsed);
const gear = gearTable(expandGear(setup.keys));

const newBuilder = () => new PackBuilder({ keys: setup.keys, repositoryId: setup.repositoryId, zstd });

let builder = newBuilder();
let packPort: MessagePort;
/** [0] packs that may still be sent, [1] packs begun in this run by all workers. */
let credits: Int32Array;
let records: Row[] = [];
let records_bytes = 0;

// Small chunks wait here until they fill a block.
const block = Buffer.allocUnsafe(2 * blockTarget_bytes);
let blockLength_bytes = 0;
let blockChunks: BlockChunk[] = [];

let newBytes = 0;
let storedBytes = 0;

function addBlock(plain: Uint8Array, chunks: readonly BlockChunk[]): void {
  const before_bytes = builder.size_bytes;
  builder.addBlock(plain, chunks, setup.compressionLevel);
  storedBytes += builder.size_bytes - before_bytes;
}

function flushBlock(): void {
  if (blockChunks.length === 0) return;
  addBlock(block.subarray(0, blockLength_bytes), blockChunks);
  blockChunks = [];
  blockLength_bytes = 0;
}

function isStored(id: ChunkId): boolean {
  if (catalog.hasChunk(id)) return true;
  const claim = table.claim(id);
  if (claim.kind === 'orphan') orphansUsed[claim.pack] = 1;
  return claim.kind !== 'mine';
}

function storeChunk(plain: Uint8Array): ChunkId {
  const id = chunkId(setup.keys, plain);
  if (isStored(id)) return id;
  newBytes += plain.length;
  const chunk = { id, size_bytes: plain.length };
  if (plain.length >= blockTarget_bytes) {
    addBlock(plain, [chunk]);
  } else {
    block.set(plain, blockLength_bytes);
    blockLength_bytes += plain.length;
    blockChunks.push(chunk);
    if (blockLength_bytes >= blockTarget_bytes) flushBlock();
  }
  closePackIfFull();
  return id;
}

function closePackIfFull(): void {
  if (builder.isFull || records_bytes >= recordsTarget_bytes) closePack();
}

/** Waits until the main thread has taken enough of the earlier packs, so that memory stays bounded. */
function takeCredit(): void {
  for (;;) {
    const available = Atomics.load(credits, 0);
    if (available === 0) Atomics.wait(credits, 0, 0);
    else if (Atomics.compareExchange(credits, 0, available, available - 1) === available) return;
  }
}

function closePack(last?: { header: VersionHeader; otherPacks: readonly PackName[] }): void {
  const pack = builder.finish((chunkIndex) =>
    encodeRecords(
      {
        stream: setup.stream,
        run: setup.run,
        sequence: setup.sequence,
        part: Atomics.add(credits, 1, 1),
        rows: records,
        ...(last === undefined ? {} : { last }),
      },
      chunkIndex,
    ),
  );
  builder = newBuilder();
  records = [];
  records_bytes = 0;
  takeCredit();
  const message: FinishedPack = pack;
  packPort.postMessage(message, [pack.bytes.buffer as ArrayBuffer]);
}

const files = new FileReader({
  root: setup.sourcePath,
  gear,
  storeChunk,
});

function addRecord(row: Row): void {
  records.push(row);
  records_bytes += rowWeight_bytes(row);
  closePackIfFull();
}

function runBatch(items: readonly Item[]): WorkerResponse {
  const rows: Row[] = [];
  const spared: Spared[] = [];
  const unstable: Uint8Array[] = [];
  catalog.refresh();
  for (const [index, item] of items.entries()) {
    let row: Row;
    if (item.op === 'removed' || item.entry.type !== 'file') {
      row = item.op === 'removed' ? item : { op: item.op, path: item.path, entry: item.entry };
    } else {
      const result = files.read(item.path, item.entry);
      if ('reason' in result) {
        spared.push({ item: index, reason: result.reason });
        continue;
      }
      if (!result.isStable) unstable.push(item.path);
      if (item.op === 'changed' && isSameEntry(result.entry, item.previous)) {
        spared.push({ item: index, reason: undefined });
        continue;
      }
      row = { op: item.op, path: item.path, entry: result.entry };
    }
    rows.push(row);
    addRecord(row);
  }
  return respond({ rows, spared, unstable });
}

function respond(part: Partial<WorkerResponse>): WorkerResponse {
  const response = { rows: [], spared: [], unstable: [], ...part, newBytes, storedBytes };
  newBytes = 0;
  storedBytes = 0;
  return response;
}

serve<WorkerRequest, WorkerResponse>((request) => {
  switch (request.kind) {
    case 'start':
      packPort = request.packPort;
      credits = new Int32Array(request.credits);
      return { response: respond({}) };
    case 'batch':
      return { response: runBatch(request.items) };
    case 'flush':
      flushBlock();
      if (request.finish && (builder.chunkCount > 0 || records.length > 0)) closePack();
      return { response: respond({}) };
    case 'finish-last':
      closePack(request);
      return { response: respond({}) };
  }
});
