// Opening a repository: the descriptor, the password, this machine's memory of it, the catalog brought up to date and held
// against the pins. A repository is made where there is none and this machine remembers none; it is never made over one.

import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { type Catalog, openCatalog, removeCatalog } from '../catalog/index.js';
import { syncCatalog } from '../catalog/sync.js';
import { type Clock, systemClock } from '../clock.js';
import { type Zstd, loadZstd } from '../compression/index.js';
import {
  type RepositoryKeys,
  cryptoReady,
  deriveKeys,
  publicSecret,
  streamId,
  wipe,
} from '../crypto/index.js';
import { RrbackupError } from '../errors/index.js';
import {
  type Descriptor,
  addPassword,
  descriptorKey,
  parseDescriptor,
  readSlots,
  unlock,
  verifyDescriptor,
} from '../keys/index.js';
import { ChainReader } from '../manifest/chain.js';
import { PackReader } from '../pack/index.js';
import type { Run } from '../progress.js';
import { openStore } from '../store/open.js';
import type { ObjectStore, StoreConfiguration } from '../store/types.js';
import { checkPins, explainChainError } from './alarm.js';
import { createRepository } from './create.js';
import { LocationState, type Memory } from './state.js';
import type { PasswordSource } from './types.js';

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
}

export interface OpenOptions extends Run {
  /** 'write' is refused under commit_locked; 'dry-run' changes nothing anywhere, its catalog is temporary. */
  readonly access: 'read' | 'write' | 'dry-run';
  /** 'if-new': make the repository where there is none and none is remembered. Default 'never'. */
  readonly create?: 'never' | 'if-new';
  /** Bring the catalog up to date and check the pins; default true. */
  readonly sync?: boolean;
  /** Something that was done on the way and that the user should know. */
  note(message: string): void;
  readonly clock?: Clock;
}

export interface RepositoryContext {
  readonly store: ObjectStore;
  readonly keys: RepositoryKeys;
  readonly repositoryId: string;
  readonly zstd: Zstd;
}

export interface Repository {
  readonly id: string;
  readonly location: string;
  /** True if this call made it. */
  readonly created: boolean;
  readonly encryption: 'password' | 'none';
  readonly host: string;
  readonly store: ObjectStore;
  /** What every reader and writer of stored objects needs. */
  readonly context: RepositoryContext;
  readonly chain: ChainReader;
  readonly packs: PackReader;
  readonly catalog: Catalog;
  readonly catalogPath: string;
  /** Absolute paths of files and directories that are the program's own: never part of a backup. */
  readonly ownPaths: readonly string[];
  readonly state: LocationState;
  readonly clock: Clock;
  /** Of this host's source, or another host's. */
  streamId(source: string, host?: string): string;
  /** A further password that opens the repository; `name` says whose, for people. */
  addPassword(password: string, name: string): Promise<{ slot: string }>;
  /** Brings the catalog up to date with the store, checks and moves the pins. */
  sync(run?: Run): Promise<void>;
  /** Forgets the catalog and the pins and takes what the store shows now. */
  rebuildCatalog(run?: Run): Promise<void>;
  close(): Promise<void>;
}

