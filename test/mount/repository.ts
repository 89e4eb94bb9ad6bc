// A repository as far as the mount can tell: a real catalog in a scratch directory, filled version by version from literal trees,
// and packs that lie in memory. Blocks can be made to fail or to hang.

import { createHash } from 'node:crypto';
import path from 'node:path';
import { comparePaths } from '../../lib/bytes/path.js';
import { openCatalog, type Catalog } from '../../lib/catalog/index.js';
import type { Commit, Entry, EntryType, Row, Segment } from '../../lib/manifest/types.js';
import type { Decoder } from '../../lib/mount/cache/local-content.js';
import { CachedContent, type BlockReader } from '../../lib/mount/index.js';
import type { ChunkId, ChunkPlace, PackInfo } from '../../lib/pack/types.js';

export const repositoryId = '00112233445566778899aabbccddeeff';

/** Content as text, or as pieces: text and holes (numbers of bytes). */
export interface Leaf {
  readonly type?: EntryType;
  readonly content?: string | readonly (string | number)[];
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime_ns?: bigint;
  readonly target?: Uint8Array | string;
  readonly inode?: bigint;
  readonly links?: number;
  readonly rdev?: readonly [number, number];
  readonly xattrs?: Readonly<Record<string, string>>;
}

/** Paths as latin1, so that any byte can stand in one; '' is the root. A string is a file with that content. */
export type TestTree = Readonly<Record<string, string | Leaf>>;

export const directory: Leaf = { type: 'directory' };

const noon_ns = 1_790_000_000_000_000_000n;

export class TestRepository implements BlockReader, Decoder {
  readonly catalog: Catalog;
  readonly catalogPath: string;
  /** Hex ids of chunks whose blocks fail or never come. */
  readonly failing = new Set<string>();
  readonly hanging = new Set<string>();
  reads = 0;
  aborted = 0;
  readonly #chunks = new Map<string, Buffer>();
  /** By pack and index: the id of the one chunk in it. */
  readonly #blocks = new Map<string, string>();
  readonly #trees = new Map<string, Map<string, Entry>>();
  readonly #heads = new Map<string, { sequence: number; hash: string; run: string }>();

  private constructor(catalog: Catalog, catalogPath: string) {
    this.catalog = catalog;
    this.catalogPath = catalogPath;
  }

  static async create(directory: string): Promise<TestRepository> {
    const catalogPath = path.join(directory, 'catalog');
    const { catalog } = await openCatalog({ path: catalogPath, repositoryId });
    return new TestRepository(catalog, catalogPath);
  }

  content(cache_bytes?: number): CachedContent {
    return new CachedContent({
      catalog: this.catalog,
      reader: this,
      decoder: this,
      ...(cache_bytes === undefined ? {} : { cache_bytes }),
    });
  }

