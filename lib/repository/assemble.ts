// The second half of opening a repository, once its keys are there: the catalog, what it needs of this machine, and the look
// at the store. Apart from the first because loading it takes about as long as the password's work, and runs beside it.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openCatalog, type OpenedCatalog } from '../catalog/index.js';
import { systemClock } from '../clock.js';
import { loadZstd } from '../compression/index.js';
import { RrbackupError } from '../errors/index.js';
import type { LocalBlocksSettings } from '../pack/index.js';
import { distrustedOnWay, distrustInWords, foreignGuidance } from '../posix/trust.js';
import type { ObjectStore } from '../store/types.js';
import type { Identified } from './identify.js';
import type { OpenedConfiguration, OpenOptions } from './open.js';
import { pastPath, Repository } from './repository.js';
import type { LocationState, Memory } from './state.js';
import { defaultCacheSize_bytes } from './types.js';

export interface Parts {
  readonly store: ObjectStore;
  readonly identified: Identified;
  readonly configuration: OpenedConfiguration;
  readonly options: OpenOptions;
  readonly state: LocationState;
  /** What was remembered before. */
  readonly memory: Memory | undefined;
  /** The catalog's place has no room: it is made in a temporary one. */
  readonly lacksRoom?: RrbackupError;
}

export async function assemble(parts: Parts): Promise<Repository> {
  const { store, configuration, options, state, memory } = parts;
  const { descriptor, secret, keys, created } = parts.identified;
  const repositoryId = descriptor.repository;
  const scratch =
    options.access === 'dry-run' ? fs.mkdtempSync(path.join(os.tmpdir(), 'rrbackup-')) : undefined;
  const wanted = scratch
    ? path.join(scratch, 'catalog.mdb')
    : (configuration.catalogPath ?? path.join(configuration.cacheDirectory, repositoryId, 'catalog.mdb'));
  const { catalogPath, temporary, ...opened } = await openSomewhere(wanted, parts);
  if (opened.state === 'rebuilt') {
    options.note(
      `the catalog ${catalogPath} could not be used (${opened.reason}); it is rebuilt from the repository`,
    );
  } else if (opened.state === 'created' && memory !== undefined && !scratch && !temporary) {
    options.note(`the catalog ${catalogPath} is not there; it is rebuilt from the repository`);
  }
  const repository = new Repository({
    context: { store, keys, repositoryId, zstd: await loadZstd() },
    secret,
    catalog: opened.catalog,
    state,
    created,
    scratch,
    temporary,
    encryption: descriptor.encryption,
    host: configuration.host,
    clock: options.clock ?? systemClock,
    ...(options.onWarning && { onWarning: (message) => options.onWarning?.(message) }),
    localBlocks:
      scratch === undefined
        ? await localBlocksOf(configuration, repositoryId, options.onWarning)
        : { kind: 'none' },
    ownPaths: [
      ...(configuration.store?.kind === 'directory' ? [configuration.store.path] : []),
      ...[catalogPath, pastPath(catalogPath)].flatMap((file) =>
        ['', '-lock', '-seal'].map((suffix) => `${file}${suffix}`),
      ),
      configuration.stateDirectory,
      configuration.cacheDirectory,
    ],
  });
  try {
    if (options.sync !== false) await syncAtOpening(repository, options);
    return repository;
  } catch (error) {
    if (scratch === undefined && temporary === undefined && isPlaceAlone(error, parts)) {
      await repository.catalog.close();
      return assemble({ ...parts, lacksRoom: error });
    }
    await repository.close();
    throw error;
  }
}

/** Who named a file for the catalog wants to know that it cannot be there; the cache is ours to do without. */
function isPlaceAlone(error: unknown, { configuration }: Parts): error is RrbackupError {
  return (
    configuration.catalogPath === undefined &&
    error instanceof RrbackupError &&
    ['catalog.denied', 'catalog.disk_full'].includes(error.code)
  );
}

/** A cache that cannot be written is no reason not to back up: then the catalog is made anew for this one command. */
async function openSomewhere(
  catalogPath: string,
  parts: Parts,
): Promise<OpenedCatalog & { catalogPath: string; temporary?: string }> {
  const repositoryId = parts.identified.descriptor.repository;
  try {
    if (parts.lacksRoom !== undefined) throw parts.lacksRoom;
    return { ...(await openCatalog({ path: catalogPath, repositoryId })), catalogPath };
  } catch (error) {
    if (!isPlaceAlone(error, parts)) throw error;
    parts.options.onWarning?.(
      `${error.message}: all of the history is read again, by every command; ${error.guidance ?? ''}`,
    );
    const temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'rrbackup-'));
    const elsewhere = path.join(temporary, 'catalog.mdb');
    return { ...(await openCatalog({ path: elsewhere, repositoryId })), catalogPath: elsewhere, temporary };
  }
}

async function localBlocksOf(
  { store, cacheDirectory, cacheSize_bytes: maximum_bytes = defaultCacheSize_bytes }: OpenedConfiguration,
  repositoryId: string,
  onWarning: OpenOptions['onWarning'],
): Promise<LocalBlocksSettings> {
  if (store?.kind === 'directory') return { kind: 'directory', path: path.resolve(store.path) };
  const cache = path.join(cacheDirectory, repositoryId, 'blocks');
  const foreign = distrustedOnWay(cache);
  if (foreign !== undefined) {
    if (maximum_bytes > 0)
      onWarning?.(
        `what is read is not kept on this disk: ${distrustInWords(foreign)}; ${foreignGuidance('XDG_CACHE_HOME', foreign)}`,
      );
    return { kind: 'none' };
  }
  if (maximum_bytes > 0) return { kind: 'cache', path: cache, maximum_bytes };
  // Where that cannot be done there is nothing to gain by saying so: it is not used.
  await fs.promises.rm(cache, { recursive: true, force: true }).catch(() => undefined);
  return { kind: 'none' };
}

async function syncAtOpening(repository: Repository, options: OpenOptions): Promise<void> {
  try {
    if (options.sync === 'if-behind' && repository.isAsSeen) return;
    await repository.sync(options);
  } catch (error) {
    if (!(error instanceof RrbackupError) || error.code !== 'catalog.damaged') throw error;
    options.note(`the catalog ${repository.catalog.path} is damaged; it is rebuilt from the repository`);
    await repository.rebuildCatalog(options);
  }
}
