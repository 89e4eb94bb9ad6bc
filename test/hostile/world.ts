// What the tests of a hostile store share: a small repository that has an object of every kind, and what a machine that sees it
// for the first time gets out of it. No answer but the truth or an RrbackupError counts as right.

import fs from 'node:fs';
import type { Test } from 'tap';
import { walkTree } from '../../lib/catalog/changes.js';
import { deriveKeys, publicSecret } from '../../lib/crypto/index.js';
import { damaged } from '../../lib/errors/index.js';
import { backup, type Repository, restore, RrbackupError } from '../../lib/index.js';
import { writeCheckpoint } from '../../lib/manifest/checkpoint.js';
import { ChainReader } from '../../lib/manifest/chain.js';
import { partKey } from '../../lib/manifest/names.js';
import type { ManifestContext } from '../../lib/manifest/object.js';
import { packKey, parsePackKey, verifyPack } from '../../lib/pack/index.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import type { StoredObject } from '../../lib/store/types.js';
import { noise } from '../pack/fixture.js';
import { Machine } from '../repository/fixture.js';
import { describeTree } from '../trees.js';

export const kinds = ['descriptor', 'pack', 'commit', 'part', 'checkpoint'] as const;
export type Kind = (typeof kinds)[number];

const patterns: Readonly<Record<Kind, RegExp>> = {
  descriptor: /^rrbackup\.json$/,
  pack: /^packs\//,
  commit: /^streams\/[0-9a-f]{32}\/commits\//,
  part: /^streams\/[0-9a-f]{32}\/parts\//,
  checkpoint: /^streams\/[0-9a-f]{32}\/checkpoints\//,
};

export interface World {
  readonly machine: Machine;
  readonly store: MemoryStore;
  readonly stream: string;
  /** By version, as describeTree has them. */
  readonly trees: readonly string[][];
  /** The store as it was after each version. */
  readonly stores: readonly MemoryStore[];
  readonly context: ManifestContext;
}

/** Three versions, the first with a part of rows because of its long targets, and a checkpoint of the newest. */
export async function newWorld(t: Test, seed = 1): Promise<World> {
  const machine = new Machine(t);
  const repository = await machine.open();
  const trees: string[][] = [];
  const stores: MemoryStore[] = [];
  const commit = async () => {
    await backup(repository, machine.source);
    trees.push(machine.described());
    stores.push(machine.store.copy());
  };
  for (let index = 0; index < 24; index++)
    machine.write(`d${index % 3}/f${index}`, noise(10 + index * 1500, seed * 100 + index));
  machine.write('d0/text', `${seed} to be, or not to be, that is the question. `.repeat(5000));
  fs.mkdirSync(machine.at('source', 'links'));
  for (let index = 0; index < 140; index++)
    fs.symlinkSync(
      noise(4000, index + 1)
        .toString('hex')
        .slice(0, 4000),
      machine.at('source', 'links', `${index}`),
    );
  await commit();
  fs.rmSync(machine.at('source', 'links'), { recursive: true });
  machine.write('d1/f1', noise(3000, seed * 100 + 50));
  await commit();
  fs.rmSync(machine.at('source', 'd2/f2'));
  machine.write('d2/new', noise(300_000, seed * 100 + 51));
  await commit();
  const stream = repository.streamId(machine.source.name);
  const { catalog, context } = repository;
  const { hash, header } = catalog.version(stream, 3)!;
  await writeCheckpoint(context, {
    commitHash: hash,
    header,
    packs: catalog.packsOf(stream, 3),
    rows: [...walkTree(catalog, catalog.root(stream, 3)!, 3)].map(({ path, found }) => ({
      op: 'added' as const,
      path,
      entry: found.entry,
    })),
  });
  await repository.close();
  return {
    machine,
    store: machine.store,
    stream,
    trees,
    stores,
    context: { ...context, keys: deriveKeys(publicSecret(repository.id)) },
  };
}

export async function objectsOf(store: MemoryStore, kind: Kind): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for await (const object of store.list('')) if (patterns[kind].test(object.key)) found.push(object);
  return found;
}

