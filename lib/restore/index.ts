// Restoring a version, or a part of it, into a directory: plan, fetch, write. Writes nothing outside the target, overwrites
// nothing unless told to, and goes on where an interrupted run stopped.

import os from 'node:os';
import type { CatalogEntry, CatalogReader } from '../catalog/types.js';
import type { RepositoryKeys } from '../crypto/index.js';
import { RrbackupError, interrupted } from '../errors/index.js';
import type { LocalBlocksSettings } from '../pack/index.js';
import type { Run } from '../progress.js';
import { Dispatcher } from './dispatch.js';
import { type PackSource, Supplier } from './fetch.js';
import { isOfDisk } from './failure.js';
import { Journal } from './journal.js';
import { limits } from './limits.js';
import type { Policy, WriterSettings } from './messages.js';
import { temporaryName } from './names.js';
import { type Totals, plan, sumOfEverything } from './plan.js';
import { Restoration } from './restoration.js';
import { type Runner, runHere, runInThreads } from './runner.js';
import { type Selection, notFound, select } from './selection.js';
import { Target } from './target.js';
import { Turns } from './turns.js';

/** An opened repository, or as much of one as a restore needs. */
export interface RestoreSource {
  /** `path`: where threads open it, too; without it everything is done in this one. */
  readonly catalog: Pick<CatalogReader, 'version' | 'root' | 'visitRows' | 'lookup' | 'find' | 'chunk'> & {
    readonly path?: string;
  };
  readonly packs: PackSource;
  readonly context: { readonly keys: RepositoryKeys; readonly repositoryId: string };
  readonly localBlocks: LocalBlocksSettings;
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
  /**
   * Replace what differs, and write into files that differ only the chunks that do, where they stand. Not atomic: after an
   * interruption a file may be partly old and partly new; the same call goes on from there. Default false.
   */
  readonly inPlace?: boolean;
  /**
   * Files get their setuid and setgid bits even if an ordinary user puts them back: whoever may run such a file acts as that
   * user. As root they always get them. Default false.
   */
  readonly setuid?: boolean;
  /**
   * Write into directories that belong to somebody else, and reach the target over symlinks of somebody else: who can exchange
   * names there can still lead nothing out of them, and gets no file that is not theirs. Default false: the target is refused,
   * and a directory below it that belongs neither to this user, to root nor to its recorded owner has failed.
   */
  readonly intoForeign?: boolean;
}

export interface RestoreResult {
  /** Files, directories, and other things that now stand as in the version. */
  readonly files: number;
  readonly directories: number;
  readonly others: number;
  /** Of `files`, those whose content was right before. */
  readonly alreadyRight: number;
  /**
   * Of all three, those that lack something: an owner, permissions, a time, an attribute, or that two names are one file. Each kind
   * was told as a warning. Not zero: the restore is incomplete.
   */
  readonly inexact: number;
  /** Of file content written. */
  readonly bytes: number;
  /** Something else stood there and was kept; each was told as a warning. Not zero: the restore is incomplete. */
  readonly conflicts: number;
  /** Could not be put back; each was told as a warning. Not zero: the restore is incomplete. */
  readonly failed: number;
}

/**
 * Puts a version back, exactly: bytes, names, modes, owners (as root), times, links, holes, attributes. Every byte is proven
 * by its chunk's id. Errors: kind not_found (version or path), usage (bad target), busy (another restore writes there), store,
 * interrupted, failure (the disk is full, …). Whatever the error, what stands in the target under its real name is complete
 * (but for a file that `inPlace` was changing), and the same call goes on from there.
 */
