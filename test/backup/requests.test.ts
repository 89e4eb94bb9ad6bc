// How often a backup asks the store, in a process that has just been started, as a timer starts it: each question costs a
// round trip, and somebody's money.

import t from 'tap';
import { randomBytes } from '../../lib/crypto/index.js';
import { type BackupResult, backup } from '../../lib/index.js';
import { FaultStore } from '../../lib/store/faults.js';
import { Machine } from '../repository/fixture.js';

async function run(machine: Machine): Promise<{ result: BackupResult; calls: string[] }> {
  const store = new FaultStore(machine.store);
  const repository = await machine.open({ sources: [machine.source.name] }, { store });
  const result = await backup(repository, machine.source);
  await repository.close();
  return { result, calls: store.calls.map(({ operation, key }) => `${operation} ${key}`) };
}

void t.test('nothing changed: three requests at most; one small file changed: five', async (t) => {
  const machine = new Machine(t);
  for (const name of ['a', 'b/c', 'b/d']) machine.write(name, name);
  await run(machine);
  const unchanged = await run(machine);
  t.equal(unchanged.result.version, undefined);
  t.ok(unchanged.calls.length <= 3, unchanged.calls.join(', '));
  for (const round of [1, 2, 3]) {
    machine.write('b/c', `changed for the ${round}. time`);
    const changed = await run(machine);
    t.equal(changed.result.version, round + 1);
    t.ok(changed.calls.length <= 5, changed.calls.join(', '));
  }
});

void t.test('a first backup asks once for each pack, and ten times beside', async (t) => {
  const machine = new Machine(t);
  for (let index = 0; index < 40; index++) machine.write(`big/${index}`, randomBytes(1 << 20));
  for (let index = 0; index < 500; index++) machine.write(`small/${index}`, `file ${index}`);
  const repository = await machine.open();
  await repository.close();
  const { result, calls } = await run(machine);
  const packs = Math.ceil(result.uploadedBytes / (16 << 20));
  t.ok(calls.length <= packs + 10, calls.join(', '));
});
