// Scenario 6 of TESTING.md: a server that ignores If-None-Match, checks it without holding off a second writer, or refuses it, is
// found out when a repository is made, and backups go on without it.

import t from 'tap';
import { RrbackupError } from '../../lib/errors/index.js';
import { backup } from '../../lib/index.js';
import { exists } from '../../lib/store/failures.js';
import { MemoryStore } from '../../lib/store/memory.js';
import type { Call } from '../../lib/store/types.js';
import { restless } from '../manifest/fixture.js';
import { Machine } from '../repository/fixture.js';
import { runBackupsHere } from '../simulation/threads-here.js';

runBackupsHere();

/** Looks, and then puts: between the two there is room for others. */
class Checking extends MemoryStore {
  override async create(key: string, bytes: Uint8Array, call?: Call): Promise<{ versionId: string }> {
    if (this.conditionalCreate && (await this.stat(key, call)) !== undefined)
      throw exists(this.location, key);
    return this.put(key, bytes, call);
  }
}

class Refusing extends MemoryStore {
  override create(key: string, bytes: Uint8Array, call?: Call): Promise<{ versionId: string }> {
    if (!this.conditionalCreate) return this.put(key, bytes, call);
    const message = 'If-None-Match is not implemented';
    return Promise.reject(new RrbackupError({ code: 'store.failed', kind: 'store', message }));
  }
}

const stores = {
  'that honours it': { store: new MemoryStore(), isReliable: true },
  'that ignores it': { store: new MemoryStore({ ignoresIfNoneMatch: true }), isReliable: false },
  'that only looks first': { store: new Checking(), isReliable: false },
  'that refuses it': { store: new Refusing(), isReliable: false },
};

for (const [which, { store, isReliable }] of Object.entries(stores))
  void t.test(`a server ${which}`, async (t) => {
    t.equal(await store.probeConditionalCreate(), isReliable);
    for await (const { key } of store.list('')) t.fail(`${key} was left behind`);
    const [one, two] = [new Machine(t, store), new Machine(t, store)];
    const first = await one.open({ clock: restless });
    const descriptor = JSON.parse(String(await store.get('rrbackup.json'))) as Record<string, unknown>;
    t.equal(descriptor['conditional_create'], isReliable);
    one.write('file', 'one');
    t.match(await backup(first, one.source), { version: 1 });
    two.write('file', 'two');
    const second = await two.open({ clock: restless });
    t.equal(store.conditionalCreate, isReliable, 'as it is known from then on');
    t.match(await backup(second, two.source), { version: 2 });
    one.write('file', 'one more');
    t.match(await backup(first, one.source), { version: 3 }, 'who came too late begins again behind it');
    t.strictSame(await one.restored(first, 3), one.described());
    t.strictSame(await one.restored(first, 2), two.described());
  });

void t.test('a server that cannot be asked is no answer', async (t) => {
  class Broken extends MemoryStore {
    override create(): Promise<{ versionId: string }> {
      return Promise.reject(new RrbackupError({ code: 'store.denied', kind: 'store', message: 'no' }));
    }
  }
  await t.rejects(new Broken().probeConditionalCreate(), { code: 'store.denied' });
});
