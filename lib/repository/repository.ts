// An opened repository: unlocked, with a catalog that is up to date and a history that is the one this machine has seen.
// open.ts makes it; every capability works on it.

import fs from 'node:fs';
import { type Catalog, type Feed, openCatalog, removeCatalog } from '../catalog/index.js';
import { syncCatalog } from '../catalog/sync.js';
import type { Clock } from '../clock.js';
import type { Zstd } from '../compression/index.js';
import { type RepositoryKeys, streamId, wipe, wipeKeys } from '../crypto/index.js';
import type { RrbackupError } from '../errors/index.js';
import { addPassword, exportKey } from '../keys/index.js';
import { ChainReader, type PublishedCommit } from '../manifest/chain.js';
import { DiskCache, type LocalBlocksSettings, PackReader } from '../pack/index.js';
import type { Run } from '../progress.js';
import type { ObjectStore } from '../store/types.js';
import { checkPins, explainChainError, holdsPins, isGap } from './alarm.js';
import type { LocationState } from './state.js';

/** What every reader and writer of stored objects needs. */
export interface RepositoryContext {
  readonly store: ObjectStore;
  readonly keys: RepositoryKeys;
  readonly repositoryId: string;
  readonly zstd: Zstd;
}

export interface RepositoryParts {
  readonly context: RepositoryContext;
  /** Wiped when the repository is closed. */
  readonly secret: Buffer;
  readonly catalog: Catalog;
  readonly state: LocationState;
  /** True if this opening made it. */
  readonly created: boolean;
  readonly encryption: 'password' | 'none';
  /** This machine's name, which its streams have. */
  readonly host: string;
  readonly clock: Clock;
  readonly localBlocks: LocalBlocksSettings;
  /** Absolute paths of files and directories that are the program's own: never part of a backup. */
  readonly ownPaths: readonly string[];
  /** Of a dry run: where its catalog lies; goes when it is closed, and nothing is remembered. */
  readonly scratch: string | undefined;
  /** Where the catalog lies because it cannot lie in the cache; goes when it is closed. */
  readonly temporary?: string | undefined;
  onWarning?(message: string): void;
}

/** Where a second catalog reads the log from its start while the first serves the newest versions. */
export const pastPath = (catalogPath: string): string => `${catalogPath}-past`;

export class Repository {
  readonly #parts: RepositoryParts;
  #catalog: Catalog;
  /** By stream: why its history could not be read to its end. */
  readonly #gaps = new Map<string, RrbackupError>();
  #isSynced = false;
  readonly chain: ChainReader;
  readonly packs: PackReader;
  readonly #cache: DiskCache | undefined;

