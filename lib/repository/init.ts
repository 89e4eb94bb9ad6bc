// `rrbackup init`: make the repository, or accept anew what stands at its place.

import { LocationState } from './state.js';
import { type OpenOptions, type RepositoryConfiguration, openRepository } from './open.js';
import { openStore } from '../store/open.js';

export interface InitOptions extends Omit<OpenOptions, 'access' | 'create' | 'sync'> {
  /**
   * Forget what this machine remembers of the place (repository, pins, catalog) and take what is there now, or make a new
   * repository where nothing is. The way out after a store was replaced, restored from a copy or recovered elsewhere.
   */
  readonly adopt?: boolean;
}

/** Makes the repository where there is none; one that is there already is opened and left as it is. */
export async function initRepository(
  configuration: RepositoryConfiguration,
  options: InitOptions,
): Promise<{ repositoryId: string; location: string; created: boolean }> {
  const { adopt = false, ...rest } = options;
  if (adopt) {
    const store = await openStore(configuration.store);
    new LocationState(configuration.stateDirectory, store.location).forget();
    await store.close();
  }
  const repository = await openRepository(configuration, {
    ...rest,
    access: 'write',
    create: 'if-new',
    sync: !adopt,
  });
  try {
    if (adopt) {
      await repository.adopt(rest);
    }
    return { repositoryId: repository.id, location: repository.location, created: repository.created };
  } finally {
    await repository.close();
  }
}