/** Undefined for an error that is meant for people; a description of it otherwise. */
export function surpriseOf(error: unknown): string | undefined {
  const isForPeople =
    error instanceof RrbackupError &&
    ['damaged', 'tampered', 'newer_format', 'not_found', 'no_repository', 'wrong_password'].includes(
      error.kind,
    ) &&
    error.message.length > 10 &&
    !/undefined|NaN|\[object|TypeError|RangeError|\n/.test(error.message);
  if (isForPeople) return undefined;
  return error instanceof Error ? `${error.name}: ${error.message}\n${error.stack}` : String(error);
}

/** Without the many links, which make a part and take time. */
const paths = ['d0', 'd1', 'd2'];
const isLookedAt = (line: string): boolean => /^d\d/.test(line);

export interface Sight {
  /** All errors and warnings, one after another. */
  readonly said: string;
  /** Versions that came out whole. */
  readonly whole: readonly number[];
  /** Entries that did not come out though their version is listed. */
  readonly lost: number;
  /** What may never be: wrong bytes, a wrong error, something lost without a word. */
  readonly surprises: readonly string[];
}

/** What a machine without any memory of it gets out of the store: every version that it lists is put back. */
export async function look(t: Test, world: World, store: MemoryStore): Promise<Sight> {
  const machine = new Machine(t, store);
  const said: string[] = [];
  const surprises: string[] = [];
  const onWarning = (message: string): void => void said.push(message);
  const failed = (error: unknown): void => {
    said.push((error as Error).message);
    const surprise = surpriseOf(error);
    if (surprise !== undefined) surprises.push(surprise);
  };
  const whole: number[] = [];
  let lost = 0;
  let repository: Repository | undefined;
  try {
    repository = await machine.open({ access: 'read', create: 'never', onWarning });
  } catch (error) {
    failed(error);
  }
  for (const { header } of repository?.catalog.versions(world.stream) ?? []) {
    const { sequence } = header;
    const target = fs.mkdtempSync(machine.at('out-'));
    try {
      const result = await restore(repository!, { stream: world.stream, sequence, target, paths, onWarning });
      const differences = differencesOf(world.trees[sequence - 1]!, describeTree(target));
      surprises.push(...differences.wrong.map((line) => `version ${sequence}: ${line}`));
      if (differences.missing !== result.failed)
        surprises.push(`version ${sequence}: ${differences.missing} missing, ${result.failed} said to be`);
      if (differences.missing === 0) whole.push(sequence);
      lost += differences.missing;
    } catch (error) {
      failed(error);
    }
    fs.rmSync(target, { recursive: true });
  }
  return { said: said.join('\n'), whole, lost, surprises };
}

/** Lines of the wrong tree that are not of the right one, but for those of directories that something is missing in. */
function differencesOf(
  right: readonly string[],
  got: readonly string[],
): { wrong: string[]; missing: number } {
  const expected = new Set(right.filter(isLookedAt));
  const nameOf = (line: string): string => line.split(' ', 1)[0]!;
  const there = new Set(got.map(nameOf));
  return {
    wrong: got.filter((line) => isLookedAt(line) && !expected.has(line)),
    missing: [...expected].filter((line) => !there.has(nameOf(line))).length,
  };
}

/** Reads every byte of everything with the keys; the first error, or undefined if all is well. */
export async function scrub({ context, stream }: World, store: MemoryStore): Promise<unknown> {
  try {
    const chain = new ChainReader({ ...context, store });
    let last: { sequence: number; hash: string } | undefined;
    for await (const commit of chain.commits(stream)) {
      for await (const row of commit.rows()) void row;
      for (const { hash, size_bytes, versionId } of commit.parts) {
        const stored = await store.stat(partKey(stream, hash), { versionId });
        if (stored?.size_bytes !== size_bytes)
          throw damaged('test', `version ${commit.header.sequence}, part ${hash} has another size`);
      }
      for await (const { name, versionId } of commit.packs()) {
        const bytes = await store.get(packKey(name), { versionId });
        verifyPack(context, bytes, name);
      }
      last = { sequence: commit.header.sequence, hash: commit.hash };
    }
    for (const sequence of await chain.checkpoints(stream)) {
      const checkpoint = await chain.checkpoint(stream, sequence);
      if (sequence > (last?.sequence ?? 0))
        throw damaged('test', `a checkpoint of version ${sequence}, which is gone`);
      if (sequence === last?.sequence && checkpoint.commitHash !== last.hash)
        throw damaged('test', `a checkpoint of version ${sequence} of another history`);
      for await (const row of checkpoint.rows()) void row;
      for await (const pack of checkpoint.packs()) void pack;
    }
    for await (const { key, versionId } of store.list('packs/')) {
      const name = parsePackKey(key);
      if (name !== undefined) verifyPack(context, await store.get(key, { versionId }), name);
    }
    return undefined;
  } catch (error) {
    return error;
  }
}