  constructor(parts: RepositoryParts) {
    this.#parts = parts;
    this.#catalog = parts.catalog;
    this.chain = new ChainReader(parts.context, parts.clock);
    const { localBlocks, clock, onWarning } = parts;
    if (localBlocks.kind === 'cache')
      this.#cache = new DiskCache({ ...localBlocks, clock, ...(onWarning && { onWarning }) });
    this.packs = new PackReader({ ...parts.context, cache: this.#cache });
  }

  /** 32 hex digits. */
  get id(): string {
    return this.#parts.context.repositoryId;
  }

  get location(): string {
    return this.store.location;
  }

  get store(): ObjectStore {
    return this.#parts.context.store;
  }

  get context(): RepositoryContext {
    return this.#parts.context;
  }

  get state(): LocationState {
    return this.#parts.state;
  }

  get created(): boolean {
    return this.#parts.created;
  }

  get encryption(): 'password' | 'none' {
    return this.#parts.encryption;
  }

  get host(): string {
    return this.#parts.host;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  get ownPaths(): readonly string[] {
    return this.#parts.ownPaths;
  }

  /** Where stored blocks may lie on this machine: plain data, for threads that read them themselves. */
  get localBlocks(): LocalBlocksSettings {
    return this.#parts.localBlocks;
  }

  get catalog(): Catalog {
    return this.#catalog;
  }

  /** The stream of this host's source, or of another host's. */
  streamId(source: string, host = this.host): string {
    return streamId(this.context.keys, host, source);
  }

  /** A further password that opens the repository; `name` says whose, for people. */
  addPassword(password: string, name: string): Promise<{ slot: string }> {
    const created = new Date(Number(this.clock.now_ns() / 1_000_000n)).toISOString();
    const { secret } = this.#parts;
    return addPassword(this.store, { secret, password, repositoryId: this.id, name, created });
  }

  /** The lines that open the repository without any password, for ever: see lib/keys/exported. */
  exportKey(): string[] {
    return exportKey({ repositoryId: this.id, secret: this.#parts.secret });
  }

  /**
   * Brings the catalog up to date with the store, checks the pins and moves them. A history that can only be read in part is
   * a warning: the versions before the gap, and other streams, are there. `newestFirst`: what the catalog has none of may
   * begin with a late version; `completePast` brings those before it, which otherwise happens here. `sources`: as in OpenOptions.
   */
  async sync(
    run: Run & { readonly newestFirst?: boolean; readonly sources?: readonly string[] | undefined } = {},
  ): Promise<void> {
    const { catalog, state } = this;
    const wasAsSeen = holdsPins(catalog, state);
    await this.#syncStreams(catalog, run, { newestFirst: run.newestFirst, only: this.#known(run.sources) });
    try {
      checkPins(catalog, state);
    } catch (error) {
      // What has come in here would stand in the way of the true history when that is back.
      if (!wasAsSeen) await this.#emptyCatalog();
      throw error;
    }
    if (run.newestFirst !== true) await this.completePast(run);
    this.#isSynced = true;
    if (this.#parts.scratch !== undefined) return;
    for (const { id, head, headHash, lacksPast, firstSequence } of catalog.streams()) {
      // A pin stays until its version has been seen.
      if (lacksPast && (state.recall()?.pins[id]?.sequence ?? firstSequence) < firstSequence) continue;
      state.pin(id, { sequence: head, hash: headHash });
    }
  }

  /** Whether all versions are in the catalog that `sync` has found. */
  get hasPast(): boolean {
    return !this.#catalog.streams().some((stream) => stream.lacksPast);
  }

  /**
   * Brings the versions that `sync` with `newestFirst` has left out; they show all at once. Throws as `sync` does. What it has
   * read stays, so that the next call goes on from there, in this process or another. Not twice at once.
   */
  async completePast(run: Run = {}): Promise<void> {
    const { catalog, state } = this;
    const path = pastPath(catalog.path);
    catalog.refresh();
    const lacking = catalog.streams().filter((stream) => stream.lacksPast);
    if (lacking.length > 0) {
      const { catalog: past } = await openCatalog({ path, repositoryId: this.id });
      let isOther = false;
      try {
        await this.#syncStreams(past, run, {});
        // Before any of it shows.
        isOther = !holdsPins(past, state);
        checkPins(past, state);
        for (const { id } of lacking) await catalog.takePast(past, id, run);
      } finally {
        await past.close();
        if (isOther) removeCatalog(path);
      }
      catalog.refresh();
      if (!this.hasPast) return;
    }
    if (fs.existsSync(path)) removeCatalog(path);
  }

  /** `only`: just these streams; default all. */
  async #syncStreams(
    catalog: Catalog,
    run: Run,
    { newestFirst, only }: { newestFirst?: boolean | undefined; only?: readonly string[] | undefined },
  ): Promise<void> {
    const { chain } = this;
    for (const stream of only ?? (await this.#allStreams(catalog, run))) {
      const told = this.#gaps.get(stream)?.message;
      this.#gaps.delete(stream);
      try {
        await syncCatalog({ catalog, chain, streams: [stream], run, newestFirst: newestFirst ?? false });
        catalog.noteGap(stream, false);
      } catch (error) {
        const explained = explainChainError(error, catalog, stream);
        if (!isGap(explained)) throw explained;
        this.#gaps.set(stream, explained);
        // Of the newest version the log entry alone may be damaged: the catalog knows what it said.
        const { head } = catalog.stream(stream) ?? { head: 0 };
        catalog.noteGap(stream, await chain.namesAnyBehind(stream, head, callOf(run)));
        // A mount asks every minute.
        if (explained.message !== told) run.onWarning?.(explained.message);
      }
    }
  }

  async #allStreams(catalog: Catalog, { signal }: Run): Promise<Iterable<string>> {
    const stored = await this.chain.streams(callOf({ signal }));
    // Streams that this machine knows of and the store does not show are asked for too: that they are gone must come out.
    const pinned = Object.keys(this.state.recall()?.pins ?? {});
    return new Set([...stored, ...catalog.streams().map(({ id }) => id), ...pinned]);
  }

  /** The streams of these sources, if the catalog has a history of each and all else that this machine has seen. */
  #known(sources: readonly string[] | undefined): string[] | undefined {
    const streams = sources?.map((source) => this.streamId(source));
    const areKnown = streams?.every((stream) => this.#catalog.stream(stream) !== undefined) === true;
    return areKnown && holdsPins(this.#catalog, this.state) ? streams : undefined;
  }

  /**
   * Takes a version into the catalog that this process has just committed, without asking the store for anything but what it
   * does not hold in memory any more, and moves the pin. `feed`: has its rows. Throws what reading a commit throws.
   */
  async takeIn(
    stream: string,
    sequence: number,
    published: PublishedCommit,
    { feed, ...run }: Run & { readonly feed?: Feed } = {},
  ): Promise<void> {
    const { catalog, chain, state } = this;
    catalog.refresh();
    const commit = await chain.published(stream, sequence, published, run);
    if ((await feed?.finish(commit)) !== true) await catalog.ingest(commit, run);
    state.pin(stream, { sequence, hash: published.hash });
  }

  /** Whether the store has been asked since this repository was opened, and showed the history that this machine knows. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  /** Whether the catalog has versions, all that this machine has seen among them: what a look at the store would start from. */
  get isAsSeen(): boolean {
    return this.#catalog.streams().length > 0 && holdsPins(this.#catalog, this.state);
  }

  /** Why the stream's history could not be read to its end by the last sync; undefined where it could. */
  gap(stream: string): RrbackupError | undefined {
    return this.#gaps.get(stream);
  }

  /** Streams of which the last sync could read no version at all: not even their names are known. */
  get namelessGaps(): readonly RrbackupError[] {
    return [...this.#gaps].flatMap(([stream, gap]) => (this.#catalog.stream(stream) ? [] : [gap]));
  }

  /** Throws if the last sync met a gap in the stream's history: nothing may be added behind it. */
  refuseBehindGap(stream: string): void {
    const gap = this.gap(stream);
    if (gap !== undefined) throw gap;
  }

  /** Makes the catalog anew from the store. The pins still hold. */
  async rebuildCatalog(run: Run = {}): Promise<void> {
    await this.#emptyCatalog();
    await this.sync(run);
  }

  async #emptyCatalog(): Promise<void> {
    const { path } = this.#catalog;
    await this.#catalog.close();
    removeCatalog(path);
    removeCatalog(pastPath(path));
    ({ catalog: this.#catalog } = await openCatalog({ path, repositoryId: this.id }));
  }

  /** Forgets what this machine has seen and takes what the store shows now. */
  async adopt(run: Run = {}): Promise<void> {
    this.state.forgetPins();
    await this.rebuildCatalog(run);
  }

  async close(): Promise<void> {
    const { secret, context, scratch, temporary } = this.#parts;
    wipe(secret);
    await this.#cache?.close();
    await this.#catalog.close();
    await this.store.close();
    wipeKeys(context.keys);
    for (const directory of [scratch, temporary])
      if (directory !== undefined) fs.rmSync(directory, { recursive: true, force: true });
  }
}

const callOf = ({ signal }: { readonly signal?: AbortSignal | undefined }): { signal?: AbortSignal } =>
  signal === undefined ? {} : { signal };
