// `rrbackup init`: make the repository, or accept anew what stands at its place.

import { type OpenOptions, type RepositoryConfiguration, openRepository } from './open.js';

export interface InitOptions extends Omit<OpenOptions, 'access' | 'create' | 'sync' | 'adopt'> {
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
  const { adopt = false } = options;
  const repository = await openRepository(configuration, {
    ...options,
    access: 'write',
    create: 'if-new',
    sync: !adopt,
  });
  try {
    if (adopt) await repository.adopt(options);
    return { repositoryId: repository.id, location: repository.location, created: repository.created };
  } finally {
    await repository.close();
  }
}
