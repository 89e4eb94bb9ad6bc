// Restoring a version, or a part of it, into a directory: plan, fetch, write. Writes nothing outside the target, overwrites
// nothing unless told to, and goes on where an interrupted run stopped.

import { printable } from '../bytes/path.js';
import type { CatalogEntry, CatalogReader } from '../catalog/types.js';
import { type RepositoryKeys, chunkId } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import type { Entry } from '../manifest/types.js';
import type { PackReader } from '../pack/index.js';
import type { Progress, Run } from '../progress.js';
import { Attributes } from './attributes.js';
import { ChunkFetcher, type FetchedChunks } from './fetch.js';
import type { Batch } from './jobs.js';
import { type Totals, plan } from './plan.js';
import { Preparation } from './prepare.js';
import { type Selection, notFound, select } from './selection.js';
import { Target } from './target.js';
import { Turns } from './turns.js';
import { Warnings } from './warnings.js';
import { Writer } from './write.js';

/** An opened repository, or as much of one as a restore needs. */
export interface RestoreSource {
  readonly catalog: Pick<CatalogReader, 'version' | 'root' | 'list' | 'lookup' | 'find' | 'chunk'>;
  readonly packs: Pick<PackReader, 'readBlocks' | 'chunkFrom'>;
  readonly context: { readonly keys: RepositoryKeys };
}

export interface RestoreOptions extends Run {
  readonly repository: RestoreSource;
  readonly stream: string;
  readonly sequence: number;
  /** Directory that the source's contents go into; made if it is not there. `a/b` of the source becomes `target`/a/b. */
  readonly target: string;
  /** Paths and glob patterns, relative to the source or absolute below it; none: everything. */
  readonly paths?: readonly (string | Uint8Array)[];
  /** Replace files that differ. Directories are never replaced by something else. Default false. */
  readonly overwrite?: boolean;
}

export interface RestoreResult {
  /** Files, directories, and other things that now stand as in the version. */
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  /** Of `files` and `others`, those that were right before. */
  readonly alreadyRight: number;
  /** Of file content written. */
  readonly bytes: number;
  /** Something else stood there and was kept; each was told as a warning. Not zero: the restore is incomplete. */
  readonly conflicts: number;
  /** Could not be put back; each was told as a warning. Not zero: the restore is incomplete. */
  readonly failed: number;
}

/** Batches that are fetched while one is written. */
const batchesAhead = 2;

/**
 * Puts a version back, exactly: bytes, names, modes, owners (as root), times, links, holes, attributes. Every byte is proven
 * by its chunk's id and read back after writing. Errors: kind not_found (version or path), usage (bad target), busy (another
 * restore writes there), store, interrupted, failure (the disk is full, …). Whatever the error, what stands in the target
 * under its real name is complete, and the same call goes on from there.
 */
export async function restore(options: RestoreOptions): Promise<RestoreResult> {
  const { stream, sequence } = options;
  const { catalog } = options.repository;
  const version = catalog.version(stream, sequence);
  const root = version && catalog.root(stream, sequence);
  if (!root)
    throw new RrbackupError({
      code: 'restore.no_version',
      kind: 'not_found',
      message: `there is no version ${sequence}`,
      guidance: 'see which there are with: rrbackup versions',
    });
  const { sourcePath } = version.header;
  const selection = select(options.paths ?? [], { catalog, stream, sequence, sourcePath });
  const turns = new Turns(options.signal);
  const totals = await sum(catalog, root, sequence, selection, turns);
  const target = new Target(options.target);
  try {
    return await new Restoration(options, target, totals, turns).run(root, selection);
  } finally {
    target.close();
  }
}

/** What will be done, and proof that every pattern means something, before anything is written. */
async function sum(
  catalog: RestoreSource['catalog'],
  root: CatalogEntry,
  sequence: number,
  selection: Selection,
  turns: Turns,
): Promise<Totals> {
  const totals = { files: 0, bytes: 0 };
  for (const step of plan(catalog, root, sequence, selection)) {
    await turns.turn();
    if (step.kind !== 'entry') continue;
    totals.files++;
    totals.bytes += step.entry.entry.size_bytes;
  }
  const unmatched = selection.unmatched();
  if (unmatched.length > 0) throw notFound(unmatched, sequence);
  return totals;
}

