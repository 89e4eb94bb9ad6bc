// What a simulated source holds and what a version of it must hold: one line per entry, from the disk or from the manifest.
// Reads the manifest and the packs as they are stored, with no catalog between, so that a wrong catalog cannot hide anything.

import fs from 'node:fs';
import path from 'node:path';
import { chunkId } from '../../lib/crypto/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import type { ChainReader } from '../../lib/manifest/chain.js';
import type { Commit, Entry } from '../../lib/manifest/types.js';
import { packKey, verifyPack } from '../../lib/pack/index.js';
import type { Repository } from '../../lib/index.js';
import type { ObjectStore } from '../../lib/store/types.js';
import type { Random } from './random.js';

type Context = Repository['context'];
export type Lines = readonly string[];

const types: Record<Entry['type'], number> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
  socket: 0o140000,
  'character-device': 0o020000,
  'block-device': 0o060000,
};

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The source as it is. Its files are small: one chunk each. */
export function describeSource({ keys }: Pick<Context, 'keys'>, root: string): Lines {
  const lines: string[] = [];
  const walk = (relative: string): void => {
    const absolute = path.join(root, relative);
    const stats = fs.lstatSync(absolute, { bigint: true });
    let content = '';
    if (stats.isFile() && stats.size > 0n) content = hex(chunkId(keys, fs.readFileSync(absolute)));
    if (stats.isSymbolicLink()) content = fs.readlinkSync(absolute);
    const size = stats.isFile() ? stats.size : 0n;
    lines.push(`${relative} ${stats.mode} ${stats.mtimeNs} ${size} ${content}`);
    if (!stats.isDirectory()) return;
    for (const name of fs.readdirSync(absolute)) walk(path.join(relative, name));
  };
  walk('');
  return lines.sort();
}

function describeEntry(where: string, entry: Entry): string {
  const content =
    entry.type === 'symlink'
      ? Buffer.from(entry.target).toString()
      : entry.content.map((segment) => (segment.kind === 'chunk' ? hex(segment.id) : 'hole')).join();
  return `${where} ${types[entry.type] | entry.mode} ${entry.mtime_ns} ${entry.size_bytes} ${content}`;
}

/** One stream as the store has it, read from its start. */
export interface StreamState {
  readonly versions: readonly { readonly hash: string; readonly run: string; readonly lines: Lines }[];
  /** Whether two entries stand in the place of the next. */
  readonly isUndecided: boolean;
}

/** Remembers what it has proven: a pack's bytes never change under one name and version. */
export class StoreReader {
  readonly #verified = new Map<string, ReadonlySet<string>>();

  /** Throws where a version is not whole: a commit, a part, a pack or a chunk that it needs. */
  async stream(context: Context, chain: ChainReader, stream: string): Promise<StreamState> {
    const versions: StreamState['versions'][number][] = [];
    const tree = new Map<string, Entry>();
    try {
      for await (const commit of chain.commits(stream)) {
        await this.#apply(commit, tree);
        for await (const { name, versionId } of commit.packs()) await this.#verify(context, name, versionId);
        const missing = [...tree.values()].flatMap(({ content }) =>
          content.filter((segment) => segment.kind === 'chunk' && !this.#holds(hex(segment.id))),
        );
        if (missing.length > 0) throw new Error(`version ${commit.header.sequence} names a chunk in no pack`);
        const lines = [...tree].map(([where, entry]) => describeEntry(where, entry)).sort();
        versions.push({ hash: commit.hash, run: commit.header.run, lines });
      }
      return { versions, isUndecided: false };
    } catch (error) {
      if (!(error instanceof RrbackupError) || error.code !== 'manifest.undecided') throw error;
      return { versions, isUndecided: true };
    }
  }

  /** Packs that some version has named so far. */
  get referenced(): number {
    return this.#verified.size;
  }

  #holds(id: string): boolean {
    for (const chunks of this.#verified.values()) if (chunks.has(id)) return true;
    return false;
  }

  async #apply(commit: Commit, tree: Map<string, Entry>): Promise<void> {
    for await (const row of commit.rows()) {
      const where = Buffer.from(row.path).toString();
      if (row.op === 'removed') tree.delete(where);
      else tree.set(where, row.entry);
    }
  }

  async #verify(context: Context & { store: ObjectStore }, name: string, versionId: string): Promise<void> {
    // It must be there every time; what it holds need be proven once.
    const stored = await context.store.stat(packKey(name), { versionId });
    if (stored === undefined) throw new Error(`pack ${name} is gone`);
    if (this.#verified.has(name)) return;
    const { info } = verifyPack(context, await context.store.get(packKey(name), { versionId }), name);
    this.#verified.set(name, new Set(info.blocks.flatMap(({ chunks }) => chunks.map(({ id }) => hex(id)))));
  }
}

const names = ['a', 'b', 'c', 'a.d', 'ü', 'long name with spaces'];

/** Changes a source in a few places, in every way that a backup has to see. */
export function edit(random: Random, root: string, changes: number): void {
  for (let change = 0; change < changes; change++) {
    const directories = ['', ...directoriesBelow(root)];
    const at = path.join(root, random.pick(directories), random.pick(names));
    const stats = fs.lstatSync(at, { throwIfNoEntry: false });
    switch (random.below(stats === undefined ? 4 : 6)) {
      case 0:
        if (stats === undefined) fs.mkdirSync(at);
        break;
      case 1:
        if (stats === undefined) fs.symlinkSync(random.pick(names), at);
        break;
      case 2:
      case 3:
        if (stats?.isDirectory() !== true && stats?.isSymbolicLink() !== true)
          fs.writeFileSync(at, contentOf(random));
        break;
      case 4:
        fs.rmSync(at, { recursive: true });
        break;
      case 5:
        if (stats?.isSymbolicLink() !== true) fs.chmodSync(at, random.pick([0o700, 0o750, 0o755]));
        break;
    }
  }
}

/** Of a dozen contents, most of which occur more than once. */
function contentOf(random: Random): Buffer {
  const size_bytes = random.pick([0, 1, 100, 4096, 50_000]);
  return Buffer.alloc(size_bytes, `${random.below(4)} is what it says`);
}

function directoriesBelow(root: string): string[] {
  const found: string[] = [];
  const walk = (relative: string): void => {
    for (const entry of fs.readdirSync(path.join(root, relative), { withFileTypes: true })) {
      if (!entry.isDirectory()) continue;
      found.push(path.join(relative, entry.name));
      walk(path.join(relative, entry.name));
    }
  };
  walk('');
  return found.sort();
}
