// What a backup would do, without doing it: the comparison alone, no file read, nothing written anywhere.

import { comparePaths } from '../bytes/path.js';
import type { Repository } from '../repository/index.js';
import type { SourceConfiguration } from '../repository/types.js';
import type { Run } from '../progress.js';
import type { Unreadable } from './messages.js';
import { checkSource } from './source.js';
import { type ChangeToStore, Walk } from './walk.js';

export interface PreviewResult {
  readonly source: string;
  readonly counts: Walk['counts'];
  /** Content of files: to be read, and gone. How much of it is new to the repository only reading tells. */
  readonly bytes: Walk['bytes'];
  readonly unreadable: readonly Unreadable[];
}

/** Open the repository with access 'dry-run'. `onChange` is called for every change in path order. */
export async function previewBackup(
  repository: Repository,
  source: SourceConfiguration,
  options: Run & { readonly allowEmpty?: boolean; onChange?(change: ChangeToStore): Promise<void> } = {},
): Promise<PreviewResult> {
  checkSource(source, options);
  const stream = repository.streamId(source.name);
  const { catalog, ownPaths: skip } = repository;
  const previous = catalog.stream(stream)?.head ?? 0;
  const walk = new Walk({ catalog, source, stream, previous, skip, run: options });
  let before: Uint8Array | undefined;
  for await (const change of walk.changes()) {
    if (before !== undefined && comparePaths(before, change.path) >= 0)
      throw new RangeError('changes out of order');
    before = change.path;
    await options.onChange?.(change);
    if (change.kind !== 'removed') walk.advance(1, change.entry.size_bytes, change.path);
  }
  return { source: source.name, counts: walk.counts, bytes: walk.bytes, unreadable: walk.unreadable };
}
