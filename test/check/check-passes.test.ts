// How much of the contents a check reads: all, a share, a part; and how one that was interrupted goes on.

import fs from 'node:fs';
import path from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { choosePacks, type ReadData } from '../../lib/check/verify-selection.js';
import { verifyPacks } from '../../lib/check/verify.js';
import { missingRanges, toRanges } from '../../lib/catalog/version-ranges.js';
import { Findings, VersionTally } from '../../lib/check/findings.js';
import { randomBytes, sha256 } from '../../lib/crypto/index.js';
import { backup, check, type CheckOptions, type Repository } from '../../lib/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import type { Progress } from '../../lib/progress.js';
import { FaultStore } from '../../lib/store/faults.js';
import { Machine } from '../repository/fixture.js';

/** Versions, and packs. */
const count = 6;

const everything: CheckOptions = { readData: { percent: 100 } };

/** Versions with a pack each; made once. */
const origin = new Machine(t);
const made = (async () => {
  const repository = await origin.open();
  for (let version = 1; version <= count; version++) {
    origin.write('file', randomBytes(1000));
    await backup(repository, origin.source);
  }
})();

/** The same for a test of its own; the calls of the store are counted. */
async function somePacks(t: Test): Promise<{ machine: Machine; repository: Repository; store: FaultStore }> {
  await made;
  const machine = new Machine(t, origin.store.copy());
  const store = new FaultStore(machine.store);
  const repository = await machine.open({}, { store });
  store.calls.length = 0;
  return { machine, repository, store };
}

/** Packs that were asked for since the last time, some of them perhaps without success. */
function packsRead({ calls }: FaultStore): string[] {
  const read = calls.filter(({ operation, key }) => operation === 'get' && key.startsWith('packs/'));
  calls.length = 0;
  return read.map(({ key }) => key).sort();
}

void t.test('what was interrupted goes on: every pack is read once', async (t) => {
  const { repository, store } = await somePacks(t);
  const stop = new AbortController();
  store.add({ operation: 'get', key: /^packs/, nth: 4, times: Infinity, kind: 'hang' });
  let verified = 0;
  const onProgress = ({ bytes_total }: Progress) => {
    if (bytes_total !== undefined && ++verified === 3) stop.abort();
  };
  await t.rejects(check(repository, { ...everything, signal: stop.signal, onProgress }), {
    code: 'interrupted',
  });
  store.release();
  store.calls.length = 0;
  const journal = path.join(repository.state.directory, 'check.journal');
  const inOrder = fs.readFileSync(journal, 'utf8').trim().split('\n').slice(1);
  t.equal(inOrder.length, 3);

  // Another selection is another pass, and takes the journal's place.
  const kept = fs.readFileSync(journal);
  const notes: string[] = [];
  const note = (message: string) => notes.push(message);
  t.equal((await check(repository, { readData: { part: 1, of: 1 }, note })).read.packs, count);
  t.equal((await check(repository, { ...everything, fresh: true, note })).read.packs, count);
  t.strictSame(notes, []);
  t.notOk(fs.existsSync(journal), 'a pass that is over leaves nothing');

  fs.writeFileSync(journal, kept);
  store.calls.length = 0;
  const result = await check(repository, { ...everything, note });
  t.match(result, { verdict: 'fine', read: { packs: count - inOrder.length, before: inOrder.length } });
  t.equal(notes.length, 1);
  const read = packsRead(store);
  t.equal(read.length, count - inOrder.length);
  t.notOk(inOrder.some((name) => read.some((key) => key.endsWith(name))));

  for (const text of ['', 'garbage\n', kept.toString().replace(/"began_ns":"\d+"/, '"began_ns":"1"')]) {
    fs.writeFileSync(journal, text);
    t.match(await check(repository, everything), { read: { packs: count, before: 0 } }, text.slice(0, 40));
  }
});

void t.test('a pack that is damaged is read again by the pass that goes on', async (t) => {
  const { machine, repository, store } = await somePacks(t);
  const keys: string[] = [];
  for await (const { key } of machine.store.list('packs/')) keys.push(key);
  const bytes = await machine.store.get(keys[4]!);
  bytes[140]! ^= 1;
  machine.store.tamper(keys[4]!, bytes);
  const found: string[] = [];
  store.add({ operation: 'get', key: new RegExp(keys[5]!), nth: 1, kind: 'before' });
  await t.rejects(check(repository, { ...everything, onFinding: ({ object }) => found.push(object!) }), {
    code: 'store.transient',
  });
  store.release();
  const result = await check(repository, everything);
  t.match(result.findings, [{ code: 'pack.damaged', object: keys[4]! }]);
  t.match(result, { verdict: 'damaged', fileCount: 1 });
  t.ok(found.every((object) => object === keys[4]!));
});