/** Opens the repository, or explains in an RrbackupError what stands in the way. Close it when done. */
export async function openRepository(
  configuration: RepositoryConfiguration,
  options: OpenOptions,
): Promise<Repository> {
  if (options.access === 'write') refuseIfLocked(configuration);
  await cryptoReady();
  const store = openStore(configuration.store);
  try {
    return await openOn(store, configuration, options);
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Every command that would write calls this first. */
export function refuseIfLocked(configuration: RepositoryConfiguration): void {
  if (!configuration.commitLocked) return;
  throw new RrbackupError({
    code: 'config.commit_locked',
    kind: 'commit_locked',
    message: 'commit_locked is set in the configuration, so nothing may be written to the repository',
    guidance: 'set commit_locked to False when writing is wanted again',
  });
}

async function openOn(
  store: ObjectStore,
  configuration: RepositoryConfiguration,
  options: OpenOptions,
): Promise<Repository> {
  const state = new LocationState(configuration.stateDirectory, store.location);
  const memory = state.recall();
  options.onProgress?.({ phase: 'connect', files_done: 0, bytes_done: 0 });

  let created = false;
  let descriptorBytes = await getIfThere(store, descriptorKey, options.signal);
  if (descriptorBytes === undefined) {
    await refuseWhereSomethingWas(store, memory, options);
    if (options.create !== 'if-new') throw noRepository(store);
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
    state.remember({ repositoryId, encryption: descriptor.encryption, pins: {} });
  }

  const context = { store, keys, repositoryId, zstd: await loadZstd() };
  const chain = new ChainReader(context);
  const isDry = options.access === 'dry-run';
  const catalogPath = isDry
    ? path.join(fs.mkdtempSync(path.join(os.tmpdir(), 'rrbackup-')), 'catalog.mdb')
    : (configuration.catalogPath ?? path.join(configuration.cacheDirectory, repositoryId, 'catalog.mdb'));
  const opened = await openCatalog({ path: catalogPath, repositoryId });
  let { catalog } = opened;
  if (opened.state === 'rebuilt') {
    options.note(
      `the catalog ${catalogPath} could not be used (${opened.reason}); it is rebuilt from the repository`,
    );
  } else if (opened.state === 'created' && !created && !isDry && memory !== undefined) {
    options.note(`the catalog ${catalogPath} is not there; it is rebuilt from the repository`);
  }

  const repository: Repository = {
    id: repositoryId,
    location: store.location,
    created,
    encryption: descriptor.encryption,
    host: configuration.host,
    store,
    context,
    chain,
    packs: new PackReader(context),
    get catalog() {
      return catalog;
    },
    catalogPath,
    ownPaths: [
      ...(configuration.store.kind === 'directory' ? [configuration.store.path] : []),
      ...['', '-lock', '-seal'].map((suffix) => `${catalogPath}${suffix}`),
      configuration.stateDirectory,
      configuration.cacheDirectory,
    ],
    state,
    clock: options.clock ?? systemClock,
    streamId: (source, host = configuration.host) => streamId(keys, host, source),
    addPassword: (password, name) => {
      const created = new Date(Number(repository.clock.now_ns() / 1_000_000n)).toISOString();
      return addPassword(store, { secret, password, repositoryId, name, created });
    },
    sync: async (run = {}) => {
      // Streams that this machine knows of and the store does not show are asked for too: that they are gone must come out.
      const known = [...catalog.streams().map(({ id }) => id), ...Object.keys(state.recall()?.pins ?? {})];
      const call = run.signal === undefined ? {} : { signal: run.signal };
      const streams = new Set([...(await chain.streams(call)), ...known]);
      for (const stream of streams) {
        try {
          await syncCatalog({ catalog, chain, streams: [stream], run });
        } catch (error) {
          throw explainChainError(error, catalog, stream);
        }
      }
      checkPins(catalog, state);
      if (!isDry)
        for (const { id, head, headHash } of catalog.streams())
          state.pin(id, { sequence: head, hash: headHash });
    },
    rebuildCatalog: async (run = {}) => {
      await catalog.close();
      removeCatalog(catalogPath);
      ({ catalog } = await openCatalog({ path: catalogPath, repositoryId }));
      state.forgetPins();
      await repository.sync(run);
    },
    close: async () => {
      wipe(secret);
      await catalog.close();
      await store.close();
      if (isDry) fs.rmSync(path.dirname(catalogPath), { recursive: true, force: true });
    },
  };
  try {
    if (options.sync !== false) await repository.sync(options);
    return repository;
  } catch (error) {
    await repository.close();
    throw error;
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
  configuration: RepositoryConfiguration,
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
  configuration: RepositoryConfiguration,
  signal?: AbortSignal,
): Promise<Buffer> {
  if (descriptor.encryption === 'none') return publicSecret(descriptor.repository);
  const slots = await readSlots(store, signal === undefined ? {} : { signal });
  const password = slots.length === 0 ? '' : await configuration.password();
  return (await unlock({ slots, password, repositoryId: descriptor.repository })).secret;
}
