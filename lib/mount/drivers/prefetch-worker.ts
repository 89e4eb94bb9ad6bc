// The thread that reads ahead. The only one that stores into the kernel's page cache: such a call may wait for a page that a
// reader has locked, so nothing that a reader waits for may ever wait for this thread.

import { parentPort, workerData } from 'node:worker_threads';
import { openCatalogReader } from '../../catalog/index.js';
import type { ChunkPlace } from '../../pack/types.js';
import { openLocalContent, type Wanted } from '../cache/local-content.js';
import { SharedBlocks } from '../cache/shared-blocks.js';
import { HintQueue } from '../prefetch/hints.js';
import { Prefetcher } from '../prefetch/prefetcher.js';
import { item_bytes } from '../prefetch/window.js';
import { storeHeader_bytes, writeStoreHeader } from '../protocol/notify.js';
import { entryNode } from '../tree/node.js';
import { writeReply } from './device.js';
import {
  fileSlot,
  shared,
  type PrefetchRequest,
  type PrefetchMessage,
  type PrefetchSettings,
} from './messages.js';

/** Of the shared blocks, at most this part is ahead of one reader, and twice that of all together. */
const windowPart = 4;
const initialWindow_bytes = 2 ** 20;
const largestWindow_bytes = 32 * 2 ** 20;
const stepsATurn = 64;

const settings = workerData as PrefetchSettings;
const flags = new Int32Array(settings.shared);
const queues = settings.hints.map((memory) => new HintQueue(memory));
const catalog = openCatalogReader(settings.catalogPath, settings.repositoryId);
const fetches = new Map<number, () => void>();
let nextFetch = 0;
let isWorking = false;
let isStopped = false;

function ask(request: PrefetchRequest): void {
  parentPort?.postMessage(request);
}

function fetch(places: readonly ChunkPlace[]): Promise<void> {
  const id = nextFetch++;
  ask({ kind: 'fetch', id, places });
  return new Promise((resolve) => fetches.set(id, resolve));
}

/** Never while a read of the file waits for the network: that could take long, and this thread with it. */
function store(row: number, offset: number, message: Buffer): void {
  if (Atomics.load(flags, fileSlot(row)) > 0) return;
  Atomics.add(flags, shared.stores, 1);
  try {
    if (Atomics.load(flags, shared.noStores) !== 0) return;
    // A file that the kernel does not know is fine, and so is a mount that is gone.
    writeStoreHeader(message, entryNode(row), offset);
    writeReply(settings.device, [message]);
  } catch {
    // A kernel that takes no stores reads instead.
  } finally {
    Atomics.add(flags, shared.stores, 1);
    Atomics.notify(flags, shared.stores);
  }
}

const { helper } = settings;
let isHelped = false;
const decode =
  helper &&
  ((wanted: readonly Wanted[]): void => {
    if (!isHelped) ask({ kind: 'help' });
    isHelped = true;
    helper.postMessage(wanted);
  });

const content = await openLocalContent(settings.repositoryId, settings.content, { readsOn: true });
const blocks = new SharedBlocks(settings.content.shared);
const maximum_bytes = Math.min(largestWindow_bytes, blocks.capacity_bytes / windowPart);
const prefetcher = new Prefetcher({
  catalog,
  shared: blocks,
  content,
  target: { fetch, store, wake: work, ...(decode && { decode }) },
  room_bytes: storeHeader_bytes,
  limits: {
    initial_bytes: Math.min(initialWindow_bytes, maximum_bytes),
    maximum_bytes,
    // Over a network it is better to bring too much than to wait once more.
    lead_bytes: settings.content.local.kind === 'directory' ? item_bytes : 0,
  },
});

function hear(): void {
  for (const queue of queues)
    for (let hint = queue.take(); hint !== undefined; hint = queue.take()) prefetcher.hear(hint);
}

/** Some steps at a time, with ears open in between; messages are heard at the end of a turn. */
function turn(): void {
  let isMore = true;
  for (let steps = 0; isMore && steps < stepsATurn; steps++) {
    hear();
    isMore = prefetcher.work();
  }
  if (isStopped) return;
  if (!isMore) {
    Atomics.store(flags, shared.asleep, 1);
    isWorking = queues.some((queue) => !queue.isEmpty);
  }
  if (isWorking) setImmediate(turn);
}

function work(): void {
  if (isWorking || isStopped) return;
  isWorking = true;
  Atomics.store(flags, shared.asleep, 0);
  turn();
}

parentPort?.on('message', (message: PrefetchMessage) => {
  if (message.kind === 'wake') work();
  else if (message.kind === 'fetched') {
    fetches.get(message.id)?.();
    fetches.delete(message.id);
  } else {
    isStopped = true;
    helper?.close();
    parentPort?.close();
    void catalog.close();
  }
});
work();
