// The repository as the capabilities see it: opened, unlocked, with a catalog that is up to date.

export { initRepository } from './init.js';
export type { InitOptions } from './init.js';
export { openRepository, refuseIfLocked } from './open.js';
export type { OpenOptions, Repository, RepositoryConfiguration, RepositoryContext } from './open.js';
