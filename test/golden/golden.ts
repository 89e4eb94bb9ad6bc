// What the builder and the test of golden repositories share.

import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RepositoryConfiguration } from '../../lib/index.js';

/** In the source tree: the compiled test lies in dist/test/golden. */
export const goldenDirectory = fileURLToPath(new URL('../../../test/golden', import.meta.url));

export interface GoldenExpectation {
  /** One line per entry, as test/trees.ts describes a tree. */
  readonly versions: { readonly sequence: number; readonly tree: string[] }[];
}

export function goldenConfiguration(of: {
  readonly repository: string;
  readonly work: string;
  readonly encryption: 'password' | 'none';
}): RepositoryConfiguration {
  return {
    store: { kind: 'directory', path: of.repository },
    encryption: of.encryption,
    password: () => Promise.resolve('golden password'),
    commitLocked: false,
    host: 'golden.example',
    catalogPath: undefined,
    stateDirectory: path.join(of.work, 'state'),
    cacheDirectory: path.join(of.work, 'cache'),
  };
}
