// Scenarios 2 and 3 of TESTING.md for a backup, store call by store call: whatever becomes of any one call, the versions before
// read as before, no version is made twice or in silence lost, and the next backup holds what the source holds.

import t from 'tap';
import { randomBytes } from '../../lib/crypto/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { backup } from '../../lib/index.js';
import { type Fault, FaultStore } from '../../lib/store/faults.js';
import { MemoryStore } from '../../lib/store/memory.js';
import { restless } from '../manifest/fixture.js';
import { Machine } from '../repository/fixture.js';
import { runBackupsHere } from './threads-here.js';

runBackupsHere();

const denied = new RrbackupError({ code: 'store.denied', kind: 'store', message: 'made to be refused' });

const fates: Record<string, Omit<Fault, 'nth'>> = {
  'one call is lost': { kind: 'before' },
  'one answer is lost': { kind: 'after' },
  'one answer comes short': { kind: 'short' },
  'one call is refused for good': { kind: 'before', error: denied },
  'dead from there on': { kind: 'before', times: Infinity },
  'dead after it has taken effect': { kind: 'after', times: Infinity },
};

for (const ignoresIfNoneMatch of [false, true]) {
  const which = ignoresIfNoneMatch ? 'a store without If-None-Match' : 'a store with If-None-Match';
  void t.test(which, async (t) => {
    // One repository whose newest version is tried again and again, each time from the same state.
    const machine = new Machine(t, new MemoryStore({ ignoresIfNoneMatch }));
    machine.write('kept', 'kept');
    const repository = await machine.open({ clock: restless });
    await backup(repository, machine.source);
    const first = machine.described();
    let version = 1;
    for (const [fate, fault] of Object.entries(fates)) {
      for (let nth = 1; ; nth++) {
        const what = `${fate}, call ${nth}`;
        machine.write('new', randomBytes(30_000));
        const store = new FaultStore(machine.store);
        const struck = await machine.open({ clock: restless }, { store });
        const opened = store.calls.length;
        store.add({ ...fault, nth });
        const result = await backup(struck, machine.source).catch((error: unknown) => error as Error);
        const calls = store.calls.length - opened;
        await repository.sync();
        const { head } = repository.catalog.streams()[0]!;
        if (head > version) t.equal(head, ++version, `${what}: committed once`);
        else t.ok(result instanceof Error, `${what}: no version, and it was said`);
        const again = await backup(repository, machine.source);
        if (again.version !== undefined) t.equal(again.version, ++version);
        t.strictSame(
          await machine.restored(repository, version),
          machine.described(),
          `${what}: the next one`,
        );
        await struck.close();
        if (calls < nth) break;
      }
    }
    t.strictSame(await machine.restored(repository, 1), first);
  });
}
