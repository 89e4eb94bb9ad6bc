// Runs one script in several threads at once and waits for all, but not for ever: whoever waits for a lock that nobody gives up
// is ended, and the test fails.

import { Worker } from 'node:worker_threads';

const patience_ms = 60_000;

/** What each thread posted last, in order. Rejects if one fails, or is not done in time. */
export async function runThreads(script: URL, workerData: readonly unknown[]): Promise<unknown[]> {
  const workers = workerData.map((data) => new Worker(script, { workerData: data }));
  let watchdog: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    watchdog = setTimeout(() => {
      reject(new Error('threads hang'));
    }, patience_ms);
  });
  const results = workers.map(
    (worker) =>
      new Promise((resolve, reject) => {
        let last: unknown;
        worker.on('message', (message) => (last = message));
        worker.on('error', reject);
        worker.on('exit', () => {
          resolve(last);
        });
      }),
  );
  try {
    return await Promise.race([Promise.all(results), late]);
  } finally {
    clearTimeout(watchdog);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
