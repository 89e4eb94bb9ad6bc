// A line that is gone for a while: calls that were under way and calls that come meanwhile go on by themselves when it is back.

import t from 'tap';
import { AdaptiveLimit } from '../../lib/store/adaptive.js';
import { LimitStore } from '../../lib/store/limit.js';
import { RetryStore } from '../../lib/store/retry.js';
import { startSlowProxy } from '../slow-proxy.js';
import { answering, storeAt, stored } from './http-server.js';

t.test('a line that is cut and stays dead for a while costs no call', async (t) => {
  const server = await answering(t, stored);
  const proxy = await startSlowProxy({
    target: server.endpoint,
    roundTrip_ms: 2,
    bandwidth_bytes_per_s: 50e6,
  });
  t.teardown(() => proxy.close());
  let waits = 0;
  let isBack: Promise<void> | undefined;
  const store = new RetryStore(
    new LimitStore(storeAt(t, proxy.endpoint), new AdaptiveLimit({ initial: 4, minimum: 2, maximum: 8 })),
    {
      // A dead line is found dead time and again before it comes back.
      sleep: async () => {
        waits++;
        if (waits >= 40) await (isBack ??= proxy.accept());
      },
    },
  );
  await store.put('first', Buffer.from('x'));
  const puts = Array.from({ length: 12 }, (_, index) =>
    store.put(`packs/${index}`, Buffer.alloc(300_000, index)),
  );
  while (proxy.counts().requests < 3) await new Promise((resolve) => setImmediate(resolve));
  proxy.refuse();
  await Promise.all(puts);
  t.ok(waits >= 40);
  await store.put('last', Buffer.from('x'));
  const keys = new Set(server.requests.map((request) => request.split('?')[0]));
  t.equal(keys.size, 14, 'all are stored');
});
