// Promise one, store call by store call: whatever call of a backup does not come back, before or after it took effect, the
// versions before read as before, and the next backup succeeds and holds what the source holds.

import t from 'tap';
import { backup } from '../../lib/index.js';
import { randomBytes } from '../../lib/crypto/index.js';
import { FaultStore } from '../../lib/store/faults.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { Machine } from '../repository/fixture.js';

for (const ignoresIfNoneMatch of [false, true]) {
  const which = ignoresIfNoneMatch ? 'a store without If-None-Match' : 'a store with If-None-Match';
  for (const times of [1, Infinity]) {
    void t.test(`${which}, ${times === 1 ? 'one call is lost' : 'dead from there on'}`, async (t) => {
      // One repository whose second version is tried again and again, each time from the same state.
      const machine = new Machine(t, new MemoryStore({ ignoresIfNoneMatch }));
      machine.write('kept', 'kept');
      const repository = await machine.open();
      await backup(repository, machine.source);
      const first = machine.described();
      let version = 1;
      for (const kind of ['before', 'after'] as const) {
        for (let nth = 1; ; nth++) {
          machine.write('new', randomBytes(300_000));
          const store = new FaultStore(machine.store, []);
          const dying = await machine.open({}, { store });
          store.add({ nth, times, kind });
          const before = store.calls.length;
          const result = await backup(dying, machine.source).catch((error: unknown) => error as Error);
          const calls = store.calls.length - before;
          const head = () => repository.catalog.streams()[0]!.head;
          await repository.sync();
          if (head() > version) {
            t.equal(head(), ++version, `${kind} call ${nth}: committed once`);
          } else {
            t.ok(result instanceof Error, `${kind} call ${nth}: no version, and it was said`);
          }
          const again = await backup(repository, machine.source);
          if (again.version !== undefined) t.equal(again.version, ++version);
          t.strictSame(
            await machine.restored(repository, version),
            machine.described(),
            `${kind} call ${nth}: the next one`,
          );
          await dying.close();
          if (calls < nth) break;
        }
      }
      t.strictSame(await machine.restored(repository, 1), first);
    });
  }
}
