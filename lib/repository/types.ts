// What a repository is opened with and what it answers. Configuration files become this in lib/config; a program that uses
// the library fills it in itself.

export type { StoreConfiguration } from '../store/types.js';

/** Asked only when a password is needed. 'create': for a new repository, so a prompt asks twice. Default 'open'. */
export type PasswordSource = (purpose?: 'open' | 'create') => Promise<string>;

/** Of the disk cache of one repository. */
export const defaultCacheSize_bytes = 1024 ** 3;

export interface SourceConfiguration {
  /** Names the stream together with the host, and the directory in the mount. Safe as a file name. */
  readonly name: string;
  /** Absolute. */
  readonly path: string;
  /** Lines with gitignore rules, relative to `path`. */
  readonly exclude: readonly string[];
  /** Files with such lines, absolute paths. */
  readonly excludeFiles: readonly string[];
  readonly oneFileSystem: boolean;
  /** Leave out the contents of directories that hold a valid CACHEDIR.TAG (the directory and its tag are kept). */
  readonly excludeCaches: boolean;
}
