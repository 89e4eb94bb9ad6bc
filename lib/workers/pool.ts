// A pool of worker threads that all run one script (see serve.ts). Two requests are under way per worker, so that it never
// waits for the main thread between two; the rest queue here. A worker that dies takes the pool with it: work that
// has been lost is never reported as done.

import { Worker } from 'node:worker_threads';
import type { Transferable } from 'node:worker_threads';

import { interrupted, RrbackupError, toRrbackupError } from '../errors/index.js';
import type { FromWorker, ToWorker } from './messages.js';

export interface WorkerPoolOptions {
  /** The compiled worker script. */
  readonly script: URL;
  /** How many threads. */
  readonly size: number;
  /** What the script finds as workerData. */
  readonly workerData?: unknown;
}

const inFlightPerWorker = 2;

/** For objects that are short-lived, as nearly all are: more room than this costs each thread 25 MB and saves no time. */
const resourceLimits = { maxYoungGenerationSizeMb: 12 };

/** So long a worker may take to finish what it does before it is ended in its middle. */
const grace_ms = 250;

/** A backstop against producers that never wait for `room`. */
const maximumQueued = 4096;

interface Job<Request, Response> {
  readonly request: Request;
  readonly transfer: readonly Transferable[];
  readonly resolve: (response: Response) => void;
  readonly reject: (error: unknown) => void;
}

interface Slot<Request, Response> {
  readonly worker: Worker;
  readonly inFlight: Map<number, Job<Request, Response>>;
  /** Jobs for this worker and no other. */
  readonly own: Job<Request, Response>[];
  /** It has loaded everything. */
  isUp: boolean;
  readonly exited: Promise<void>;
}

export class WorkerPool<Request, Response> {
  readonly #options: WorkerPoolOptions;
  readonly #slots: Slot<Request, Response>[] = [];
  readonly #shared: Job<Request, Response>[] = [];
  #waiting: (() => void)[] = [];
  #nextId = 0;
  #queued = 0;
  #ended: unknown;
  #isClosing = false;

  constructor(options: WorkerPoolOptions) {
    if (!Number.isInteger(options.size) || options.size < 1)
      throw new RangeError('a pool has at least one worker');
    this.#options = options;
    for (let index = 0; index < options.size; index++) this.#slots.push(this.#start(options));
  }

  get size(): number {
    return this.#slots.length;
  }

