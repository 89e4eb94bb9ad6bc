// The worker script that pool.test.ts runs: each request names what it should do.

import { threadId, workerData } from 'node:worker_threads';

import { damaged } from '../../lib/errors/index.js';
import { serve } from '../../lib/workers/serve.js';

export type TestRequest =
  | { do: 'echo'; value: number; wait_ms?: number }
  | { do: 'sum'; bytes: Uint8Array }
  | { do: 'transfer'; size: number }
  | { do: 'workerData' }
  | { do: 'refuse' }
  | { do: 'throw' }
  | { do: 'unanswerable' }
  | { do: 'die' }
  | { do: 'crash' }
  | { do: 'block' };

export interface TestResponse {
  thread: number;
  value?: unknown;
}

let handled = 0;

serve<TestRequest, TestResponse>(async (request) => {
  const thread = threadId;
  handled++;
  switch (request.do) {
    case 'echo':
      if (request.wait_ms !== undefined)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, request.wait_ms);
      await Promise.resolve();
      return { response: { thread, value: [request.value, handled] } };
    case 'sum':
      return { response: { thread, value: request.bytes.reduce((sum, byte) => sum + byte, 0) } };
    case 'transfer': {
      const bytes = new Uint8Array(request.size).fill(7);
      return { response: { thread, value: bytes }, transfer: [bytes.buffer] };
    }
    case 'workerData':
      return { response: { thread, value: workerData } };
    case 'refuse':
      throw damaged('test.refused', 'refused');
    case 'throw':
      throw new TypeError('thrown');
    case 'unanswerable':
      return { response: { thread, value: () => 1 } };
    case 'die':
      return process.exit(9);
    case 'crash':
      setImmediate(() => {
        throw new Error('crashed');
      });
      return new Promise(() => undefined);
    case 'block':
      for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  }
});
