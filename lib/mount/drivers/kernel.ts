// The driver that speaks the kernel's own protocol (Linux): mounts, starts the threads that serve, and takes everything down
// again. A mount must never outlive its server in a state that blocks others, whatever ends it.

import fs from 'node:fs';
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import { RrbackupError, toRrbackupError } from '../../errors/index.js';
import { mountAt, mountFuse, mountType, raiseReadahead, unmountFuse } from '../../posix/mount.js';
import { returnFreedMemory } from '../../posix/memory.js';
import { prepareWaking, wakeThread } from '../../posix/thread.js';
import { maximumRead_bytes } from '../protocol/constants.js';
import { Tree } from '../tree/index.js';
import type { MountOptions } from '../types.js';
import { ContentReplies } from './content-replies.js';
import type { Driver } from './driver.js';
import { Prefetching } from './prefetching.js';
import { shared, type StartMessage, type WorkerMessage, type WorkerSettings } from './messages.js';
import { Session } from './session.js';
import { startThread } from './thread.js';

/** On a small machine a second one would only compile the same code again, in time that readers and the prefetcher need. */
const workerCount = availableParallelism() > 2 ? 2 : 1;
/** How long users of a mount that is in use may take to go away once it is to end. */
const grace_ms = 2000;
const retry_ms = 100;
const wake_ms = 20;

export async function mountByKernel(options: MountOptions): Promise<Driver> {
  const driver = new KernelDriver(options);
  await driver.start();
  return driver;
}