void t.test('a pack that the store does not hand out, and a store that hands out none', async (t) => {
  const { machine, repository, store } = await somePacks(t);
  const keys: string[] = [];
  for await (const { key } of machine.store.list('packs/')) keys.push(key);
  const error = new RrbackupError({ code: 'store.failed', kind: 'store', message: 'a bad sector' });
  store.add({ operation: 'get', key: new RegExp(keys[2]!), nth: 1, times: Infinity, kind: 'before', error });
  t.match(await check(repository, everything), {
    verdict: 'damaged',
    findings: [{ code: 'pack.unreadable', object: keys[2]! }],
    fileCount: 1,
  });
  const { context, catalog } = repository;
  const refusing = new FaultStore(machine.store, [
    { operation: 'get', nth: 1, times: Infinity, kind: 'before', error },
  ]);
  const packs = Array.from({ length: 30 }, (_, index) => ({
    name: sha256(Buffer.of(index)).toString('hex'),
    versionId: '',
    size_bytes: 1000,
    stored_bytes: 1000,
  }));
  const findings = new Findings();
  const of = { context: { ...context, store: refusing }, store: refusing };
  await t.rejects(verifyPacks(packs, { repository: of, catalog, findings, bad: new Map(), run: {} }), {
    code: 'store.failed',
  });
  t.ok(findings.count < 30);
});

void t.test('a share by chance, and parts that together are all', async (t) => {
  const { repository, store } = await somePacks(t);
  t.equal((await check(repository, { readData: { percent: 40 } })).read.packs, 3);
  t.equal(packsRead(store).length, 3);
  const read: string[] = [];
  for (const part of [1, 2, 3]) {
    await check(repository, { readData: { part, of: 3 } });
    read.push(...packsRead(store));
  }
  t.equal(read.length, count);
  t.equal(new Set(read).size, count);
  t.equal((await check(repository)).read.packs, 0);
  for (const readData of [{ percent: 0 }, { percent: 101 }, { part: 0, of: 2 }, { part: 3, of: 2 }])
    await t.rejects(check(repository, { readData }), { code: 'usage' });
});

void t.test('selections', (t) => {
  const packs = Array.from({ length: 1000 }, (_, index) => ({
    name: sha256(Buffer.from(`${index}`)).toString('hex'),
  }));
  const chosen = (data: ReadData, seed: string) => choosePacks(packs, data, seed).map(({ name }) => name);
  t.equal(chosen({ percent: 10 }, 'a').length, 100);
  t.equal(chosen({ percent: 0.01 }, 'a').length, 1);
  t.strictSame(chosen({ percent: 10 }, 'a'), chosen({ percent: 10 }, 'a'));
  t.strictNotSame(chosen({ percent: 10 }, 'a').sort(), chosen({ percent: 10 }, 'b').sort());
  t.end();
});

void t.test('ranges of versions', (t) => {
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 60 })).map((some) => some.sort((a, b) => a - b));
  const all = (ranges: readonly { from: number; to: number }[]): number[] =>
    ranges.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index));
  fc.assert(
    fc.property(numbers, (some) => {
      const others = Array.from({ length: 60 }, (_, index) => index + 1).filter(
        (each) => !some.includes(each),
      );
      t.strictSame(all(toRanges(some)), some);
      t.strictSame(all(missingRanges(toRanges(some), 60)), others);
    }),
  );
  const range = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 10 }));
  fc.assert(
    fc.property(fc.array(range), (ranges) => {
      const tally = new VersionTally();
      const expected = new Set<number>();
      for (const [from, more] of ranges) {
        tally.add({ from, to: from + more });
        for (let version = from; version <= from + more; version++) expected.add(version);
      }
      t.strictSame(
        all(tally.ranges()),
        [...expected].sort((a, b) => a - b),
      );
      t.strictSame(tally.ranges(), toRanges([...expected].sort((a, b) => a - b)));
    }),
  );
  t.end();
});
