// What a mount does while it stands: it has older versions brought, again if that fails, and leaves nothing running behind.

import path from 'node:path';
import t, { type Test } from 'tap';
import { Polling, type PollingOptions } from '../../lib/mount/polling.js';

interface Watched {
  readonly said: string[];
  nudges: number;
  polling: Polling;
}

function watched(t: Test, options: Partial<PollingOptions>): Watched {
  const watched = { said: [] as string[], nudges: 0 };
  const polling = new Polling(
    {
      catalog: { refresh: () => undefined },
      catalogPath: path.join(t.testdir(), 'catalog.mdb'),
      onWarning: (message) => void watched.said.push(message),
      onNote: (message) => void watched.said.push(message),
      ...options,
    },
    { nudge: () => void watched.nudges++ },
  );
  t.teardown(() => polling.stop());
  return Object.assign(watched, { polling });
}

void t.test('older versions are brought at once, and again after a poll where that failed', async (t) => {
  let tries = 0;
  let polls = 0;
  const mount = await new Promise<Watched>((resolve) => {
    const made: Watched = watched(t, {
      poll_ms: 1,
      onPoll: async () => void polls++,
      completePast: async () => {
        if (++tries === 1) throw new Error('the store does not answer');
        if (tries === 3) resolve(made);
        return tries === 2;
      },
    });
  });
  t.ok(polls >= 2);
  t.same(mount.said, [
    'older versions are not there yet, and are looked for again later: the store does not answer',
    'all versions are there now',
  ]);
  t.ok(mount.nudges >= 1, 'the threads look anew');
});

void t.test(
  'a mount that ends stops bringing them, says nothing of it, and waits until it has',
  async (t) => {
    let isOver = false;
    const { polling, said } = watched(t, {
      completePast: (signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            setImmediate(() => {
              isOver = true;
              reject(new Error('interrupted'));
            });
          });
        }),
    });
    await polling.stop();
    t.equal(isOver, true);
    t.same(said, []);
  },
);

void t.test('never twice at once, however often it is polled', async (t) => {
  let running = 0;
  let most = 0;
  let polls = 0;
  await new Promise<void>((resolve) => {
    let finish: (() => void) | undefined;
    watched(t, {
      poll_ms: 1,
      onPoll: async () => {
        if (++polls >= 5) finish?.();
      },
      completePast: async () => {
        most = Math.max(most, ++running);
        if (polls < 5)
          await new Promise<void>((done) => {
            finish = done;
          });
        running--;
        resolve();
        return true;
      },
    });
  });
  t.equal(most, 1);
});