class KernelDriver implements Driver {
  readonly closed: Promise<void>;
  readonly #options: MountOptions;
  readonly #flags = new Int32Array(new SharedArrayBuffer(shared.size_bytes));
  readonly #workers: Worker[] = [];
  readonly #threads: number[] = [];
  #alive = 0;
  #device: number | undefined;
  #replies: ContentReplies | undefined;
  readonly #prefetching = new Prefetching();
  #failure: RrbackupError | undefined;
  #onInit: ((isSupported: boolean) => void) | undefined;
  #onClosed: (() => void) | undefined;
  readonly #onExit = () => {
    this.#leaveNow();
  };

  constructor(options: MountOptions) {
    this.#options = options;
    this.closed = new Promise((resolve, reject) => {
      this.#onClosed = () => {
        if (this.#failure === undefined) resolve();
        else reject(this.#failure);
      };
    });
    // Whoever started us hears of a failure from start(); `closed` is for later ones.
    this.closed.catch(() => undefined);
  }

  async start(): Promise<void> {
    const { mountpoint, allowOther, noExec, fsname } = this.#options;
    try {
      prepareWaking();
      returnFreedMemory();
      const first = await this.#startWorker();
      const device = await mountFuse({
        mountpoint,
        allowOther,
        maximumRead_bytes,
        noExec,
        fsname,
      });
      this.#device = device;
      process.on('exit', this.#onExit);
      this.#replies = this.#contentReplies(device);
      const isSupported = new Promise<boolean>((resolve) => (this.#onInit = resolve));
      const start: StartMessage = { device };
      first.postMessage(start);
      // One is enough to begin with: starting a thread takes longer than everything else here.
      for (let more = 1; more < workerCount; more++)
        this.#startWorker().then(
          (worker) => {
            worker.postMessage(start);
          },
          () => undefined,
        );
      const died = this.closed.then(() => false);
      if (!(await Promise.race([isSupported, died]))) throw tooOld(allowOther);
      // The kernel's own choice comes with its first request.
      raiseReadahead(mountpoint, maximumRead_bytes);
    } catch (error) {
      await this.#giveUp(error);
      throw toRrbackupError(error);
    }
  }

  /** A thread that waits in the kernel holds on to the state of the catalog that it read last. */
  nudge(): void {
    if (this.#alive > 0) for (const thread of this.#threads) wakeThread(thread);
  }

  async unmount(): Promise<void> {
    if (this.#alive === 0) return this.closed;
    const { mountpoint } = this.#options;
    for (let waited_ms = 0; this.#alive > 0; waited_ms += retry_ms) {
      try {
        await unmountFuse(mountpoint);
        break;
      } catch (error) {
        if (!(error instanceof RrbackupError)) throw error;
        if (error.code !== 'mount.in_use' || waited_ms >= grace_ms) {
          await this.#takeAway();
          break;
        }
        await delay(retry_ms);
      }
    }
    return this.closed;
  }

  /**
   * Ends a mount that is in use: the threads leave their loops, the last one closes the device, and with that the connection
   * ends; whoever waits in the mount gets an error at once.
   */
  async #takeAway(): Promise<void> {
    await this.#prefetching.stop();
    Atomics.store(this.#flags, shared.stop, 1);
    this.nudge();
    const timer = setInterval(() => {
      this.nudge();
    }, wake_ms);
    await this.closed.catch(() => undefined);
    clearInterval(timer);
    await this.#detach();
  }

  /** The process ends without having unmounted: its threads must leave the kernel, or it would never end. */
  #leaveNow(): void {
    this.#prefetching.stopNow();
    Atomics.store(this.#flags, shared.stop, 1);
    for (let waited_ms = 0; waited_ms < grace_ms; waited_ms += wake_ms) {
      this.nudge();
      const left = Atomics.load(this.#flags, shared.left);
      if (left >= this.#alive) break;
      Atomics.wait(this.#flags, shared.left, left, wake_ms);
    }
    if (this.#device !== undefined) fs.closeSync(this.#device);
    void this.#detach();
  }

  /** What is left once nobody serves it. */
  async #detach(): Promise<void> {
    const { mountpoint } = this.#options;
    if (mountAt(mountpoint)?.type === mountType)
      await unmountFuse(mountpoint, { lazy: true }).catch(() => undefined);
  }

  #contentReplies(device: number): ContentReplies {
    const { catalog, content, allowOther, onWarning } = this.#options;
    const tree = new Tree(catalog, this.#options.tree);
    const session = new Session({ tree, checkAccess: allowOther, onWarning, onInit: () => undefined });
    return new ContentReplies({ device, session, catalog, content, onWarning });
  }

  /** Somebody reads a file: before, nobody needs these threads. */
  #readAhead(): void {
    const { catalogPath, repositoryId, content: source, mountpoint, onWarning } = this.#options;
    const content = source.memory;
    const device = this.#device;
    if (content === undefined || device === undefined) return;
    Atomics.store(this.#flags, shared.reading, 1);
    this.#prefetching.start({
      device,
      catalogPath,
      repositoryId,
      shared: this.#flags.buffer as SharedArrayBuffer,
      content,
      mountpoint,
      source,
      pendingReads: () => this.#replies?.pending ?? 0,
      onWarning,
    });
    this.#prefetching.wake();
  }

  /** Resolves when it can serve. If it cannot, the mount ends. */
  #startWorker(): Promise<Worker> {
    const { catalogPath, repositoryId, tree, allowOther, content } = this.#options;
    const settings: WorkerSettings = {
      catalogPath,
      repositoryId,
      tree,
      checkAccess: allowOther,
      shared: this.#flags.buffer as SharedArrayBuffer,
      content: content.memory,
      hints: this.#prefetching.newQueue(),
    };
    const worker = startThread();
    worker.postMessage(settings);
    this.#workers.push(worker);
    this.#alive++;
    worker.on('exit', () => {
      this.#workerLeft();
    });
    return new Promise((resolve, reject) => {
      worker.on('error', (error) => {
        this.#failure ??= toRrbackupError(error);
        reject(this.#failure);
      });
      worker.on('message', (message: WorkerMessage) => {
        if (message.kind !== 'ready') {
          this.#onMessage(message);
          return;
        }
        this.#threads.push(message.thread);
        resolve(worker);
      });
    });
  }

  #onMessage(message: WorkerMessage): void {
    if (message.kind === 'request') {
      const { buffer, byteOffset, byteLength } = message.bytes;
      const { slot } = message;
      void this.#replies?.handle(Buffer.from(buffer, byteOffset, byteLength)).finally(() => {
        if (slot !== undefined) Atomics.sub(this.#flags, slot, 1);
      });
    }
    if (message.kind === 'reading') this.#readAhead();
    if (message.kind === 'warning') this.#options.onWarning(message.message);
    if (message.kind === 'init') this.#onInit?.(message.isSupported);
  }

  /** The last thread to leave closes the device, which tells the kernel that nobody serves any more. */
  #workerLeft(): void {
    this.#alive--;
    if (this.#alive > 0) {
      // One failed: the other may not go on as if nothing were.
      if (this.#failure !== undefined && this.#device !== undefined) void this.#takeAway();
      return;
    }
    this.#replies?.close();
    const device = this.#device;
    this.#device = undefined;
    process.off('exit', this.#onExit);
    void this.#prefetching.stop().then(() => {
      if (device !== undefined) fs.closeSync(device);
      this.#onClosed?.();
    });
  }

  async #giveUp(error: unknown): Promise<void> {
    this.#failure ??= toRrbackupError(error);
    if (this.#device === undefined) await Promise.all(this.#workers.map((worker) => worker.terminate()));
    else await this.#takeAway();
  }
}

function tooOld(allowOther: boolean): RrbackupError {
  return new RrbackupError({
    code: 'mount.old_kernel',
    kind: 'failure',
    message: `this kernel speaks an older FUSE protocol than 7.31${allowOther ? ', or enforces no ACLs' : ''}`,
    guidance: `use a kernel of 5.4 or later, or --driver fuse-native${allowOther ? ' without --allow-other' : ''}`,
  });
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}
