// What becomes of a run at its very end, when the commit is sent: lost before it arrives, its packs are used by the next run; lost
// after it stands, it is a version, and said to be one.

import t from 'tap';
import { randomBytes } from '../../lib/crypto/index.js';
import { backup } from '../../lib/index.js';
import { FaultStore } from '../../lib/store/faults.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { Machine } from '../repository/fixture.js';

class Weighing extends MemoryStore {
  packed_bytes = 0;

  override put(key: string, bytes: Uint8Array): Promise<{ versionId: string }> {
    if (key.startsWith('packs/')) this.packed_bytes += bytes.length;
    return super.put(key, bytes);
  }
}

const content_bytes = 400_000;

for (const kind of ['before', 'after'] as const) {
  void t.test(`the commit is lost ${kind} it takes effect`, async (t) => {
    const store = new Weighing();
    const machine = new Machine(t, store);
    const repository = await machine.open();
    machine.write('first', 'first');
    await backup(repository, machine.source);
    machine.write('new', randomBytes(content_bytes));
    const commit = { operation: 'create', key: /commits/, nth: 1, kind } as const;
    const struck = await machine.open({}, { store: new FaultStore(store, [commit]) });
    const run = backup(struck, machine.source);
    if (kind === 'before') await t.rejects(run, { code: 'store.transient' });
    else t.match(await run, { version: 2 });
    t.ok(store.packed_bytes > content_bytes);
    store.packed_bytes = 0;
    await repository.sync();
    const again = await backup(repository, machine.source);
    t.equal(again.version, kind === 'before' ? 2 : undefined);
    t.ok(store.packed_bytes < content_bytes, `${store.packed_bytes} bytes of packs once more`);
    t.strictSame(await machine.restored(repository, 2), machine.described());
  });
}
