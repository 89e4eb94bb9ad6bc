// One of the threads that serve a mount: a blocking loop that reads a request of the kernel, answers it from the catalog's
// memory map and from contents on this machine, and hands what needs a network or the history's table to the main thread. Never
// waits for anything but the kernel and this machine's disk.

import { parentPort } from 'node:worker_threads';
import { systemClock } from '../../clock.js';
import { threadNumber } from '../../posix/thread.js';
import { openCatalogReader } from '../../catalog/reader.js';
import { HintQueue } from '../prefetch/hints.js';
import { opcodes, requestBuffer_bytes } from '../protocol/constants.js';
import { decodeHeader, decodeRead } from '../protocol/request.js';
import { replyHeader_bytes } from '../protocol/reply.js';
import { Tree } from '../tree/index.js';
import { nodeKinds, type NodeId } from '../tree/node.js';
import { BusyPoll } from './busy-poll.js';
import { readRequest, writeReply } from './device.js';
import { fileSlot, shared, type StartMessage, type WorkerMessage, type WorkerSettings } from './messages.js';
import { Reads } from './reads.js';
import { Session } from './session.js';

const refresh_ms = 250;

function send(message: WorkerMessage): void {
  parentPort?.postMessage(message);
}

send({ kind: 'loaded' });
// The thread may be started before anybody knows what it is to serve.
const settings = await new Promise<WorkerSettings>((resolve) => parentPort?.once('message', resolve));
const flags = new Int32Array(settings.shared);
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
  const { content: memory } = settings;
  const hints = new HintQueue(settings.hints);
  const onReading = (): void => {
    send({ kind: 'reading' });
  };
  const reads = memory && new Reads({ catalog, memory, device, hints, flags, onReading });
  const busyPoll = new BusyPoll(device);
  let isExpected = false;
  let refreshed_ms = systemClock.monotonic_ms();
  while (Atomics.load(flags, shared.stop) === 0) {
    busyPoll.wait(isExpected);
    isExpected = false;
    const length = readRequest(device, buffer);
    if (length === 'gone') break;
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
    if (outcome.kind === 'reply') {
      writeReply(device, [outcome.bytes]);
      if (outcome.bytes.length === replyHeader_bytes) listed(reads, request);
      isExpected = session.lookAhead();
    }
    if (outcome.kind === 'read') {
      if (reads?.isPrepared === false) await reads.prepare();
      if (reads?.answer(outcome) !== true) forward(request, outcome.node);
    }
  }
}

function forward(request: Buffer, node: NodeId): void {
  const slot = fileSlot(node.lower);
  Atomics.add(flags, slot, 1);
  send({ kind: 'request', bytes: Uint8Array.from(request), slot });
}

/** An empty page ends a listing: now the kernel knows every file in the directory. */
function listed(reads: Reads | undefined, request: Buffer): void {
  const header = decodeHeader(request);
  const node = header?.node;
  if (header?.opcode !== opcodes.READDIRPLUS || node?.kind !== nodeKinds.directory) return;
  if ((decodeRead(header.body)?.offset ?? 0) > 0) {
    reads?.hint({ kind: 'listed', row: node.lower, sequence: node.upper });
  }
}
