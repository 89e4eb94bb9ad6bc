// Fuzzes in a thread and watches it: an input that never ends, or that fills the heap, is a finding like any other.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { inputAt, type Done, type FuzzData, type Job } from './job.js';

/** What no input of 96 KiB takes, however busy the machine is. */
const patience_ms = 60_000;
const look_ms = 1000;
const heap_MiB = 256;
const room_bytes = 128 * 1024;

export class WatchedFuzzer {
  readonly targets: readonly string[];
  readonly #worker: Worker;
  readonly #current: DataView<SharedArrayBuffer>;
  readonly #scratch: string;

  private constructor(
    worker: Worker,
    current: DataView<SharedArrayBuffer>,
    scratch: string,
    targets: readonly string[],
  ) {
    this.#worker = worker;
    this.#current = current;
    this.#scratch = scratch;
    this.targets = targets;
  }

  static async start(): Promise<WatchedFuzzer> {
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'rrbackup-fuzz-'));
    const current = new DataView(new SharedArrayBuffer(room_bytes));
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: { scratch, current: current.buffer } satisfies FuzzData,
      resourceLimits: { maxOldGenerationSizeMb: heap_MiB },
    });
    const targets = await answerOf<string[]>(worker);
    return new WatchedFuzzer(worker, current, scratch, targets);
  }

  /** What was found, the thread's own end included; then this fuzzer is of no further use. */
  async run(job: Job): Promise<Done> {
    this.#worker.postMessage(job);
    let before = -1;
    let same_ms = 0;
    let stop = (): void => undefined;
    const stuck = new Promise<never>((_resolve, reject) => {
      const timer = setInterval(() => {
        const now = this.#current.getUint32(inputAt.number);
        same_ms = now === before ? same_ms + look_ms : 0;
        before = now;
        if (same_ms >= patience_ms) reject(new Error(`an input takes longer than ${patience_ms} ms`));
      }, look_ms);
      stop = () => clearInterval(timer);
    });
    try {
      return await Promise.race([answerOf<Done>(this.#worker), stuck]);
    } catch (error) {
      await this.#worker.terminate();
      const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
      return { inputs: 0, endings: 0, cpu_ms: 0, finding: { index: -1, input: this.#input(), why } };
    } finally {
      stop();
    }
  }

  async close(): Promise<void> {
    const ended = new Promise((resolve) => this.#worker.once('exit', resolve));
    this.#worker.postMessage('close');
    await ended;
    fs.rmSync(this.#scratch, { recursive: true, force: true });
  }

  /** The input at hand. */
  #input(): Buffer {
    const { buffer } = this.#current;
    return Buffer.from(new Uint8Array(buffer, inputAt.bytes, this.#current.getUint32(inputAt.length)));
  }
}

function answerOf<T>(worker: Worker): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = (then: () => void): void => {
      worker.removeAllListeners('message');
      worker.removeAllListeners('error');
      worker.removeAllListeners('exit');
      then();
    };
    worker.once('message', (answer: T) => end(() => resolve(answer)));
    worker.once('error', (error) => end(() => reject(error as Error)));
    worker.once('exit', () => end(() => reject(new Error('the thread has ended'))));
  });
}
