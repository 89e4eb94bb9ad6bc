// Log entries and packs are lost together: what is left comes back, and no version that is not whole looks as if it were.

import fs from 'node:fs';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { walkTree } from '../../lib/catalog/changes.js';
import { versionNames } from '../../lib/catalog/version-argument.js';
import { chunkId, randomBytes } from '../../lib/crypto/index.js';
import { backup, check, recover, repair, type Repository } from '../../lib/index.js';
import { CommitWriter } from '../../lib/manifest/commit.js';
import { commitKey } from '../../lib/manifest/names.js';
import { encodeRecords } from '../../lib/manifest/records.js';
import type { Entry, Row, VersionHeader } from '../../lib/manifest/types.js';
import { PackBuilder, packKey } from '../../lib/pack/index.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import { chunkIdOf, diff, printed, type Tree } from '../catalog/trees.js';
import { history, treesOf } from '../property/histories.js';
import { Machine } from '../repository/fixture.js';
import { runs } from '../runs.js';

const texts = new Map(
  Array.from({ length: 5 }, (_, index) => `content ${index}`).map((text) => [
    chunkIdOf(text).toString('hex'),
    text,
  ]),
);
const hexOf = (id: Uint8Array): string => Buffer.from(id).toString('hex');

/** A pack of a version, and what of it nobody else has. */
interface Stored {
  readonly name: string;
  readonly paths: ReadonlySet<string>;
  readonly isLast: boolean;
}

interface History {
  readonly stream: string;
  readonly trees: readonly Tree[];
  /** By version, from 0. */
  readonly packs: readonly (readonly Stored[])[];
}

/** Writes the versions as a backup does, each in so many packs, its rows divided as `deal` says. */
async function write(
  { context, ...repository }: Pick<Repository, 'context'> & { stream: string },
  trees: readonly Tree[],
  deal: (version: number, row: number) => number,
): Promise<History> {
  const { stream } = repository;
  const withRealIds = (tree: Tree): Tree =>
    new Map([...tree].map(([path, entry]) => [path, { ...entry, content: entry.content.map(realId) }]));
  const realId = (segment: Entry['content'][number]) =>
    segment.kind === 'hole'
      ? segment
      : { ...segment, id: chunkId(context.keys, Buffer.from(texts.get(hexOf(segment.id))!)) };
  const textOf = new Map(
    [...texts.values()].map((text) => [hexOf(chunkId(context.keys, Buffer.from(text))), text]),
  );
  const stored = new Set<string>();
  const real = trees.map(withRealIds);
  const packs: Stored[][] = [];
  let parent = { hash: '', versionId: '', run: '' };
  for (const [index, tree] of real.entries()) {
    const rows = diff(real[index - 1] ?? new Map(), tree);
    const header = headerOf(stream, index + 1, parent, rows);
    const dealt: Row[][] = [[], [], []];
    for (const [number, row] of rows.entries()) dealt[deal(index, number) % 3]!.push(row);
    const parts = [...dealt.slice(0, 2).filter((some) => some.length > 0), dealt[2]!];
    const writer = new CommitWriter({ ...context, stream });
    const names: string[] = [];
    packs.push([]);
    for (const [part, own] of parts.entries()) {
      const isLast = part === parts.length - 1;
      const builder = new PackBuilder(context);
      for (const hex of new Set(own.flatMap(idsOf)))
        if (!stored.has(hex)) {
          const plain = Buffer.from(textOf.get(hex)!);
          builder.addBlock(plain, [{ id: Buffer.from(hex, 'hex'), size_bytes: plain.length }]);
          stored.add(hex);
        }
      const last = isLast ? { last: { header, otherPacks: names } } : {};
      const { bytes, encodedInfo } = builder.finish((number) =>
        encodeRecords({ stream, run: header.run, sequence: index + 1, part, rows: own, ...last }, number),
      );
      const { versionId } = await context.store.put(packKey(encodedInfo.name), bytes);
      await writer.addPack({ ...encodedInfo, versionId });
      packs[index]!.push({
        name: encodedInfo.name,
        paths: new Set(own.map(({ path }) => Buffer.from(path).toString('latin1'))),
        isLast,
      });
      names.push(encodedInfo.name);
    }
    for (const row of rows) await writer.addRow(row);
    parent = { ...(await writer.publish(header)), run: header.run };
  }
  return { stream, trees: real, packs };
}

