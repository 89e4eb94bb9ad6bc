// The slow proxy as a program, for scripts:
//   node dist/test/slow-proxy/main.js --target http://127.0.0.1:7480 --round-trip 40 --bandwidth 25000000
// Prints its endpoint as a line of JSON; then every line on stdin (counts, requests, hang, resume, cut) is answered with the
// counts (or the list of requests) as a line of JSON. Ends with its stdin.

import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { startSlowProxy } from '../slow-proxy.js';

const { values } = parseArgs({
  options: {
    target: { type: 'string' },
    /** Milliseconds. */
    'round-trip': { type: 'string', default: '0' },
    /** Bytes per second, each way. */
    bandwidth: { type: 'string', default: 'Infinity' },
  },
});
if (values.target === undefined) throw new Error('--target is missing');
const proxy = await startSlowProxy({
  target: values.target,
  roundTrip_ms: Number(values['round-trip']),
  bandwidth_bytes_per_s: Number(values.bandwidth),
});
const say = (value: unknown): boolean => process.stdout.write(`${JSON.stringify(value)}\n`);
say({ endpoint: proxy.endpoint });
for await (const line of createInterface({ input: process.stdin })) {
  const command = line.trim();
  if (command === 'hang' || command === 'resume' || command === 'cut') proxy[command]();
  say(command === 'requests' ? proxy.requests() : proxy.counts());
}
await proxy.close();
