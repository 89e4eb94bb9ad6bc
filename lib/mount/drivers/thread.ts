// Starts the threads of the kernel driver. Imports next to nothing: one can be started before anything else of the program is
// loaded, and loads its own part meanwhile.

import { Worker } from 'node:worker_threads';

/** Decoded bytes live outside the heap; a small nursery has those that are done with collected early. */
export const threadLimits = { maxYoungGenerationSizeMb: 6, maxOldGenerationSizeMb: 128 };

let prepared: Worker | undefined;

function start(): Worker {
  return new Worker(new URL('./kernel-worker.js', import.meta.url), { resourceLimits: threadLimits });
}

/** When its first message says that it is loaded. */
function letGo(this: Worker): void {
  this.unref();
}

/**
 * Has the next `startThread` find its thread loaded. Keeps a process from ending only until it is: one that ends in the middle
 * of loading native libraries takes the process down with an abort.
 */
export function prepareThread(): void {
  const worker = start();
  prepared = worker;
  worker.once('message', letGo);
  // Whoever wants a thread then starts another, and hears its error.
  const lost = (): void => {
    if (prepared === worker) prepared = undefined;
  };
  worker.on('error', lost);
  worker.on('exit', lost);
}

/** A thread that waits for its WorkerSettings. */
export function startThread(): Worker {
  const worker = prepared ?? start();
  prepared = undefined;
  worker.off('message', letGo);
  worker.ref();
  return worker;
}
