// From the settings of a run, which are plain data, to what a comparison needs, in whatever thread it runs.

import type { CatalogReader } from '../catalog/types.js';
import type { Entry } from '../manifest/types.js';
import { type GoneBlocks, hasSoundChunk } from '../repository/damage.js';
import type { CompareOptions } from './compare.js';
import { makeExcludes } from './exclude.js';
import type { SourceSettings } from './messages.js';
import { Skipped } from './skipped.js';

export function compareOptions(
  source: SourceSettings,
  catalog: Pick<CatalogReader, 'root' | 'cursor' | 'chunk' | 'hasChunk'>,
): CompareOptions {
  const { previousStarted_ns, gone } = source;
  return {
    root: { path: Buffer.from(source.root), descriptor: source.rootDescriptor },
    excludes: makeExcludes(source.excludeRules),
    oneFileSystem: source.oneFileSystem,
    excludeCaches: source.excludeCaches,
    skipped: new Skipped(source.skip),
    catalog,
    stream: source.stream,
    previous: source.previous,
    ...(previousStarted_ns === undefined ? {} : { previousStarted_ns }),
    ...(gone.size === 0 ? {} : { isWhole: (entry: Entry) => isWhole(entry, catalog, gone) }),
  };
}

/** Whether all that a file holds can be had. */
const isWhole = (
  { content }: Entry,
  catalog: Pick<CatalogReader, 'chunk' | 'hasChunk'>,
  gone: GoneBlocks,
): boolean => content.every((segment) => segment.kind === 'hole' || hasSoundChunk(catalog, gone, segment.id));
