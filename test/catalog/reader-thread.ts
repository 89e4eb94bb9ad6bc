// A reader in a thread that never gives its event loop a turn, as the mount's loops do: it sees a new version only by
// `refresh`. Tells its parent through shared numbers: [0] what it sees as head, [1] entries of that version, [2] 1: stop.

import { workerData } from 'node:worker_threads';

import { openCatalogReader } from '../../lib/catalog/index.js';
import { bytesOf, repositoryId, streamOf } from './trees.js';

const { path, shared } = workerData as { path: string; shared: SharedArrayBuffer };
const numbers = new Int32Array(shared);
const stream = streamOf(1);
const catalog = openCatalogReader(path, repositoryId);

while (Atomics.load(numbers, 2) === 0) {
  Atomics.wait(numbers, 2, 0, 5);
  catalog.refresh();
  const head = catalog.stream(stream)?.head ?? 0;
  const root = catalog.root(stream, head);
  const count = root === undefined ? 0 : Array.from(catalog.list(root.directory!, head)).length;
  if (catalog.root(stream, 1) !== undefined && catalog.find(stream, 1, bytesOf('first')) === undefined)
    throw new Error('version 1 has changed');
  Atomics.store(numbers, 1, count);
  Atomics.store(numbers, 0, head);
  Atomics.notify(numbers, 0);
}
await catalog.close();