export async function restore(options: RestoreOptions): Promise<RestoreResult> {
  const { stream, sequence, signal } = options;
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
  const turns = new Turns(signal);
  const totals = await sum(catalog, root, sequence, selection, turns);
  const target = new Target(options.target, { intoForeign: options.intoForeign ?? false });
  try {
    return await carryOut(options, root, selection, target, totals, turns);
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
  if (selection.isEverything) {
    const totals = await sumOfEverything(catalog, root, sequence, turns);
    if (totals !== undefined) return totals;
  }
  const totals = { files: 0, bytes: 0 };
  for (const step of plan(catalog, root, sequence, selection)) {
    if (turns.isDue()) await turns.turn();
    if (step.kind !== 'entry') continue;
    totals.files++;
    totals.bytes += step.row.size_bytes;
  }
  const unmatched = selection.unmatched();
  if (unmatched.length > 0) throw notFound(unmatched, sequence);
  return totals;
}

async function carryOut(
  options: RestoreOptions,
  root: CatalogEntry,
  selection: Selection,
  target: Target,
  totals: Totals,
  turns: Turns,
): Promise<RestoreResult> {
  const { repository, sequence, signal } = options;
  const { catalog } = repository;
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const settings: WriterSettings = {
    sequence,
    policy: policyOf(options),
    umask: process.umask(),
    setuid: options.setuid ?? false,
    stop: stop.buffer as SharedArrayBuffer,
  };
  const runner = await startRunner(repository, settings, totals);
  const mustFetch = repository.localBlocks.kind !== 'directory';
  const supplier = new Supplier(repository.packs, isWorthCaching(repository, totals), signal);
  const dispatcher = new Dispatcher({ runner, supplier, mustFetch, stop });
  const onAbort = (): void => dispatcher.fail(interrupted());
  signal?.addEventListener('abort', onAbort);
  const journal = isLittle(totals) ? undefined : beginJournal(options, root, target);
  const restoration = new Restoration({
    ...settings,
    intoForeign: options.intoForeign ?? false,
    catalog,
    root,
    target,
    mustFetch,
    dispatcher,
    totals,
    turns,
    journal,
    run: options,
  });
  try {
    return await restoration.run(plan(catalog, root, sequence, selection));
  } catch (error) {
    // Then what was written may be lost, whatever its status says.
    if (isOfDisk(error)) journal?.remove();
    throw error;
  } finally {
    journal?.close();
    signal?.removeEventListener('abort', onAbort);
    await runner.close();
  }
}

function policyOf({ overwrite = false, inPlace = false }: RestoreOptions): Policy {
  if (inPlace) return 'change';
  return overwrite ? 'replace' : 'keep';
}

function beginJournal(
  { repository, stream, sequence, paths = [] }: RestoreOptions,
  root: CatalogEntry,
  target: Target,
): Journal | undefined {
  const name = temporaryName(repository.catalog, root.directory!, sequence, 'journal');
  const { repositoryId } = repository.context;
  return Journal.begin(target.root.held(), name, { repositoryId, stream, sequence, paths });
}

/** Threads take a tenth of a second to start: little work is done here meanwhile, and needs no journal. */
function isLittle({ files, bytes }: Totals): boolean {
  return files <= limits.inlineEntries && bytes <= limits.inline_bytes;
}

/** What is read but once would drive out of the disk cache what is read again. */
function isWorthCaching({ localBlocks }: RestoreSource, { bytes }: Totals): boolean {
  return localBlocks.kind === 'cache' && bytes <= localBlocks.maximum_bytes * limits.cacheShare;
}

async function startRunner(
  { catalog, context, localBlocks }: RestoreSource,
  settings: WriterSettings,
  totals: Totals,
): Promise<Runner> {
  const { keys, repositoryId } = context;
  // What comes over a network comes through the main thread, which looks into the disk cache, too.
  const local = localBlocks.kind === 'directory' ? localBlocks : ({ kind: 'none' } as const);
  const catalogPath = catalog.path;
  if (catalogPath === undefined || isLittle(totals))
    return runHere({ ...settings, catalog, repositoryId, keys, local });
  const threads = Math.min(limits.threads, os.availableParallelism());
  return runInThreads({ ...settings, catalogPath, repositoryId, keys, local }, threads);
}
