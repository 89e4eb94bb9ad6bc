// A failing store says so in the log, and does not flood it.

import t from 'tap';
import { WarningLimiter } from '../../lib/mount/warnings.js';

void t.test('each message once a minute, twenty at most, and the rest counted', (test) => {
  const said: string[] = [];
  let now_ms = 0;
  const clock = { now_ns: () => 0n, monotonic_ms: () => now_ms };
  const limiter = new WarningLimiter((message) => said.push(message), clock);
  for (let count = 0; count < 3; count++) limiter.warn('the same');
  test.strictSame(said, ['the same']);
  for (let count = 0; count < 50; count++) limiter.warn(`file ${count}`);
  test.equal(said.length, 20);
  now_ms = 61_000;
  limiter.warn('the same');
  test.strictSame(said.slice(20), ['31 more warnings like these in the last minute', 'the same']);
  test.end();
});