const idsOf = (row: Row): string[] =>
  row.op === 'removed'
    ? []
    : row.entry.content.flatMap((segment) => (segment.kind === 'hole' ? [] : [hexOf(segment.id)]));

function headerOf(
  stream: string,
  sequence: number,
  parent: { hash: string; versionId: string; run: string },
  rows: readonly Row[],
): VersionHeader {
  const count = (op: Row['op']): number => rows.filter((row) => row.op === op).length;
  const [added, changed, removed] = (['added', 'changed', 'removed'] as const).map(count) as [
    number,
    number,
    number,
  ];
  return {
    stream,
    sequence,
    parentHash: parent.hash,
    parentVersionId: parent.versionId,
    run: randomBytes(16).toString('hex'),
    parentRun: parent.run,
    host: 'machine.example',
    source: 'source',
    sourcePath: Buffer.from('/source'),
    started_ns: BigInt(sequence) * 1_000_000_000n,
    finished_ns: BigInt(sequence) * 1_000_000_000n + 1n,
    program: 'rrbackup test',
    statistics: {
      ...{ files: 0, directories: 0, others: 0, bytes: 0, newBytes: 0, storedBytes: 0, unreadable: 0 },
      ...{ added, changed, removed },
    },
    userNames: new Map(),
    groupNames: new Map(),
  };
}

async function removeAll(store: MemoryStore, prefix: string): Promise<void> {
  for await (const { key, versionId } of store.list(prefix)) await store.remove(key, versionId);
}

function treeIn({ catalog }: Repository, stream: string, sequence: number): Map<string, string> {
  const root = catalog.root(stream, sequence)!;
  return new Map(
    Array.from(walkTree(catalog, root, sequence), ({ path, found }) => [
      path.toString('latin1'),
      printed(found.entry),
    ]),
  );
}

interface Losses {
  readonly history: Parameters<typeof treesOf>[0];
  readonly deal: number;
  /** Which packs, and which log entries: bits. */
  readonly packs: number;
  readonly entries: number;
}

const losses: fc.Arbitrary<Losses> = fc.record({
  history,
  deal: fc.nat(),
  packs: fc.nat((1 << 12) - 1),
  entries: fc.oneof(fc.constant(-1), fc.nat((1 << 6) - 1)),
});

/** What must be true of the versions after `recover`; complaints. */
async function complaints(t: Test, { history, deal, packs: lostBits, entries }: Losses): Promise<string[]> {
  const machine = new Machine(t);
  const repository = await machine.open();
  const stream = repository.streamId('source');
  const of = { context: repository.context, stream };
  const told = await write(of, treesOf(history), (version, row) => (deal >>> ((version + row) % 28)) + row);
  await repository.close();
  const isEntryLost = (index: number): boolean => ((entries >> index) & 1) === 1;
  // A pack in three is lost at the most.
  let count = 0;
  const lost = new Set<string>();
  for (const { name } of told.packs.flat())
    if (((lostBits >> (count++ % 12)) & 1) === 1 && count % 3 === 0) lost.add(name);
  for (const name of lost) await removeAll(machine.store, packKey(name));
  for (const index of told.trees.keys())
    if (isEntryLost(index)) await removeAll(machine.store, commitKey(stream, index + 1));
  const elsewhere = { stateDirectory: machine.at('elsewhere'), cacheDirectory: machine.at('elsewhere') };
  const after = await machine.open({ sync: false }, { configuration: elsewhere });
  const result = (await recover(after)).streams[0];
  const { catalog } = after;
  const there = catalog.versions(stream);
  const sequences = new Set(there.map(({ header }) => header.sequence));
  const inPart = new Set(result?.inPart ?? []);
  const wrong: string[] = [];
  const knows = (index: number, path: string): boolean =>
    !isEntryLost(index) || told.packs[index]!.some(({ name, paths }) => !lost.has(name) && paths.has(path));
  const isHeadless = (index: number): boolean =>
    isEntryLost(index) && told.packs[index]!.some(({ name, isLast }) => isLast && lost.has(name));
  const isAllKnown = (index: number): boolean =>
    !isEntryLost(index) ||
    (!isHeadless(index) &&
      told.packs[index]!.every(({ name, paths }) => !lost.has(name) || paths.size === 0));
  // The end of a log that is gone with its packs nobody can know of.
  for (const [index] of told.trees.entries())
    if (!sequences.has(index + 1) && !isHeadless(index)) wrong.push(`version ${index + 1} is lost`);
  for (const [version, name] of versionNames(there))
    if (name.endsWith('.partial') !== inPart.has(version.header.sequence)) wrong.push(`${name} by its name`);
  let isKnown = true;
  for (const [index, tree] of told.trees.entries()) {
    isKnown &&= isAllKnown(index);
    const sequence = index + 1;
    if (!sequences.has(sequence)) continue;
    const found = treeIn(after, stream, sequence);
    const expected = new Map([...tree].map(([path, entry]) => [path, printed(entry)]));
    if (inPart.has(sequence) === isKnown)
      wrong.push(`version ${sequence} ${isKnown ? 'is' : 'is not'} said to be a part`);
    if (isKnown && JSON.stringify([...found].sort()) !== JSON.stringify([...expected].sort()))
      wrong.push(`version ${sequence} has another tree`);
    for (const [path, entry] of found) {
      const states = told.trees.slice(0, sequence).map((each) => each.get(path));
      const isTrue = states.some((state) => state !== undefined && printed(state) === entry);
      const isMadeUp =
        states.some((state) => state?.type === 'directory') && found.get(path) !== expected.get(path);
      if (!isTrue && !isMadeUp) wrong.push(`version ${sequence}: ${path} was never so`);
    }
    for (const [path, entry] of expected) {
      let since = index;
      while (since > 0 && printed(told.trees[since - 1]!.get(path)) === entry) since--;
      const isTold = knows(since, path) && (sequences.has(since + 1) || sequences.has(since + 2));
      if (isTold && found.get(path) !== entry)
        wrong.push(`version ${sequence}: ${path} is known and not there`);
    }
  }
  const again = (await recover(after)).streams[0];
  if ((again?.rebuilt.length ?? 0) > 0 || JSON.stringify(again?.inPart) !== JSON.stringify(result?.inPart))
    wrong.push('a second time is not the same');
  await after.close();
  return wrong;
}

