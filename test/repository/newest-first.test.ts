// Opening without a catalog where the newest version is enough to begin with: what is pinned here still has to be there.

import fs from 'node:fs';
import t, { type Test } from 'tap';
import { walkTree } from '../../lib/catalog/changes.js';
import { backup, type Repository } from '../../lib/index.js';
import { writeCheckpoint } from '../../lib/manifest/checkpoint.js';
import type { Row } from '../../lib/manifest/types.js';
import { Machine } from './fixture.js';

function* rowsOf({ catalog }: Repository, stream: string, sequence: number): Generator<Row> {
  for (const { path, found } of walkTree(catalog, catalog.root(stream, sequence)!, sequence))
    yield { op: 'added', path, entry: found.entry };
}

/** Four versions with a checkpoint of the third; another machine has seen the first one and has lost its catalog. */
async function longHistory(t: Test): Promise<{ machine: Machine; other: Machine; stream: string }> {
  const machine = new Machine(t);
  const other = new Machine(t, machine.store);
  const repository = await machine.open();
  const stream = repository.streamId('source');
  for (let version = 1; version <= 4; version++) {
    machine.write('file', `content ${version}`);
    machine.write(`only ${version}`, 'x');
    if (version > 1) fs.rmSync(machine.at('source', `only ${version - 1}`));
    await backup(repository, machine.source);
    if (version === 1) {
      const there = await other.open();
      await there.close();
      fs.rmSync(other.at('cache'), { recursive: true });
    }
  }
  const { header, hash: commitHash } = repository.catalog.version(stream, 3)!;
  await writeCheckpoint(repository.context, {
    commitHash,
    header,
    packs: repository.catalog.packsOf(stream, 3),
    rows: rowsOf(repository, stream, 3),
  });
  return { machine, other, stream };
}

const sequencesOf = ({ catalog }: Repository, stream: string): number[] =>
  catalog.versions(stream).map(({ header }) => header.sequence);

void t.test('the newest versions at first, all of them when the past is complete', async (t) => {
  const { machine, other, stream } = await longHistory(t);
  const there = await other.open({ access: 'read', newestFirst: true });
  t.same(sequencesOf(there, stream), [3, 4]);
  t.equal(there.hasPast, false);
  t.equal(there.isAsSeen, true, 'what it has can be served');
  t.equal(there.state.recall()?.pins[stream]?.sequence, 1, 'the pin waits until its version has been seen');
  t.ok((await other.restored(there, 4)).some((line) => line.includes('only 4')));

  machine.write('file', 'content 5');
  await backup(await machine.open(), machine.source);
  await there.sync({ newestFirst: true });
  t.same(sequencesOf(there, stream), [3, 4, 5]);

  await there.completePast();
  t.equal(there.hasPast, true);
  t.same(sequencesOf(there, stream), [1, 2, 3, 4, 5]);
  t.ok((await other.restored(there, 1)).some((line) => line.includes('only 1')));
  await there.sync({ newestFirst: true });
  t.equal(there.state.recall()?.pins[stream]?.sequence, 5);
  t.equal(fs.existsSync(`${there.catalog.path}-past`), false);
});

void t.test('whoever does not ask for it gets all versions, whatever was left', async (t) => {
  const { other, stream } = await longHistory(t);
  const begun = await other.open({ access: 'read', newestFirst: true });
  t.same(sequencesOf(begun, stream), [3, 4]);
  await begun.close();
  const there = await other.open({ access: 'read' });
  t.same(sequencesOf(there, stream), [1, 2, 3, 4]);
  t.equal(there.state.recall()?.pins[stream]?.sequence, 4);
});

void t.test('a past that is another than the one seen here does not show', async (t) => {
  const { other, stream } = await longHistory(t);
  const begun = await other.open({ access: 'read', newestFirst: true });
  begun.state.pin(stream, { sequence: 1, hash: '0'.repeat(64) });
  await t.rejects(begun.completePast(), { code: 'repository.forked', kind: 'tampered' });
  t.same(sequencesOf(begun, stream), [3, 4]);
  await begun.close();
  await t.rejects(other.open({ access: 'read' }), { code: 'repository.forked' });
});

void t.test('a lost log entry among the older ones: what is left of them comes', async (t) => {
  const { machine, other, stream } = await longHistory(t);
  const warnings: string[] = [];
  const there = await other.open({ access: 'read', newestFirst: true });
  const key = `streams/${stream}/commits/0000000002`;
  for await (const { versionId } of machine.store.list(key)) await machine.store.remove(key, versionId);
  await there.completePast({ onWarning: (message) => void warnings.push(message) });
  t.same(sequencesOf(there, stream), [1, 3, 4]);
  t.match(warnings, [/version 2 of 'source' cannot be read/]);
  t.equal(there.hasPast, true);
});
