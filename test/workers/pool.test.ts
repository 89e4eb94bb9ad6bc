import t from 'tap';

import { interrupted } from '../../lib/errors/index.js';
import { WorkerPool } from '../../lib/workers/pool.js';
import type { TestRequest, TestResponse } from './worker.js';

const script = new URL('./worker.js', import.meta.url);
const poolOf = (size: number, workerData?: unknown) =>
  new WorkerPool<TestRequest, TestResponse>({ script, size, workerData });

t.test('answers every request, on all threads', async (t) => {
  const pool = poolOf(2, { greeting: 'hello' });
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, value) => pool.run({ do: 'echo', value, wait_ms: 1 })),
  );
  t.same(
    answers.map(({ value }) => (value as number[])[0]),
    Array.from({ length: 100 }, (_, value) => value),
  );
  t.equal(new Set(answers.map(({ thread }) => thread)).size, 2);
  t.same((await pool.run({ do: 'workerData' })).value, { greeting: 'hello' });
  await pool.close();
});

t.test('runOn keeps to one worker and to the order', async (t) => {
  const pool = poolOf(3);
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, value) => pool.runOn(1, { do: 'echo', value })),
  );
  t.equal(new Set(answers.map(({ thread }) => thread)).size, 1);
  t.same(
    answers.map(({ value }) => value),
    Array.from({ length: 20 }, (_, index) => [index, index + 1]),
  );
  t.throws(() => pool.runOn(3, { do: 'echo', value: 0 }), RangeError);
  await pool.close();
});

t.test('buffers move both ways', async (t) => {
  const pool = poolOf(1);
  const bytes = new Uint8Array(1000).fill(3);
  t.equal((await pool.run({ do: 'sum', bytes }, [bytes.buffer])).value, 3000);
  t.equal(bytes.length, 0, 'moved, not copied');
  t.same((await pool.run({ do: 'transfer', size: 5 })).value, new Uint8Array(5).fill(7));
  await pool.close();
});

t.test('errors come back with their class, and the worker goes on', async (t) => {
  const pool = poolOf(1);
  await t.rejects(pool.run({ do: 'refuse' }), {
    name: 'RrbackupError',
    code: 'test.refused',
    kind: 'damaged',
    message: 'refused',
  });
  await t.rejects(pool.run({ do: 'throw' }), { name: 'RrbackupError', kind: 'failure', message: 'thrown' });
  await t.rejects(pool.run({ do: 'unanswerable' }), { name: 'RrbackupError' });
  await t.rejects(pool.run({ do: 'echo', value: (() => 1) as unknown as number }), {
    name: 'DataCloneError',
  });
  t.same((await pool.run({ do: 'echo', value: 5 })).value, [5, 4]);
  await pool.close();
});

for (const how of ['die', 'crash'] as const)
  t.test(`a worker that should ${how} takes everything with it`, async (t) => {
    const pool = poolOf(2);
    const results = await Promise.allSettled([
      pool.runOn(0, { do: how }),
      ...Array.from({ length: 5 }, () => pool.runOn(1, { do: 'block' })),
      ...Array.from({ length: 5 }, (_, value) => pool.run({ do: 'echo', value })),
    ]);
    for (const result of results) {
      t.equal(result.status, 'rejected');
      if (result.status === 'rejected') t.match(result.reason, { code: 'workers.died', kind: 'failure' });
    }
    await t.rejects(pool.run({ do: 'echo', value: 1 }), { code: 'workers.died' });
    await t.rejects(pool.room(), { code: 'workers.died' });
    await pool.close();
  });

t.test('a script that is not there is an error, not a hang', async (t) => {
  const pool = new WorkerPool<number, number>({
    script: new URL('./no-such-worker.js', import.meta.url),
    size: 2,
  });
  await t.rejects(pool.run(1), { code: 'workers.died' });
  await pool.close();
});

t.test('abort interrupts a worker that blocks', async (t) => {
  const pool = poolOf(1);
  const blocked = [pool.run({ do: 'block' }), pool.run({ do: 'block' }), pool.run({ do: 'block' })];
  const outcomes = Promise.allSettled(blocked);
  await pool.abort();
  for (const result of await outcomes)
    t.match(result, { status: 'rejected', reason: { code: interrupted().code } });
  await t.rejects(pool.run({ do: 'echo', value: 1 }), { code: 'interrupted' });
  await pool.abort();
  await pool.close();
});

t.test('a worker is never ended while it loads', async (t) => {
  const state = new Int32Array(new SharedArrayBuffer(8));
  const pool = new WorkerPool<number, undefined>({
    script: new URL('./slow-worker.js', import.meta.url),
    size: 1,
    workerData: state,
  });
  const asked = pool.run(1);
  Atomics.wait(state, 0, 0);
  const aborted = pool.abort();
  await t.rejects(asked, { code: 'interrupted' }, 'nobody waits for what it would answer');
  t.equal(Atomics.load(state, 0), 1);
  Atomics.store(state, 1, 1);
  Atomics.notify(state, 1);
  await aborted;
  t.equal(Atomics.load(state, 0), 2);
});

t.test('close waits for what it was given, then takes nothing more', async (t) => {
  const pool = poolOf(2);
  const answers = Array.from({ length: 20 }, (_, value) => pool.run({ do: 'echo', value, wait_ms: 2 }));
  const closed = pool.close();
  await t.rejects(pool.run({ do: 'echo', value: 1 }), { code: 'workers.closed' });
  await closed;
  t.equal((await Promise.all(answers)).length, 20);
  await t.rejects(pool.run({ do: 'echo', value: 1 }), { code: 'workers.closed' });
  await pool.close();
});

t.test('room keeps two requests under way for each worker, and no more', async (t) => {
  const pool = poolOf(2);
  let underWay = 0;
  let most = 0;
  const answers: Promise<unknown>[] = [];
  for (let value = 0; value < 50; value++) {
    await pool.room();
    most = Math.max(most, ++underWay);
    answers.push(pool.run({ do: 'echo', value, wait_ms: 1 }).finally(() => underWay--));
  }
  await Promise.all(answers);
  t.equal(most, 4);
  await pool.close();
});

t.test('a producer that never waits is stopped', async (t) => {
  const pool = poolOf(1);
  const outcomes = Promise.allSettled(Array.from({ length: 4200 }, () => pool.run({ do: 'block' })));
  await pool.abort();
  const reasons = (await outcomes).map((result) =>
    result.status === 'rejected' ? String(result.reason) : '',
  );
  t.equal(reasons.filter((reason) => reason.includes('await room()')).length, 4200 - 4096 - 2);
});
