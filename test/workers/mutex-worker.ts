// One of the threads of mutex.test.ts: adds to a plain counter, which only a lock makes right.

import { parentPort, workerData } from 'node:worker_threads';
import { SharedMutex } from '../../lib/workers/mutex.js';

export interface MutexWork {
  readonly memory: SharedArrayBuffer;
  readonly rounds: number;
}

/** Words of the memory. */
export const at = { lock: 0, counter: 1, ready: 2, inside: 3, threads: 4, words: 5 } as const;

if (workerData !== null) {
  const { memory, rounds } = workerData as MutexWork;
  const words = new Int32Array(memory);
  const mutex = new SharedMutex(words, at.lock);
  // All at once, or the first would be done before the last begins.
  Atomics.add(words, at.ready, 1);
  while (Atomics.load(words, at.ready) < words[at.threads]!);
  let intruders = 0;
  for (let round = 0; round < rounds; round++) {
    mutex.run(() => {
      if (words[at.inside]!++ !== 0) intruders++;
      words[at.counter] = words[at.counter]! + 1;
      words[at.inside]!--;
    });
  }
  parentPort?.postMessage(intruders);
}
