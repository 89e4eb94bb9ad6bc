// A repository to be damaged, and what of it can really be got back: what a check says is held against that.

import fs from 'node:fs';
import type { Test } from 'tap';
import { walkTree } from '../../lib/catalog/changes.js';
import { printable } from '../../lib/bytes/path.js';
import { randomBytes } from '../../lib/crypto/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { backup, type CheckResult, type Repository } from '../../lib/index.js';
import { writeCheckpoint } from '../../lib/manifest/checkpoint.js';
import type { Entry, Row } from '../../lib/manifest/types.js';
import type { ChunkId } from '../../lib/pack/types.js';
import type { MemoryStore } from '../../lib/store/memory.js';
import type { ObjectStore } from '../../lib/store/types.js';
import { Machine } from '../repository/fixture.js';

/** A machine that has never seen the repository. */
export function stranger(machine: Machine, store: ObjectStore): Promise<Repository> {
  const name = randomBytes(4).toString('hex');
  const configuration = {
    stateDirectory: machine.at(`state ${name}`),
    cacheDirectory: machine.at(`cache ${name}`),
  };
  return machine.open({ sync: false, access: 'read' }, { store, configuration });
}

function* rowsOf({ catalog }: Repository, stream: string, sequence: number): Generator<Row> {
  for (const { path, found } of walkTree(catalog, catalog.root(stream, sequence)!, sequence))
    yield { op: 'added', path, entry: found.entry };
}

/** Writes one of a version. */
export async function checkpoint(repository: Repository, stream: string, sequence: number): Promise<void> {
  const { header, hash: commitHash } = repository.catalog.version(stream, sequence)!;
  await writeCheckpoint(repository.context, {
    commitHash,
    header,
    packs: repository.catalog.packsOf(stream, sequence),
    rows: rowsOf(repository, stream, sequence),
  });
}

export interface Sample {
  readonly machine: Machine;
  readonly repository: Repository;
  readonly sources: readonly string[];
  /** The paths in every version, by '<source> <version>'. */
  readonly trees: ReadonlyMap<string, readonly string[]>;
}

/** Two sources with common contents; several packs to a version, log entries with parts, a checkpoint in the middle. */
export async function sample(t: Test, versions = 5): Promise<Sample> {
  const machine = new Machine(t);
  const repository = await machine.open();
  const other = { ...machine.source, name: 'other', path: machine.at('other') };
  fs.mkdirSync(other.path);
  const common = randomBytes(300_000);
  machine.write('dir/common', common);
  machine.write('dir/empty', '');
  for (let index = 0; index < 8; index++) machine.write(`big/${index}`, randomBytes(150_000));
  // Long enough for rows in a part of their own.
  for (let index = 0; index < 160; index++)
    fs.symlinkSync(`${index}`.repeat(1300), machine.at('source', `link ${index}`));
  await backup(repository, machine.source);
  fs.writeFileSync(machine.at('other', 'the same'), common);
  fs.writeFileSync(machine.at('other', 'its own'), 'its own');
  await backup(repository, other);
  for (let version = 2; version <= versions; version++) {
    machine.write('dir/changes', `${version}`.repeat(5000));
    machine.write('big/3', randomBytes(180_000));
    machine.write(`dir/only from ${version}`, randomBytes(200_000));
    if (version === 3) fs.rmSync(machine.at('source', 'big', '7'));
    if (version === 4) fs.linkSync(machine.at('source', 'big/3'), machine.at('source', 'dir/hard'));
    await backup(repository, machine.source);
    if (version === 3) await checkpoint(repository, repository.streamId('source'), 3);
  }
  fs.writeFileSync(machine.at('other', 'more'), common.subarray(0, 100_000));
  await backup(repository, other);
  const sources = ['other', 'source'];
  return { machine, repository, sources, trees: treesOf(repository, sources) };
}

/** What cannot be got back: '<source> <version>' of whole versions, '<source> <version> <path>' of files. */
export type Lost = ReadonlySet<string>;

/** By reading all of it. */
export async function reallyLost({ sources, trees }: Sample, repository: Repository): Promise<Lost> {
  const lost = new Set<string>();
  await repository.sync();
  const { catalog } = repository;
  const chunks = new Map<string, Promise<boolean>>();
  for (const source of sources) {
    const stream = repository.streamId(source);
    for (let sequence = 1; trees.has(`${source} ${sequence}`); sequence++) {
      const name = `${source} ${sequence}`;
      if (catalog.root(stream, sequence) === undefined) {
        lost.add(name);
        continue;
      }
      for (const path of trees.get(name)!) {
        const entry = catalog.find(stream, sequence, Buffer.from(path))?.entry;
        if (entry === undefined || !(await canBeRead(repository, entry, chunks))) lost.add(`${name} ${path}`);
      }
    }
  }
  return lost;
}

const damages = ['damaged', 'tampered', 'not_found'];

async function canBeRead(
  { catalog, packs }: Repository,
  { content }: Entry,
  known: Map<string, Promise<boolean>>,
): Promise<boolean> {
  const read = async (id: ChunkId): Promise<boolean> => {
    const place = catalog.chunk(id);
    if (place === undefined) return false;
    try {
      packs.chunkFrom((await packs.readBlocks([place])).get(place.block)!, place, id);
      return true;
    } catch (error) {
      if (error instanceof RrbackupError && damages.includes(error.kind)) return false;
      throw error;
    }
  };
  for (const segment of content) {
    if (segment.kind === 'hole') continue;
    const hex = Buffer.from(segment.id).toString('hex');
    if (!known.has(hex)) known.set(hex, read(segment.id));
    if (!(await known.get(hex)!)) return false;
  }
  return true;
}

/** The same by what a check says. */
export function told({ repository, sources }: Sample, { streams, files }: CheckResult): Lost {
  const lost = new Set<string>();
  const names = new Map(sources.map((source) => [repository.streamId(source), source]));
  for (const { id, lost: ranges } of streams)
    for (const { from, to } of ranges)
      for (let sequence = from; sequence <= to; sequence++) lost.add(`${names.get(id)} ${sequence}`);
  // What is newer than anything in the store nobody can know of who has not seen it.
  for (const source of sources) {
    const id = repository.streamId(source);
    const newest = streams.find((stream) => stream.id === id)?.newest ?? 0;
    const { head } = repository.catalog.stream(id)!;
    for (let sequence = newest + 1; sequence <= head; sequence++) lost.add(`${source} ${sequence}`);
  }
  for (const { stream, path, versions: ranges } of files)
    for (const { from, to } of ranges)
      for (let sequence = from; sequence <= to; sequence++)
        lost.add(`${names.get(stream)} ${sequence} ${printable(path)}`);
  return lost;
}

export async function keysOf(store: MemoryStore): Promise<{ key: string; versionId: string }[]> {
  const keys: { key: string; versionId: string }[] = [];
  for await (const { key, versionId } of store.list('')) keys.push({ key, versionId });
  return keys;
}

export const sorted = (lost: Lost): string[] => [...lost].sort();

/** Of every version that there is now, by its name, the paths in it. */
function treesOf(repository: Repository, sources: readonly string[]): Map<string, string[]> {
  const trees = new Map<string, string[]>();
  for (const source of sources) {
    const stream = repository.streamId(source);
    const { head } = repository.catalog.stream(stream)!;
    for (let sequence = 1; sequence <= head; sequence++) {
      const root = repository.catalog.root(stream, sequence)!;
      const paths = Array.from(walkTree(repository.catalog, root, sequence), ({ path }) => printable(path));
      trees.set(`${source} ${sequence}`, paths);
    }
  }
  return trees;
}
