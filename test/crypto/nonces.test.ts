// Scenario 28: over many blocks, sealed by several processes and threads that began at the same moment, no key stream comes twice.
// A million by `scripts/test --long`.

import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { runs } from '../runs.js';
import { blocksOfKey } from './nonces-child.js';

const child = fileURLToPath(new URL('./nonces-child.js', import.meta.url));
const processes = 4;
const threads = 2;
/** Objects that each seals. */
const objects = runs(20).numRuns;

type Sealer = { once(event: string, listener: (...values: never[]) => void): unknown };

const streamsOf = (sealer: Sealer): Promise<Uint8Array> =>
  new Promise((resolve, reject) => {
    sealer.once('message', (bytes: Uint8Array) => resolve(bytes));
    sealer.once('error', (error: Error) => reject(error));
    sealer.once('exit', () => reject(new Error('it ended without a word')));
  });

void t.test('no key stream comes twice', async (t) => {
  const sealed = await Promise.all([
    ...Array.from({ length: processes }, () =>
      streamsOf(fork(child, [String(objects)], { serialization: 'advanced' })),
    ),
    ...Array.from({ length: threads }, () => streamsOf(new Worker(child, { argv: [String(objects)] }))),
  ]);
  const streams = new Set<string>();
  for (const bytes of sealed)
    for (let at = 0; at < bytes.length; at += 16)
      streams.add(Buffer.from(bytes.subarray(at, at + 16)).toString('latin1'));
  const count = (processes + threads) * objects * blocksOfKey;
  t.equal(streams.size, count, `${count} blocks`);
});