  /** One more worker; its number. */
  add(): number {
    if (this.#ended !== undefined) throw this.#ended;
    this.#slots.push(this.#start(this.#options));
    this.#dispatch();
    return this.#slots.length - 1;
  }

  /**
   * Has whichever worker is free first answer the request. What is in `transfer` may not be used afterwards. Rejects with
   * the handler's error as an RrbackupError; with 'workers.died' if a worker ended by itself; with 'interrupted' after abort.
   */
  run(request: Request, transfer: readonly Transferable[] = []): Promise<Response> {
    return this.#enqueue(this.#shared, request, transfer);
  }

  /** The same for one certain worker, 0 … size - 1: for state that a worker keeps. Requests to it stay in order. */
  runOn(index: number, request: Request, transfer: readonly Transferable[] = []): Promise<Response> {
    const slot = this.#slots[index];
    if (slot === undefined) throw new RangeError(`no worker ${index}`);
    return this.#enqueue(slot.own, request, transfer);
  }

  /**
   * Resolves when a request given to `run` would start at once: what a producer waits for, so that nothing piles up here.
   * Rejects as `run` would once the pool has ended.
   */
  async room(): Promise<void> {
    while (this.#ended === undefined && !this.#slots.some((slot) => this.#isFree(slot)))
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#ended !== undefined) throw this.#ended;
  }

  /** Waits for everything that was given to the pool, then ends the workers. Idempotent. */
  async close(): Promise<void> {
    this.#isClosing = true;
    while (
      this.#ended === undefined &&
      this.#slots.some((slot) => slot.inFlight.size > 0 || slot.own.length > 0)
    )
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    if (this.#ended === undefined) {
      this.#ended = closedError();
      for (const slot of this.#slots) slot.worker.postMessage({ close: true } satisfies ToWorker<Request>);
    }
    await Promise.all(this.#slots.map((slot) => slot.exited));
  }

  /**
   * Ends the workers, in a moment whatever they do; everything under way and queued rejects with `reason` at once. Idempotent.
   */
  async abort(reason: unknown = interrupted()): Promise<void> {
    this.#end(reason);
    await Promise.all(this.#slots.map((slot) => slot.exited));
  }

  #start(options: WorkerPoolOptions): Slot<Request, Response> {
    // Compiled scripts need none of the loaders that the process may run under (tap's add a second to every start).
    const worker = new Worker(options.script, {
      workerData: options.workerData,
      execArgv: [],
      resourceLimits,
    });
    const inFlight = new Map<number, Job<Request, Response>>();
    const slot: Slot<Request, Response> = {
      worker,
      inFlight,
      own: [],
      isUp: false,
      exited: new Promise((resolve) => worker.once('exit', () => resolve())),
    };
    worker.on('message', (message: FromWorker<Response>) => {
      if ('isUp' in message) {
        slot.isUp = true;
        if (this.#ended !== undefined) dismiss(slot);
        return;
      }
      const job = inFlight.get(message.id);
      inFlight.delete(message.id);
      this.#dispatch();
      if ('error' in message) job?.reject(RrbackupError.fromPlain(message.error));
      else job?.resolve(message.response);
    });
    worker.on('messageerror', (error) => this.#end(diedError(error)));
    worker.on('error', (error) => this.#end(diedError(error)));
    worker.on('exit', (code) => this.#end(diedError(new Error(`it exited with status ${code}`))));
    return slot;
  }

  #enqueue(
    queue: Job<Request, Response>[],
    request: Request,
    transfer: readonly Transferable[],
  ): Promise<Response> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended as Error);
    if (this.#isClosing) return Promise.reject(closedError());
    if (this.#queued >= maximumQueued)
      return Promise.reject(new Error(`over ${maximumQueued} requests queued: await room() before run()`));
    return new Promise((resolve, reject) => {
      queue.push({ request, transfer, resolve, reject });
      this.#queued++;
      this.#dispatch();
    });
  }

  #isFree(slot: Slot<Request, Response>): boolean {
    return slot.inFlight.size + slot.own.length < inFlightPerWorker;
  }

  /** Hands out jobs: a worker's own first, then shared ones to the idlest worker. */
  #dispatch(): void {
    if (this.#ended !== undefined) return;
    for (const slot of this.#slots)
      while (slot.own.length > 0 && slot.inFlight.size < inFlightPerWorker)
        this.#send(slot, slot.own.shift()!);
    while (this.#shared.length > 0) {
      const idlest = this.#slots.reduce((best, slot) =>
        slot.inFlight.size < best.inFlight.size ? slot : best,
      );
      if (!this.#isFree(idlest)) break;
      this.#send(idlest, this.#shared.shift()!);
    }
    this.#wake();
  }

  #send(slot: Slot<Request, Response>, job: Job<Request, Response>): void {
    this.#queued--;
    const id = this.#nextId++;
    try {
      slot.worker.postMessage({ id, request: job.request } satisfies ToWorker<Request>, job.transfer);
      slot.inFlight.set(id, job);
    } catch (error) {
      job.reject(error);
    }
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }

  #end(reason: unknown): void {
    if (this.#ended !== undefined) return;
    this.#ended = reason;
    const jobs = [
      ...this.#slots.flatMap((slot) => [...slot.inFlight.values(), ...slot.own]),
      ...this.#shared,
    ];
    for (const slot of this.#slots) {
      slot.inFlight.clear();
      slot.own.length = 0;
      if (slot.isUp) dismiss(slot);
    }
    this.#shared.length = 0;
    for (const job of jobs) job.reject(reason);
    this.#wake();
  }
}

/**
 * Ends a worker that has loaded everything; one that has not hears of it once it has: to end a thread while a native library
 * sets itself up in it kills the process.
 */
function dismiss<Request, Response>({ worker, exited }: Slot<Request, Response>): void {
  worker.postMessage({ close: true } satisfies ToWorker<Request>);
  const timer = setTimeout(() => void worker.terminate(), grace_ms);
  void exited.then(() => clearTimeout(timer));
}

function closedError(): RrbackupError {
  return new RrbackupError({
    code: 'workers.closed',
    kind: 'failure',
    message: 'the worker threads have been ended',
  });
}

function diedError(cause: unknown): RrbackupError {
  const known = toRrbackupError(cause);
  if (known.code === 'files.too_many') return known;
  return new RrbackupError({
    code: 'workers.died',
    kind: 'failure',
    message: `a worker thread died: ${cause instanceof Error ? cause.message : String(cause)}`,
    guidance: 'nothing that was committed is harmed: run the command again, with --debug if it happens again',
    cause,
  });
}
