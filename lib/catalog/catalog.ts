// The catalog as its one writer per process has it: everything a reader answers, and the ways in for commits. Disposable:
// whatever goes wrong here, deleting the file and reading the repository again puts it right.

import type { Checkpoint } from '../manifest/checkpoint.js';
import type { Commit } from '../manifest/types.js';
import type { FlatPackInfo } from '../pack/table.js';
import type { ChunkId, PackInfo, PackName } from '../pack/types.js';
import type { Run } from '../progress.js';
import { walkTree } from './changes.js';
import type { CatalogDatabase } from './database.js';
import { Feed } from './feed.js';
import { Ingestion } from './ingest.js';
import { takePast } from './past.js';
import { Reader } from './reader.js';
import { gapKey, sealedGap } from './records.js';
import type { Beginning } from './sequence.js';
import { type FileState, streamOf, visitFileStates } from './states.js';
import type { DirectoryId } from './types.js';

export class Catalog extends Reader {
  readonly #seal: (path: string) => void;
  readonly #batch: number;

  /** Made by `openCatalog` only. `seal` notes how the file is left; `batch` as in CatalogOptions. */
  constructor(
    database: CatalogDatabase,
    repositoryId: string,
    { seal, batch }: { seal(path: string): void; batch: number },
  ) {
    super(database, repositoryId);
    this.#seal = seal;
    this.#batch = batch;
  }

  get path(): string {
    return this.database.path;
  }

  /**
   * Takes in the next version of a stream. A version that is there already is no error and no work. Throws RrbackupError:
   * 'catalog.out_of_sequence', 'catalog.forked' (kind tampered), 'catalog.bad_commit', 'catalog.disk_full', and whatever
   * the commit's own reading throws; the catalog then shows the versions from before.
   */
  async ingest(commit: Commit, run: Run = {}): Promise<void> {
    await this.ingestAll([commit], run);
  }

  /** The same for many, of one or of many streams, in the order given: far cheaper than one by one. Returns how many were new. */
  async ingestAll(commits: Iterable<Commit> | AsyncIterable<Commit>, run: Run = {}): Promise<number> {
    return this.#ingest(async (ingestion) => {
      let added = 0;
      for await (const commit of commits) if (await ingestion.add(commit, false)) added++;
      return added;
    }, run);
  }

  /** For a version that is about to be made: its rows may be taken in before it is committed. */
  feed(version: Beginning): Feed {
    const ingestion = new Ingestion(this.database, this.packTable, {}, this.#batch);
    return new Feed(ingestion, version, () => {
      this.#seal(this.database.path);
    });
  }

  /**
   * A version whose own log entry, or one before it, is lost. In a stream that the catalog does not know it becomes the
   * `firstSequence`; with `lacksPast`, the versions before it are only to be taken in later. Behind known versions it leaves a
   * gap. Otherwise as `ingest`.
   */
  async ingestCheckpoint(
    checkpoint: Checkpoint,
    run: Run = {},
    { lacksPast = false }: { lacksPast?: boolean } = {},
  ): Promise<void> {
    const commit: Commit = { ...checkpoint, kind: 'version', hash: checkpoint.commitHash, versionId: '' };
    await this.#ingest((ingestion) => ingestion.add(commit, true, lacksPast), run);
  }

  /**
   * The versions of a stream before a checkpoint that was ingested with `lacksPast`, from another catalog of the repository that
   * has read its log from the start; see past.ts. Returns whether all are there.
   */
  async takePast(past: Catalog, stream: string, run: Run = {}): Promise<boolean> {
    const { database, packTable: packs } = this;
    try {
      return await takePast({ database, packs, past: past.database, stream, run, batch: this.#batch });
    } finally {
      this.#seal(this.database.path);
    }
  }

  /** Whether there are versions behind the newest one here that cannot be read; kept for all who read this catalog. */
  noteGap(stream: string, endsInGap: boolean): void {
    const head = this.streamRecord(stream)?.head ?? 0;
    const noted = this.gapBehind(stream);
    if (head === 0 || (endsInGap ? noted === head : noted === undefined)) return;
    const { meta } = this.database.tables;
    this.database.transaction(() => {
      if (endsInGap) meta.put(gapKey(stream), sealedGap(head));
      else meta.remove(gapKey(stream));
    });
    this.#seal(this.database.path);
  }

  async #ingest<T>(add: (ingestion: Ingestion) => Promise<T>, run: Run): Promise<T> {
    const ingestion = new Ingestion(this.database, this.packTable, run, this.#batch);
    try {
      const result = await add(ingestion);
      ingestion.finish();
      return result;
    } catch (error) {
      ingestion.finishWhole();
      throw error;
    } finally {
      this.#seal(this.database.path);
    }
  }

  hasPack(name: PackName): boolean {
    return this.packTable.numberOf(name) !== undefined;
  }

  /** A pack with its whole table; undefined if no version that was ingested has brought it. */
  pack(name: PackName): PackInfo | undefined {
    const number = this.packTable.numberOf(name);
    return number === undefined ? undefined : this.packTable.info(number);
  }

  /** The same as it lies in the catalog. */
  flatPack(name: PackName): FlatPackInfo | undefined {
    const number = this.packTable.numberOf(name);
    return number === undefined ? undefined : this.packTable.flatInfo(number);
  }

  /** The number of a pack in this catalog; undefined if it does not have it. */
  packNumber(name: PackName): number | undefined {
    return this.packTable.numberOf(name);
  }

  /** Which block of which pack, by its number, a chunk is read from. */
  blockOf(id: ChunkId): { readonly pack: number; readonly block: number } | undefined {
    return this.database.tables.chunks.get(id);
  }

  packName(number: number): PackName {
    return this.packTable.flatInfo(number).name;
  }

  /** Walks through all states of files, a page at a time: see states.ts. */
  visitFileStates(from: Buffer | undefined, visit: (file: FileState) => void): Buffer | undefined {
    return visitFileStates(this.database.tables.nodes, from, visit);
  }

  /** The stream that a directory belongs to, whatever the version. */
  streamOf(directory: DirectoryId): string | undefined {
    return streamOf(this.database.tables, directory);
  }

  /** Every pack that holds a chunk of this version, with its whole table: what a checkpoint has to name. */
  *packsOf(stream: string, sequence: number): Generator<PackInfo, void, undefined> {
    const root = this.root(stream, sequence);
    if (root === undefined) return;
    const seen = new Set<number>();
    for (const { found } of walkTree(this, root, sequence)) {
      for (const segment of found.entry.content) {
        const number = segment.kind === 'chunk' ? this.packTable.packNumberOf(segment.id) : undefined;
        if (number === undefined || seen.has(number)) continue;
        seen.add(number);
        yield this.packTable.info(number);
      }
    }
  }

  override async close(): Promise<void> {
    await super.close();
    if (!this.database.readOnly) this.#seal(this.database.path);
  }
}
