// One of the threads that serve a mount: a blocking loop that reads a request of the kernel, answers it from the catalog's
// memory map, and hands what needs bytes or the history's table to the main thread. Never waits for anything but the kernel.

import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from '../../clock.js';
import { threadNumber } from '../../posix/thread.js';
import { openCatalogReader } from '../../catalog/index.js';
import { requestBuffer_bytes } from '../protocol/constants.js';
import { Tree } from '../tree/index.js';
import { readRequest, writeReply } from './device.js';
import { shared, type StartMessage, type WorkerMessage, type WorkerSettings } from './messages.js';
import { Session } from './session.js';

const refresh_ms = 250;

const settings = workerData as WorkerSettings;
const flags = new Int32Array(settings.shared);

function send(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}

const catalog = openCatalogReader(settings.catalogPath, settings.repositoryId);
const session = new Session({
  tree: new Tree(catalog, settings.tree),
  checkAccess: settings.checkAccess,
  onWarning: (message) => {
    send({ kind: 'warning', message });
  },
  onInit: (isSupported) => {
    send({ kind: 'init', isSupported });
  },
});

parentPort?.once('message', (message: StartMessage) => {
  void serve(message.device).finally(() => {
    Atomics.add(flags, shared.left, 1);
    Atomics.notify(flags, shared.left);
    return catalog.close();
  });
});
send({ kind: 'ready', thread: threadNumber() });

async function serve(device: number): Promise<void> {
  const buffer = Buffer.alloc(requestBuffer_bytes);
  let refreshed_ms = systemClock.monotonic_ms();
  while (Atomics.load(flags, shared.stop) === 0) {
    const length = readRequest(device, buffer);
    if (length === 'gone') return;
    if (length === 'again' || systemClock.monotonic_ms() - refreshed_ms > refresh_ms) {
      catalog.refresh();
      // The catalog has something to tidy up whenever the event loop turns; otherwise this loop never lets it.
      await new Promise(setImmediate);
      refreshed_ms = systemClock.monotonic_ms();
    }
    if (length === 'again') continue;
    const request = buffer.subarray(0, length);
    if (session.isForMain(request)) {
      send({ kind: 'request', bytes: Uint8Array.from(request) });
      continue;
    }
    const outcome = session.answer(request);
    if (outcome.kind === 'reply') writeReply(device, [outcome.bytes]);
  }
}