  /** The tree replaces the one of the version before; `started_ns` names the version. */
  async commit(host: string, source: string, started_ns: bigint, tree: TestTree): Promise<void> {
    const stream = streamOf(host, source);
    const before = this.#trees.get(stream) ?? new Map<string, Entry>();
    const blocks: PackInfo['blocks'][number][] = [];
    const after = new Map<string, Entry>();
    for (const [name, leaf] of Object.entries({ '': directory, ...tree })) {
      after.set(name, this.#entry(typeof leaf === 'string' ? { content: leaf } : leaf, blocks));
    }
    this.#trees.set(stream, after);
    const parent = this.#heads.get(stream);
    const sequence = (parent?.sequence ?? 0) + 1;
    const hash = digest(`${stream} ${sequence}`).toString('hex');
    const run = hash.slice(0, 32);
    this.#heads.set(stream, { sequence, hash, run });
    const files = [...after.values()].filter(({ type }) => type === 'file');
    const pack: PackInfo = {
      name: digest(`pack ${hash}`).toString('hex'),
      versionId: '',
      // Its header and its end, too.
      size_bytes: blocks.reduce((sum, { stored_bytes }) => sum + stored_bytes, 1024),
      header: Buffer.alloc(132),
      blocks,
    };
    blocks.forEach((block, index) => {
      this.#blocks.set(`${pack.name} ${index}`, Buffer.from(block.chunks[0]!.id).toString('hex'));
    });
    const commit: Commit = {
      kind: 'version',
      hash,
      versionId: '',
      parts: [],
      header: {
        stream,
        sequence,
        parentHash: parent?.hash ?? '',
        parentVersionId: '',
        run,
        parentRun: parent?.run ?? '',
        host,
        source,
        sourcePath: Buffer.from('/data'),
        started_ns,
        finished_ns: started_ns + 5_000_000_000n,
        program: 'test',
        statistics: {
          files: files.length,
          directories: 1,
          others: 0,
          bytes: files.reduce((sum, file) => sum + file.size_bytes, 0),
          added: 0,
          changed: 0,
          removed: 0,
          newBytes: 0,
          storedBytes: 0,
          unreadable: 0,
        },
        userNames: new Map(),
        groupNames: new Map(),
      },
      async *packs() {
        if (blocks.length > 0) yield pack;
      },
      async *rows() {
        yield* rowsOf(before, after);
      },
    };
    await this.catalog.ingest(commit);
  }

  async readBlocks(places: readonly ChunkPlace[], signal?: AbortSignal): Promise<Map<number, Buffer>> {
    this.reads++;
    const blocks = new Map<number, Buffer>();
    for (const place of places) {
      const id = this.#blocks.get(`${place.pack} ${place.block}`)!;
      if (this.failing.has(id)) throw new Error(`block ${place.block} of pack ${place.pack} is damaged`);
      if (this.hanging.has(id)) {
        await new Promise((_, reject) => {
          signal?.addEventListener('abort', () => {
            this.aborted++;
            reject(new Error('aborted'));
          });
        });
      }
      blocks.set(place.block, this.#chunks.get(id)!);
    }
    return blocks;
  }

  decode(): Buffer {
    throw new Error('no block of this repository lies on this machine');
  }

  chunkFrom(block: Buffer, place: ChunkPlace, id: ChunkId): Buffer {
    const chunk = block.subarray(place.offset_bytes, place.offset_bytes + place.size_bytes);
    if (!digest(chunk).equals(id)) throw new Error(`a chunk of pack ${place.pack} is not what its id says`);
    return chunk;
  }

  #entry(leaf: Leaf, blocks: PackInfo['blocks'][number][]): Entry {
    const pieces = typeof leaf.content === 'string' ? [leaf.content] : (leaf.content ?? []);
    const content = pieces.filter((piece) => piece !== '').map((piece) => this.#segment(piece, blocks));
    return {
      type: leaf.type ?? 'file',
      mode: leaf.mode ?? (leaf.type === 'directory' ? 0o755 : 0o644),
      uid: leaf.uid ?? 0,
      gid: leaf.gid ?? 0,
      mtime_ns: leaf.mtime_ns ?? noon_ns,
      ctime_ns: leaf.mtime_ns ?? noon_ns,
      inode: leaf.inode ?? 0n,
      device: 1n,
      links: leaf.links ?? 1,
      size_bytes: content.reduce((sum, segment) => sum + segment.size_bytes, 0),
      rdevMajor: leaf.rdev?.[0] ?? 0,
      rdevMinor: leaf.rdev?.[1] ?? 0,
      target: Buffer.from((leaf.target ?? '') as Uint8Array),
      xattrs: Object.entries(leaf.xattrs ?? {})
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, value]) => ({ name: Buffer.from(name), value: Buffer.from(value, 'latin1') })),
      content,
    };
  }

  #segment(piece: string | number, blocks: PackInfo['blocks'][number][]): Segment {
    if (typeof piece === 'number') return { kind: 'hole', size_bytes: piece };
    const bytes = Buffer.from(piece, 'latin1');
    const id = digest(bytes);
    if (!this.#chunks.has(id.toString('hex'))) {
      this.#chunks.set(id.toString('hex'), bytes);
      const chunks = [{ id, size_bytes: bytes.length }];
      blocks.push({ stored_bytes: bytes.length + 16, plain_bytes: bytes.length, codec: 0, chunks });
    }
    return { kind: 'chunk', id, size_bytes: bytes.length };
  }
}

export function digest(bytes: Uint8Array | string): Buffer {
  return createHash('sha256').update(bytes).digest();
}

export function chunkIdOf(content: string): string {
  return digest(Buffer.from(content, 'latin1')).toString('hex');
}

function streamOf(host: string, source: string): string {
  return digest(`${host}\0${source}`).toString('hex').slice(0, 32);
}

function* rowsOf(before: Map<string, Entry>, after: Map<string, Entry>): Generator<Row> {
  const names = [...new Set([...before.keys(), ...after.keys()])].map((name) => Buffer.from(name, 'latin1'));
  for (const name of names.sort(comparePaths)) {
    const key = name.toString('latin1');
    const old = before.get(key);
    const entry = after.get(key);
    if (entry === undefined) yield { op: 'removed', path: name };
    else if (old === undefined) yield { op: 'added', path: name, entry };
    else if (show(old) !== show(entry)) yield { op: 'changed', path: name, entry };
  }
}

function show(entry: Entry): string {
  return JSON.stringify(entry, (_, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`;
    return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;
  });
}

/** A file of nothing but content. */
export function fileEntry(content: readonly Segment[]): Entry {
  return {
    type: 'file',
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtime_ns: noon_ns,
    ctime_ns: noon_ns,
    inode: 0n,
    device: 1n,
    links: 1,
    size_bytes: content.reduce((sum, segment) => sum + segment.size_bytes, 0),
    rdevMajor: 0,
    rdevMinor: 0,
    target: Buffer.alloc(0),
    xattrs: [],
    content,
  };
}
