import { join } from 'node:path';
import t from 'tap';
import { DirectoryStore } from '../../lib/store/directory/index.js';
import { storeContract } from './store.js';

let count = 0;
const root = t.testdir();

storeContract(t, {
  async open() {
    count++;
    const store = new DirectoryStore(join(root, `${count}`, 'repository'));
    await store.prepare({ note: (message) => t.comment(message) });
    return store;
  },
  isVersioned: false,
  createsConditionally: true,
  manyKeys: 300,
});
