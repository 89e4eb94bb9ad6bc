// The main thread's side of reading ahead: starts the thread, fetches for it, ends it. If a store into the kernel's cache hangs
// although nobody is waited for, the connection is aborted: better no mount than one that hangs.

import { MessageChannel, Worker, type MessagePort } from 'node:worker_threads';
import { fuseAborter } from '../../posix/mount.js';
import { HintQueue } from '../prefetch/hints.js';
import type { ContentSource } from '../types.js';
import {
  shared,
  type DecodeSettings,
  type PrefetchRequest,
  type PrefetchMessage,
  type PrefetchSettings,
} from './messages.js';
import { threadLimits } from './thread.js';

const watch_ms = 5000;
/** It makes more garbage than the others, a little for each file. */
const prefetchLimits = { ...threadLimits, maxYoungGenerationSizeMb: 16 };
/** A store that is under way at so many looks in a row will not come back. */
const looks = 6;
/** How long a store under way may take once it is to be the last. */
const grace_ms = 2000;
const step_ms = 20;

export interface PrefetchingOptions extends Omit<PrefetchSettings, 'hints' | 'helper'> {
  readonly mountpoint: string;
  readonly source: Pick<ContentSource, 'ahead'>;
  /** Reads that the main thread has not answered yet: a store may wait for those. */
  pendingReads(): number;
  onWarning(message: string): void;
}

export class Prefetching {
  readonly #hints: SharedArrayBuffer[] = [];
  #worker: Worker | undefined;
  /** Settles when the thread has ended, for whatever reason. */
  #gone: Promise<unknown> | undefined;
  #flags: Int32Array | undefined;
  #watch: NodeJS.Timeout | undefined;
  #abort: (() => void) | undefined;
  #stopped: Promise<void> | undefined;

  /** For the hints of one loop; before `start`. */
  newQueue(): SharedArrayBuffer {
    const { memory } = new HintQueue();
    this.#hints.push(memory);
    return memory;
  }

  /** Once: later calls do nothing. */
  start({ mountpoint, source, pendingReads, onWarning, ...settings }: PrefetchingOptions): void {
    if (this.#worker !== undefined || this.#stopped !== undefined) return;
    const flags = new Int32Array(settings.shared);
    const abort = fuseAborter(mountpoint);
    this.#flags = flags;
    this.#abort = abort;
    // Where contents lie on this machine, decoding is what takes time.
    const help = settings.content.local.kind === 'directory' ? new MessageChannel() : undefined;
    const helper = help?.port1;
    const workerData: PrefetchSettings = { ...settings, hints: this.#hints, helper };
    const worker = new Worker(new URL('./prefetch-worker.js', import.meta.url), {
      workerData,
      transferList: helper === undefined ? [] : [helper],
      resourceLimits: prefetchLimits,
    });
    this.#worker = worker;
    this.#gone = new Promise((resolve) => worker.once('exit', resolve));
    worker.on('message', (request: PrefetchRequest) => {
      if (request.kind === 'help') startHelper(settings, help!.port2);
      else
        void source.ahead(request.places).then(() => {
          this.#send({ kind: 'fetched', id: request.id });
        });
    });
    worker.on('error', (error) => {
      onWarning(`nothing is read ahead any more: ${error.message}`);
    });
    const onHang = (): void => {
      onWarning('the kernel does not take what it was given: the mount is ended');
      abort();
    };
    this.#watch = setInterval(watchdog(flags, pendingReads, onHang), watch_ms);
    this.#watch.unref();
  }

  /** There are hints. */
  wake(): void {
    this.#send({ kind: 'wake' });
  }

  /**
   * Settles when the thread has ended. Call it while the loops still answer: a store that is under way may wait for a read. If
   * it waits for longer than that should take, the connection is aborted.
   */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #stop(): Promise<void> {
    clearInterval(this.#watch);
    if (this.#gone === undefined) return;
    this.#tellToStop();
    const timer = setTimeout(() => this.#abort?.(), grace_ms);
    await this.#gone;
    clearTimeout(timer);
  }

  /** The same for a process that ends now: waits for the store under way. */
  stopNow(): void {
    if (this.#flags === undefined) return;
    this.#tellToStop();
    for (let waited_ms = 0; waited_ms < grace_ms; waited_ms += step_ms) {
      const stores = Atomics.load(this.#flags, shared.stores);
      if (stores % 2 === 0) return;
      Atomics.wait(this.#flags, shared.stores, stores, step_ms);
    }
    this.#abort?.();
  }

  #send(message: PrefetchMessage): void {
    this.#worker?.postMessage(message);
  }

  #tellToStop(): void {
    if (this.#flags !== undefined) Atomics.store(this.#flags, shared.noStores, 1);
    this.#send({ kind: 'stop' });
  }
}

/** The thread ends with the port. */
function startHelper({ repositoryId, content }: Omit<DecodeSettings, 'wanted'>, wanted: MessagePort): void {
  const workerData: DecodeSettings = { repositoryId, content, wanted };
  const worker = new Worker(new URL('./decode-worker.js', import.meta.url), {
    workerData,
    transferList: [wanted],
    resourceLimits: threadLimits,
  });
  // What it does not decode, others do.
  worker.on('error', () => undefined);
}

function watchdog(flags: Int32Array, pendingReads: () => number, onHang: () => void): () => void {
  let last = 0;
  let same = 0;
  return () => {
    const stores = Atomics.load(flags, shared.stores);
    const isStuck = stores % 2 === 1 && stores === last && pendingReads() === 0;
    same = isStuck ? same + 1 : 0;
    last = stores;
    if (same >= looks) onHang();
  };
}
