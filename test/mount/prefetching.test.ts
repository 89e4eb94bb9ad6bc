// The thread that reads ahead may fail: the mount goes on without it, and ends as always.

import t from 'tap';
import { shared } from '../../lib/mount/drivers/messages.js';
import { Prefetching } from '../../lib/mount/drivers/prefetching.js';
import { SharedBlocks } from '../../lib/mount/cache/shared-blocks.js';

const key = new Uint8Array(32);

t.test('a thread that has failed is reported, and not waited for', async (t) => {
  const prefetching = new Prefetching();
  prefetching.newQueue();
  const failure = new Promise<string>((resolve) => {
    prefetching.start({
      device: -1,
      catalogPath: `${t.testdirName}/nowhere`,
      repositoryId: '00'.repeat(16),
      shared: new SharedArrayBuffer(shared.size_bytes),
      content: {
        shared: SharedBlocks.create(2 ** 20).memory,
        keys: { chunkId: key, gear: key, wrap: key, stream: key, descriptor: key },
        local: { kind: 'none' },
      },
      mountpoint: '/nowhere',
      source: { ahead: async () => undefined },
      pendingReads: () => 0,
      onWarning: resolve,
    });
  });
  t.match(await failure, /nothing is read ahead any more: .*catalog/);
  await prefetching.stop();
});
