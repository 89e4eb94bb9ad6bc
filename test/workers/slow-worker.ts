// A worker script that takes until it is told to be loaded: workerData[0] becomes 1 when it has begun and 2 when it has ended,
// workerData[1] lets it go on.

import { workerData } from 'node:worker_threads';
import { serve } from '../../lib/workers/serve.js';

const state = workerData as Int32Array;
Atomics.store(state, 0, 1);
Atomics.notify(state, 0);
Atomics.wait(state, 1, 0);
serve(() => ({ response: undefined }));
Atomics.store(state, 0, 2);
