// Scenario 2 of TESTING.md for a change of passwords: whatever store call it dies at, a password that is to stay opens, and doing
// it again brings it to its end.

import t from 'tap';
import { addPassword, listPasswords, readSlots, removePassword } from '../../lib/keys/manage.js';
import { Unlocker } from '../../lib/keys/unlock.js';
import { FaultStore } from '../../lib/store/faults.js';
import { MemoryStore } from '../../lib/store/memory.js';
import type { ObjectStore } from '../../lib/store/types.js';
import { cheap, created, repositoryId, secret } from './helpers.js';

const unlocker = new Unlocker();
t.teardown(() => unlocker.close());

const add = (store: ObjectStore, password: string) =>
  addPassword(store, { secret, password, repositoryId, name: `${password}@host`, created, kdf: cheap });

/** The secret that a password opens; undefined if it opens none. */
async function opened(store: ObjectStore, password: string): Promise<Buffer | undefined> {
  const slots = await readSlots(store);
  return unlocker.unlock({ ...slots, password, repositoryId }).then(
    (result) => result.secret,
    () => undefined,
  );
}

const base = new MemoryStore();
await add(base, 'stays');
const { slot } = await add(base, 'goes');
// A slot of several versions takes several calls to remove.
const [leaving] = (await readSlots(base)).slots.filter(({ key }) => key.endsWith(slot));
await base.put(leaving!.key, leaving!.bytes);

const changes: Readonly<Record<string, (store: ObjectStore) => Promise<unknown>>> = {
  added: (store) => add(store, 'comes'),
  removed: (store) => removePassword(store, { slot, repositoryId }),
};

for (const [what, change] of Object.entries(changes)) {
  for (const kind of ['before', 'after'] as const) {
    void t.test(`${what}, dead ${kind} a call takes effect`, async (t) => {
      const counting = new FaultStore(base.copy());
      await change(counting);
      for (let nth = 1; nth <= counting.calls.length; nth++) {
        const store = base.copy();
        const dying = new FaultStore(store, [{ kind, nth, times: Infinity }]);
        await t.rejects(change(dying), `call ${nth}`);
        const at = `dead ${kind} call ${nth}`;
        t.same(await opened(store, 'stays'), secret, at);
        t.strictSame((await listPasswords(store, repositoryId)).unreadable, [], at);
        // A removal that had come to its end is told so.
        await change(store).catch((error: unknown) => t.match(error, { code: 'keys.no_such_password' }, at));
        t.same(await opened(store, what === 'added' ? 'comes' : 'stays'), secret, at);
        if (what === 'removed') t.equal(await opened(store, 'goes'), undefined, at);
      }
    });
  }
}
