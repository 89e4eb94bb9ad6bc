// A store that shows an older history than this machine has seen, by 1 to 50 versions, or another one that begins there: an alarm
// with a way out, whether there is a catalog or not; nothing is written; and the true store is as good as before.

import fs from 'node:fs';
import t from 'tap';
import { deriveKeys, publicSecret } from '../../lib/crypto/index.js';
import { backup } from '../../lib/index.js';
import type { ManifestContext } from '../../lib/manifest/object.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import { added, headerOf, writeCommit } from '../manifest/fixture.js';
import { Machine } from '../repository/fixture.js';
import { runs } from '../runs.js';

const most = 50;

void t.test(`rolled back by 1 to ${most} versions, and forked there`, async (t) => {
  const machine = new Machine(t);
  const first = await machine.open();
  machine.write('file', 'content');
  await backup(first, machine.source);
  const stream = first.streamId(machine.source.name);
  const keys = deriveKeys(publicSecret(first.id));
  const { headHash } = first.catalog.stream(stream)!;
  await first.close();
  /** The hash of the version behind that of `parentHash`. */
  const commit = async (store: MemoryStore, sequence: number, parentHash: string, name: string) => {
    const context: ManifestContext = { ...first.context, keys, store };
    const header = headerOf(sequence, parentHash, { stream, host: 'machine.example', source: 'source' });
    return (await writeCommit(context, header, [added(name)])).hash;
  };
  /** The store as it was after each version, and the hashes of these. */
  const stores = [machine.store.copy()];
  const hashes = [headHash];
  for (let sequence = 2; sequence <= most + 1; sequence++) {
    hashes.push(await commit(machine.store, sequence, hashes.at(-1)!, `true ${sequence}`));
    stores.push(machine.store.copy());
  }
  const seen = await machine.open();
  t.equal(seen.catalog.stream(stream)?.head, most + 1);
  await seen.close();
  const kept = machine.at('kept');
  fs.cpSync(machine.at('cache'), kept, { recursive: true });

  const takeCatalog = (isThere: boolean): void => {
    fs.rmSync(machine.at('cache'), { recursive: true, force: true });
    if (isThere) fs.cpSync(kept, machine.at('cache'), { recursive: true });
  };
  const expectAlarm = async (store: MemoryStore, code: string, what: string): Promise<void> => {
    const before = await keysOf(store);
    for (const isThere of [true, false]) {
      takeCatalog(isThere);
      const expected = { code, kind: 'tampered', guidance: /init --adopt/ };
      await t.rejects(machine.open({}, { store }), expected, what);
      const again = await machine.open();
      t.equal(again.catalog.stream(stream)?.head, most + 1, `${what}: the true store is as good as before`);
      await again.close();
    }
    t.strictSame(await keysOf(store), before, `${what}: nothing is written`);
  };
  for (let by = 1; by <= most; by += runs(1).numRuns > 1 || by < 3 ? 1 : 47) {
    const last = most - by;
    await expectAlarm(stores[last]!, 'repository.rolled_back', `back by ${by}`);
    const forked = stores[last]!.copy();
    // A store never gives one version id twice.
    await forked.put('something', Buffer.from('else'));
    // A history that ends sooner than the true one, as soon, or later.
    const commits = by + (by % 3) - 1;
    let hash = hashes[last]!;
    for (let count = 0; count < commits; count++)
      hash = await commit(forked, last + 2 + count, hash, `other ${count}`);
    const code = commits < by ? 'repository.rolled_back' : 'repository.forked';
    await expectAlarm(forked, code, `back by ${by}, on by ${commits}`);
  }
});

async function keysOf(store: MemoryStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key, versionId } of store.list('')) keys.push(`${key} ${versionId}`);
  return keys;
}
