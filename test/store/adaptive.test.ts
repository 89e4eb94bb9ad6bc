// The limit under simulated lines and a clock of their own.

import t from 'tap';
import { AdaptiveLimit } from '../../lib/store/adaptive.js';
import { FaultStore } from '../../lib/store/faults.js';
import { LimitStore } from '../../lib/store/limit.js';
import { MemoryStore } from '../../lib/store/memory.js';

interface Line {
  roundTrip_ms: number;
  bytes_per_ms: number;
}

/** As many calls at once as the limit allows, all wanting more, over a line that they share. */
function simulate(line: Line, { bytes, calls }: { bytes: number; calls: number }) {
  let now_ms = 0;
  const limit = new AdaptiveLimit({
    initial: 8,
    minimum: 2,
    maximum: 64,
    clock: { now_ns: () => 0n, monotonic_ms: () => now_ms },
  });
  const underWay: { era: number; end_ms: number }[] = [];
  let free_ms = 0;
  const run = (count: number, isWanted = true): void => {
    for (let ended = 0; ended < count; ended++) {
      while (underWay.length < limit.current) {
        free_ms = Math.max(free_ms, now_ms) + bytes / line.bytes_per_ms;
        underWay.push({ era: limit.begin(), end_ms: free_ms + line.roundTrip_ms });
      }
      const { era, end_ms } = underWay.shift()!;
      now_ms = end_ms;
      limit.ended({ era, bytes, isWanted });
    }
  };
  run(calls);
  return { limit, run, line };
}

const KiB = 1024;

t.test('dozens where an answer takes long and the line is wide', async (t) => {
  const { limit } = simulate({ roundTrip_ms: 200, bytes_per_ms: 100_000 }, { bytes: 128 * KiB, calls: 1000 });
  t.ok(limit.current >= 48, `${limit.current}`);
});

t.test('a few where the line is full with a few', async (t) => {
  for (const line of [
    { roundTrip_ms: 0.1, bytes_per_ms: 500_000 },
    { roundTrip_ms: 40, bytes_per_ms: 25_000 },
  ]) {
    const { limit } = simulate(line, { bytes: 1024 * KiB, calls: 5000 });
    t.ok(limit.current <= 12, `${limit.current} at ${line.roundTrip_ms} ms`);
  }
});

t.test('a line that becomes wider is found out in time', async (t) => {
  const simulation = simulate({ roundTrip_ms: 100, bytes_per_ms: 2000 }, { bytes: 128 * KiB, calls: 2000 });
  const { limit, run, line } = simulation;
  t.ok(limit.current <= 12, `${limit.current}`);
  line.bytes_per_ms = 100_000;
  run(2000);
  t.ok(limit.current >= 27, `${limit.current}`);
});

t.test('half as many when the store is overloaded, once for all calls that were under way', async (t) => {
  const { limit } = simulate({ roundTrip_ms: 200, bytes_per_ms: 100_000 }, { bytes: 128 * KiB, calls: 1000 });
  const before = limit.current;
  const eras = Array.from({ length: before }, () => limit.begin());
  for (const era of eras) limit.overloaded(era);
  t.equal(limit.current, Math.floor(before / 2));
  for (let cut = 0; cut < 10; cut++) limit.overloaded(limit.begin());
  t.equal(limit.current, 2, 'never none at all');
});

t.test('where nobody waits, nothing is concluded', async (t) => {
  const { limit, run } = simulate(
    { roundTrip_ms: 200, bytes_per_ms: 100_000 },
    { bytes: 128 * KiB, calls: 0 },
  );
  run(1000, false);
  t.equal(limit.current, 8);
});

t.test(
  'large calls take several places, in their turn; one that is too large for all goes alone',
  async (t) => {
    const inner = new FaultStore(new MemoryStore(), [{ operation: 'put', nth: 1, times: 8, kind: 'hang' }]);
    const store = new LimitStore(inner, new AdaptiveLimit({ initial: 8, minimum: 2, maximum: 64 }));
    const stop = new AbortController();
    const put = (key: string, size_MiB: number, signal?: AbortSignal) =>
      store
        .put(key, Buffer.alloc(size_MiB * 1024 * KiB), signal && { signal })
        .then(() => 'stored')
        .catch((error: unknown) => (error as { code: string }).code);
    const asked = () => inner.calls.map(({ key }) => key);
    const turn = () => new Promise((resolve) => setImmediate(resolve));
    const all = [put('a', 16), put('b', 14), put('c', 100, stop.signal), put('d', 0)];
    await turn();
    t.same(asked(), ['a', 'b'], 'd would fit, but does not overtake c');
    stop.abort();
    t.equal(await all[2], 'interrupted');
    await turn();
    t.same(asked(), ['a', 'b', 'd']);
    inner.release();
    t.same(await Promise.all(all), ['store.transient', 'store.transient', 'interrupted', 'store.transient']);
    t.equal(await put('e', 100), 'stored');
  },
);

t.test(
  'a store under it: as many at once as the limit says at the moment, fewer after an overload',
  async (t) => {
    const inner = new FaultStore(new MemoryStore(), [
      { operation: 'put', nth: 1, times: Infinity, kind: 'hang' },
    ]);
    const limit = new AdaptiveLimit({ initial: 8, minimum: 2, maximum: 64 });
    const store = new LimitStore(inner, limit);
    const puts = Array.from({ length: 20 }, (_, index) => store.put(`key/${index}`, Buffer.from('x')));
    const settled = Promise.allSettled(puts);
    await new Promise((resolve) => setImmediate(resolve));
    t.equal(inner.calls.length, 8);
    inner.release();
    await settled;
    t.equal(inner.calls.length, 20);
    t.equal(limit.current, 4);
  },
);
