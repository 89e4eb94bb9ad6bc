import fc from 'fast-check';
import t from 'tap';
import { HintQueue, type Hint } from '../../lib/mount/prefetch/hints.js';
import { runs } from '../runs.js';

const number = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const offset = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const hint: fc.Arbitrary<Hint> = fc.oneof(
  fc.record(
    { kind: fc.constant('read' as const), row: number, offset, end: offset },
    { noNullPrototype: true },
  ),
  fc.record(
    { kind: fc.constant('listed' as const), row: number, sequence: number },
    { noNullPrototype: true },
  ),
);

void t.test('what was put is taken, in order and unchanged; what does not fit is refused', async (test) => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.array(hint, { maxLength: 900 }), fc.nat(900)), { maxLength: 8 }),
      (rounds) => {
        const queue = new HintQueue();
        const taker = new HintQueue(queue.memory);
        const waiting: Hint[] = [];
        for (const [hints, taken] of rounds) {
          for (const each of hints) if (queue.put(each)) waiting.push(each);
          const expected = waiting.splice(0, taken);
          test.strictSame(
            expected.map(() => taker.take()),
            expected,
          );
        }
        test.equal(taker.isEmpty, waiting.length === 0);
      },
    ),
    runs(20),
  );
  const full = new HintQueue();
  let count = 0;
  while (full.put({ kind: 'listed', row: count, sequence: 0 })) count++;
  test.ok(count > 1000);
  test.equal(full.take()?.row, 0, 'nothing was overwritten');
});
