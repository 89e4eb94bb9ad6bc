// A lock in shared memory: one thread at a time, nobody forgotten.

import t from 'tap';
import { SharedMutex } from '../../lib/workers/mutex.js';
import { at, type MutexWork } from './mutex-worker.js';
import { runThreads } from './threads.js';

void t.test('a plain counter comes out right', async (test) => {
  const threads = 4;
  const rounds = 50_000;
  const memory = new SharedArrayBuffer(at.words * 4);
  const words = new Int32Array(memory);
  words[at.threads] = threads;
  const work: MutexWork = { memory, rounds };
  const intruders = await runThreads(
    new URL('./mutex-worker.js', import.meta.url),
    Array.from({ length: threads }, () => work),
  );
  test.strictSame(intruders, [0, 0, 0, 0], 'nobody met another inside');
  test.equal(words[at.counter], threads * rounds);
  test.equal(words[at.lock], 0, 'it is free in the end');
});

void t.test('what throws inside gives the lock up', async (test) => {
  const words = new Int32Array(new SharedArrayBuffer(4));
  const mutex = new SharedMutex(words, 0);
  test.throws(() =>
    mutex.run(() => {
      throw new Error('inside');
    }),
  );
  test.equal(
    mutex.run(() => 'again'),
    'again',
  );
});
