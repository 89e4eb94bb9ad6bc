// Opening a repository: the descriptor, the password, this machine's memory of it, the catalog brought up to date and held
// against the pins. A repository is made where there is none and this machine remembers none; it is never made over one.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { openCatalog } from '../catalog/index.js';
import { type Clock, systemClock } from '../clock.js';
import { loadZstd } from '../compression/index.js';
import { cryptoReady, deriveKeys, publicSecret } from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import {
  type Descriptor,
  descriptorKey,
  parseDescriptor,
  readSlots,
  unlock,
  verifyDescriptor,
} from '../keys/index.js';
import type { LocalBlocksSettings } from '../pack/index.js';
import type { Run } from '../progress.js';
import { MemoryStore } from '../store/memory.js';
import { openStore } from '../store/open.js';
import type { ObjectStore, StoreConfiguration } from '../store/types.js';
import { createRepository } from './create.js';
import { pastPath, Repository } from './repository.js';
import { LocationState, type Memory } from './state.js';
import { defaultCacheSize_bytes, type PasswordSource } from './types.js';

export interface RepositoryConfiguration {
  readonly store: StoreConfiguration;
  readonly encryption: 'password' | 'none';
  readonly password: PasswordSource;
  readonly commitLocked: boolean;
  readonly host: string;
  /** Absolute; undefined: <cacheDirectory>/<repository id>/catalog.mdb. */
  readonly catalogPath: string | undefined;
  readonly stateDirectory: string;
  readonly cacheDirectory: string;
  /**
   * What the disk cache of encrypted blocks may take, for a store that is not in a local directory; 0: there is none, and what
   * there was is removed. Default 1 GiB.
   */
  readonly cacheSize_bytes?: number;
}

export interface OpenOptions extends Run {
  /** 'write' is refused under commit_locked; 'dry-run' changes nothing anywhere, its catalog is temporary. */
  readonly access: 'read' | 'write' | 'dry-run';
  /** 'if-new': make the repository where there is none and none is remembered. Default 'never'. */
  readonly create?: 'never' | 'if-new';
  /** Take what stands at the place now: what this machine remembers of it is forgotten once the new is opened. */
  readonly adopt?: boolean;
  /**
   * Bring the catalog up to date and check the pins; default true. 'if-behind': only where the catalog does not hold all that
   * this machine has seen of the repository; the caller syncs as soon as it has something to show for.
   */
  readonly sync?: boolean | 'if-behind';
  /** The newest version is enough to begin with: the caller calls `completePast` as soon as it has something to show for. */
  readonly newestFirst?: boolean;
  /** Something that was done on the way and that the user should know. */
  note(message: string): void;
  readonly clock?: Clock;
}

/** Of a store that is open already. */
type OpenedConfiguration = Omit<RepositoryConfiguration, 'store'> &
  Partial<Pick<RepositoryConfiguration, 'store'>>;

/** Opens the repository, or explains in an RrbackupError what stands in the way. Close it when done. */
export async function openRepository(
  configuration: RepositoryConfiguration,
  options: OpenOptions,
): Promise<Repository> {
  if (options.access === 'write') refuseIfLocked(configuration);
  const store = await openStore(configuration.store, {
    onRetry: ({ error, delay_ms }) =>
      options.onWarning?.(`${error.message}; trying again in ${Math.ceil(delay_ms / 1000)} s`),
  });
  return openRepositoryOn(store, configuration, options);
}

