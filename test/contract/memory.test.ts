import t from 'tap';
import { MemoryStore } from '../../lib/store/memory.js';
import { storeContract } from './store.js';

for (const ignoresIfNoneMatch of [false, true]) {
  t.test(ignoresIfNoneMatch ? 'ignores If-None-Match' : 'creates conditionally', async (t) => {
    storeContract(t, {
      open: () => Promise.resolve(new MemoryStore({ ignoresIfNoneMatch })),
      isVersioned: true,
      createsConditionally: !ignoresIfNoneMatch,
      hide: (store, key) => Promise.resolve((store as MemoryStore).hide(key)),
      manyKeys: 2500,
    });
  });
}