void t.test(
  'whatever is lost: no version is taken for whole that is not, and what is known is there',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(losses, async (losses) => {
        const wrong = await complaints(t, losses);
        if (wrong.length > 0) throw new Error(wrong.join('\n'));
      }),
      // The same losses in every short run.
      { ...runs(15), ...(runs(1).numRuns === 1 && { seed: 22 }), endOnFailure: true },
    );
  },
);

void t.test('files whose contents are lost are named; the next backup brings them back', async (t) => {
  const machine = new Machine(t);
  const repository = await machine.open();
  machine.write('kept/a', randomBytes(2000));
  await backup(repository, machine.source);
  const before = new Set<string>();
  for await (const { key } of machine.store.list('packs/')) before.add(key);
  machine.write('kept/b', randomBytes(2000));
  await backup(repository, machine.source);
  const second: string[] = [];
  for await (const { key } of machine.store.list('packs/')) if (!before.has(key)) second.push(key);
  machine.write('later', randomBytes(2000));
  await backup(repository, machine.source);
  // Its content is stored with the second version, its row with the fourth.
  machine.write('copy of b', fs.readFileSync(machine.at('source', 'kept', 'b')));
  await backup(repository, machine.source);
  await repository.close();
  for (const key of second) await removeAll(machine.store, key);
  await removeAll(machine.store, 'streams/');

  const elsewhere = { stateDirectory: machine.at('elsewhere'), cacheDirectory: machine.at('elsewhere') };
  const after = await machine.open({ sync: false }, { configuration: elsewhere });
  const result = await recover(after);
  t.match(result, { streams: [{ rebuilt: [1, 3, 4], inPart: [3, 4], lost: [2] }], fileCount: 1 });
  t.strictSame(
    result.files.map(({ path }) => path.toString()),
    ['copy of b'],
  );
  const inPart = {
    verdict: 'damaged',
    streams: [{ inPart: [{ from: 3, to: 4 }], lost: [{ from: 2, to: 2 }] }],
  };
  t.match(await check(after), {
    ...inPart,
    findings: [{ code: 'commit.missing' }, { code: 'chunk.missing' }],
  });
  t.match(await repair(after), { fileCount: 1, added: [] });

  t.match(await backup(after, machine.source), { version: 5 });
  t.strictSame(await machine.restored(after, 5), machine.described(), 'what is made now is whole');
  t.match(await check(after), { ...inPart, findings: [{ code: 'commit.missing' }] });
  t.match(await repair(after), { fileCount: 0 }, 'what is stored anew heals the versions before');
  t.match(await backup(after, machine.source), { version: undefined });
});
