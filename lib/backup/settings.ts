// What a run compares: the source as it is configured, and the version before it.

import type { CatalogReader } from '../catalog/types.js';
import type { HeldRoot } from '../posix/directory.js';
import { listMounts, mountType } from '../posix/mount.js';
import type { GoneBlocks } from '../repository/damage.js';
import type { SourceConfiguration } from '../repository/types.js';
import { excludeRules } from './exclude.js';
import type { SourceSettings } from './messages.js';

export function sourceSettings(of: {
  readonly source: SourceConfiguration;
  /** Its directory. */
  readonly root: HeldRoot;
  readonly catalog: CatalogReader;
  readonly stream: string;
  readonly previous: number;
  /** Absolute paths that are the program's own. */
  readonly ownPaths: readonly string[];
  readonly gone: GoneBlocks;
}): SourceSettings {
  const { source, root, catalog, stream, previous, ownPaths, gone } = of;
  const header = previous === 0 ? undefined : catalog.version(stream, previous)?.header;
  return {
    root: root.path,
    rootDescriptor: root.descriptor,
    excludeRules: excludeRules(source),
    oneFileSystem: source.oneFileSystem,
    excludeCaches: source.excludeCaches,
    // A mount of ours inside a source would bring every version ever made into the next one.
    skip: [...ownPaths.map((path) => Buffer.from(path)), ...ownMounts()],
    stream,
    previous,
    previousStarted_ns: header?.started_ns,
    gone,
  };
}

function ownMounts(): Buffer[] {
  const ours = listMounts().filter(({ type }) => type === mountType);
  return ours.map(({ mountpoint }) => Buffer.from(mountpoint, 'latin1'));
}
