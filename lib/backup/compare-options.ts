// From the settings of a run, which are plain data, to what a comparison needs, in whatever thread it runs.

import type { CatalogReader } from '../catalog/types.js';
import type { CompareOptions } from './compare.js';
import { makeExcludes } from './exclude.js';
import type { SourceSettings } from './messages.js';
import { Skipped } from './skipped.js';

export function compareOptions(
  source: SourceSettings,
  catalog: Pick<CatalogReader, 'root' | 'cursor'>,
): CompareOptions {
  const { previousStarted_ns } = source;
  return {
    root: Buffer.from(source.root),
    excludes: makeExcludes(source.excludeRules),
    oneFileSystem: source.oneFileSystem,
    excludeCaches: source.excludeCaches,
    skipped: new Skipped(source.skip),
    catalog,
    stream: source.stream,
    previous: source.previous,
    ...(previousStarted_ns === undefined ? {} : { previousStarted_ns }),
  };
}
