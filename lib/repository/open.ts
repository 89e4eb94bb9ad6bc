// Opening a repository: which one it is and its keys (identify.ts), then this machine's catalog of it, brought up to date and
// held against the pins (assemble.ts). Here: what is asked for, and that both halves run beside each other.

import { type Clock, systemClock } from '../clock.js';
import { RrbackupError } from '../errors/index.js';
import type { Unlocker } from '../keys/index.js';
import type { Run } from '../progress.js';
import { AheadStore } from '../store/ahead.js';
import { openStore, storeLocation } from '../store/open.js';
import type { ObjectStore, StoreConfiguration } from '../store/types.js';
import { identify } from './identify.js';
import type { Repository } from './repository.js';
import { LocationState } from './state.js';
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
  /**
   * Of this host's sources of these names, where they have a history, that history is all that is brought up to date: what a
   * backup of them needs. The others are looked at by the next command that shows them, or a backup that stores much.
   */
  readonly sources?: readonly string[] | undefined;
  /** The newest version is enough to begin with: the caller calls `completePast` as soon as it has something to show for. */
  readonly newestFirst?: boolean;
  /** Something that was done on the way and that the user should know. */
  note(message: string): void;
  readonly clock?: Clock;
  /** One that was made ahead; it is closed. */
  readonly unlocker?: Unlocker | undefined;
}

const betweenRetryWarnings_ms = 10_000;

/** Of a store that is open already. */
export type OpenedConfiguration = Omit<RepositoryConfiguration, 'store'> &
  Partial<Pick<RepositoryConfiguration, 'store'>>;

/** Opens the repository, or explains in an RrbackupError what stands in the way. Close it when done. */
export async function openRepository(
  configuration: RepositoryConfiguration,
  options: OpenOptions,
): Promise<Repository> {
  const clock = options.clock ?? systemClock;
  let told_ms = -Infinity;
  const open = () =>
    openStore(configuration.store, {
      onRetry: ({ error, delay_ms }) => {
        // While a line is dead every call under way tries again and again.
        if (clock.monotonic_ms() - told_ms < betweenRetryWarnings_ms) return;
        told_ms = clock.monotonic_ms();
        options.onWarning?.(`${error.message}; trying again in ${Math.ceil(delay_ms / 1000)} s`);
      },
    });
  return openAt(storeLocation(configuration.store), open, configuration, options);
}

/** The same on a store of the caller's; closes it with the repository, or at once if opening does not succeed. */
export async function openRepositoryOn(
  store: ObjectStore,
  configuration: OpenedConfiguration,
  options: OpenOptions,
): Promise<Repository> {
  return openAt(store.location, () => Promise.resolve(store), configuration, options);
}

async function openAt(
  location: string,
  open: () => Promise<ObjectStore>,
  configuration: OpenedConfiguration,
  options: OpenOptions,
): Promise<Repository> {
  let opened: Promise<AheadStore> | undefined;
  const openStore = () => (opened ??= open().then((store) => new AheadStore(store)));
  try {
    if (options.access === 'write') refuseIfLocked(configuration);
    const state = new LocationState(configuration.stateDirectory, location, options.onWarning);
    const memory = options.adopt === true ? undefined : state.recall();
    options.onProgress?.({ phase: 'connect', files_done: 0, bytes_done: 0 });
    const identifying = identify({ configuration, options, state, memory, openStore });
    const [identified, { assemble }] = await Promise.all([identifying, import('./assemble.js')]);
    const store = await openStore();
    if (identified === undefined) return await emptyRepository(store, configuration, options);
    const repository = await assemble({ store, identified, configuration, options, state, memory });
    store.forget();
    return repository;
  } catch (error) {
    await opened?.then(
      (store) => store.close(),
      () => undefined,
    );
    throw error;
  }
}

/** For a dry run: what the backup would find. It lives in memory and is gone when it is closed. */
async function emptyRepository(
  store: ObjectStore,
  configuration: OpenedConfiguration,
  options: OpenOptions,
): Promise<Repository> {
  options.note(`there is no repository at ${store.location} yet: the first backup makes it`);
  await store.close();
  const { MemoryStore } = await import('../store/memory.js');
  const quiet = { ...options, create: 'if-new', note: () => undefined } as const;
  return openRepositoryOn(new MemoryStore(), { ...configuration, encryption: 'none' }, quiet);
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