class Restoration {
  readonly #options: RestoreOptions;
  readonly #target: Target;
  readonly #totals: Totals;
  readonly #turns: Turns;
  readonly #warnings = new Warnings();
  readonly #fetcher: ChunkFetcher;
  readonly #result = {
    files: 0,
    directories: 0,
    others: 0,
    alreadyRight: 0,
    bytes: 0,
    conflicts: 0,
    failed: 0,
  };
  #filesDone = 0;
  #bytesDone = 0;

  constructor(options: RestoreOptions, target: Target, totals: Totals, turns: Turns) {
    this.#options = options;
    this.#target = target;
    this.#totals = totals;
    this.#turns = turns;
    this.#fetcher = new ChunkFetcher(options.repository.packs, options.signal);
  }

  async run(root: CatalogEntry, selection: Selection): Promise<RestoreResult> {
    const { sequence, overwrite = false } = this.#options;
    const { catalog, context } = this.#options.repository;
    const comparison = {
      identify: (plain: Uint8Array) => chunkId(context.keys, plain),
      turn: () => this.#turns.turn(),
    };
    const onConflict = this.#onConflict.bind(this);
    const onFailed = this.#onFailed.bind(this);
    const preparation = new Preparation({
      catalog,
      sequence,
      target: this.#target,
      overwrite,
      comparison,
      onConflict,
      onFailed,
    });
    const writer = new Writer({
      attributes: new Attributes(this.#warnings),
      warnings: this.#warnings,
      comparison,
      fetch: (needed) => this.#fetcher.fetch(needed),
      place: ({ id }) => {
        const place = catalog.chunk(id);
        return place && { id, place };
      },
      onDone: ({ path, entry }, what, written_bytes) => {
        if (entry.type === 'file') this.#result.files++;
        else this.#result.others++;
        if (what === 'right') this.#result.alreadyRight++;
        this.#result.bytes += written_bytes;
        this.#progress(path, entry);
      },
      onDirectory: () => void this.#result.directories++,
      onConflict,
      onFailed,
    });
    try {
      await this.#pump(preparation.batches(plan(catalog, root, sequence, selection)), writer);
    } finally {
      writer.abandon();
      this.#warnings.tell(this.#options.onWarning);
    }
    return this.#result;
  }

  /** Writes batches in order while those behind are looked ahead and fetched. */
  async #pump(batches: AsyncIterable<Batch>, writer: Writer): Promise<void> {
    const ahead: { readonly batch: Batch; readonly chunks: Promise<FetchedChunks> }[] = [];
    const writeNext = async (): Promise<void> => {
      const { batch, chunks } = ahead.shift()!;
      const fetched = await chunks;
      for (const job of batch.jobs) {
        await writer.write(job, fetched);
        await this.#turns.turn();
      }
    };
    for await (const batch of batches) {
      const chunks = this.#fetcher.fetch(batch.needed);
      // Its failure is met when its turn comes, or not at all if another comes first.
      chunks.catch(() => undefined);
      ahead.push({ batch, chunks });
      if (ahead.length > batchesAhead) await writeNext();
    }
    while (ahead.length > 0) await writeNext();
  }

  #onConflict(path: Buffer, entry: Entry): void {
    this.#result.conflicts++;
    this.#options.onWarning?.(`${printable(path)} is kept as it is: something else stands there already`);
    this.#progress(path, entry);
  }

  #onFailed(path: Buffer, entry: Entry, error: RrbackupError): void {
    this.#result.failed++;
    const isSystemCall = error.code.startsWith('restore.E');
    this.#options.onWarning?.(
      isSystemCall ? error.message : `${printable(path) || 'the target'} is not put back: ${error.message}`,
    );
    this.#progress(path, entry);
  }

  #progress(path: Buffer, { type, size_bytes }: Entry): void {
    if (type === 'directory') return;
    this.#filesDone++;
    this.#bytesDone += size_bytes;
    const progress: Progress = {
      phase: 'restore',
      files_done: this.#filesDone,
      files_total: this.#totals.files,
      bytes_done: this.#bytesDone,
      bytes_total: this.#totals.bytes,
      current: printable(path),
    };
    this.#options.onProgress?.(progress);
  }
}
