// The repository as the capabilities see it: opened, unlocked, with a catalog that is up to date.

export { initRepository } from './init.js';
export type { InitOptions } from './init.js';
export { openRepository, openRepositoryOn, refuseIfLocked } from './open.js';
export type { OpenOptions, RepositoryConfiguration } from './open.js';
export { Repository } from './repository.js';
export type { RepositoryContext } from './repository.js';