/** The same on a store of the caller's; closes it with the repository, or at once if opening does not succeed. */
export async function openRepositoryOn(
  store: ObjectStore,
  configuration: OpenedConfiguration,
  options: OpenOptions,
): Promise<Repository> {
  if (options.access === 'write') refuseIfLocked(configuration);
  await cryptoReady();
  try {
    return await openOn(store, configuration, options);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Every command that would write calls this first. */
export function refuseIfLocked({ commitLocked }: Pick<RepositoryConfiguration, 'commitLocked'>): void {
  if (!commitLocked) return;
  throw new RrbackupError({
    code: 'config.commit_locked',
    kind: 'commit_locked',
    message: 'commit_locked is set in the configuration, so nothing may be written to the repository',
    guidance: 'set commit_locked to False when writing is wanted again',
  });
}

async function openOn(
  store: ObjectStore,
  configuration: OpenedConfiguration,
  options: OpenOptions,
): Promise<Repository> {
  const state = new LocationState(configuration.stateDirectory, store.location);
  const memory = options.adopt === true ? undefined : state.recall();
  options.onProgress?.({ phase: 'connect', files_done: 0, bytes_done: 0 });

  let created = false;
  let descriptorBytes = await getIfThere(store, descriptorKey, options.signal);
  if (descriptorBytes === undefined) {
    await refuseWhereSomethingWas(store, memory, options);
    if (options.create !== 'if-new') {
      if (options.access !== 'dry-run') throw noRepository(store);
      options.note(`there is no repository at ${store.location} yet: the first backup makes it`);
      // What the backup would find: an empty one. It lives in memory and is gone when it is closed.
      const quiet = { ...options, create: 'if-new', note: () => undefined } as const;
      return await openOn(new MemoryStore(), { ...configuration, encryption: 'none' }, quiet);
    }
    // Before anything is made there: a repository that this machine cannot remember would be a surprise the next time.
    if (options.access !== 'dry-run') state.makeDirectory();
    descriptorBytes = await createRepository(store, configuration, options);
    created = true;
  }
  const descriptor = parseDescriptor(descriptorBytes);
  const repositoryId = descriptor.repository;
  checkIdentity(descriptor, memory, configuration, store);
  store.conditionalCreate = descriptor.conditionalCreate;

  const secret = await secretOf(store, descriptor, configuration, options.signal);
  const keys = deriveKeys(secret);
  verifyDescriptor(descriptor, keys);
  if (options.access !== 'dry-run' && memory === undefined) {
    if (options.adopt === true) state.forget();
    state.remember({ repositoryId, encryption: descriptor.encryption, pins: {} });
  }

  const scratch =
    options.access === 'dry-run' ? fs.mkdtempSync(path.join(os.tmpdir(), 'rrbackup-')) : undefined;
  const catalogPath = scratch
    ? path.join(scratch, 'catalog.mdb')
    : (configuration.catalogPath ?? path.join(configuration.cacheDirectory, repositoryId, 'catalog.mdb'));
  const opened = await openCatalog({ path: catalogPath, repositoryId });
  if (opened.state === 'rebuilt') {
    options.note(
      `the catalog ${catalogPath} could not be used (${opened.reason}); it is rebuilt from the repository`,
    );
  } else if (opened.state === 'created' && memory !== undefined && scratch === undefined) {
    options.note(`the catalog ${catalogPath} is not there; it is rebuilt from the repository`);
  }
  const repository = new Repository({
    context: { store, keys, repositoryId, zstd: await loadZstd() },
    secret,
    catalog: opened.catalog,
    state,
    created,
    scratch,
    encryption: descriptor.encryption,
    host: configuration.host,
    clock: options.clock ?? systemClock,
    ...(options.onWarning && { onWarning: (message) => options.onWarning?.(message) }),
    localBlocks: scratch === undefined ? await localBlocksOf(configuration, repositoryId) : { kind: 'none' },
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
    await repository.close();
    throw error;
  }
}

async function localBlocksOf(
  { store, cacheDirectory, cacheSize_bytes: maximum_bytes = defaultCacheSize_bytes }: OpenedConfiguration,
  repositoryId: string,
): Promise<LocalBlocksSettings> {
  if (store?.kind === 'directory') return { kind: 'directory', path: path.resolve(store.path) };
  const cache = path.join(cacheDirectory, repositoryId, 'blocks');
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

async function getIfThere(
  store: ObjectStore,
  key: string,
  signal?: AbortSignal,
): Promise<Buffer | undefined> {
  try {
    return await store.get(key, signal === undefined ? {} : { signal });
  } catch (error) {
    if (error instanceof RrbackupError && error.code === 'store.missing') return undefined;
    throw error;
  }
}

function noRepository(store: ObjectStore): RrbackupError {
  return new RrbackupError({
    code: 'repository.missing',
    kind: 'no_repository',
    message: `there is no repository at ${store.location}`,
    guidance:
      'check the configuration, or make one with rrbackup init (a first rrbackup backup does that too)',
  });
}

/** No descriptor: fine for a place that is really new, alarming everywhere else. */
async function refuseWhereSomethingWas(
  store: ObjectStore,
  memory: Memory | undefined,
  options: OpenOptions,
): Promise<void> {
  if (memory !== undefined) {
    throw new RrbackupError({
      code: 'repository.gone',
      kind: 'tampered',
      message:
        `this machine remembers repository ${memory.repositoryId} at ${store.location}, but it is not there any more: ` +
        'it was deleted or moved, a disk is not mounted, or this is another bucket under the same name',
      guidance:
        'bring it back (in a versioned bucket: remove the delete markers), or, if it is gone for good and a new one shall ' +
        'begin here, run rrbackup init --adopt',
    });
  }
  // Keys alone are what an interrupted creation leaves.
  for (const prefix of ['packs/', 'streams/']) {
    for await (const found of store.list(
      prefix,
      options.signal === undefined ? {} : { signal: options.signal },
    )) {
      throw new RrbackupError({
        code: 'repository.no_descriptor',
        kind: 'damaged',
        message: `${store.location} holds parts of a repository (${found.key}) but no rrbackup.json, which begins one`,
        guidance:
          'bring rrbackup.json back (in a versioned bucket: remove its delete marker), or choose another prefix',
      });
    }
  }
}

function checkIdentity(
  descriptor: Descriptor,
  memory: Memory | undefined,
  configuration: Pick<RepositoryConfiguration, 'encryption'>,
  store: ObjectStore,
): void {
  if (memory !== undefined && memory.repositoryId !== descriptor.repository) {
    throw new RrbackupError({
      code: 'repository.replaced',
      kind: 'tampered',
      message:
        `the repository at ${store.location} is ${descriptor.repository}, but this machine remembers ` +
        `${memory.repositoryId} there: somebody has put another one in its place`,
      guidance:
        'if you did that yourself, run rrbackup init --adopt to accept it; otherwise find out who did before going on',
    });
  }
  if (descriptor.encryption !== configuration.encryption) {
    const [written, wanted] =
      descriptor.encryption === 'none' ? ['not encrypted', 'a password'] : ['encrypted', 'encryption = none'];
    throw new RrbackupError({
      code: 'repository.encryption_differs',
      kind: 'usage',
      message: `the repository at ${store.location} is ${written}, but the configuration says ${wanted}`,
      guidance:
        descriptor.encryption === 'none'
          ? 'write encryption = none into [main] if that is what you want; otherwise this is not your repository'
          : 'remove encryption = none and give the password',
    });
  }
}

async function secretOf(
  store: ObjectStore,
  descriptor: Descriptor,
  configuration: Pick<RepositoryConfiguration, 'password'>,
  signal?: AbortSignal,
): Promise<Buffer> {
  if (descriptor.encryption === 'none') return publicSecret(descriptor.repository);
  const slots = await readSlots(store, signal === undefined ? {} : { signal });
  const password = slots.length === 0 ? '' : await configuration.password();
  return (await unlock({ slots, password, repositoryId: descriptor.repository })).secret;
}
