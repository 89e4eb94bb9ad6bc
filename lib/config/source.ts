// What to back up: the sources of a configuration and their names. A name is part of the stream's identity, so the rule that
// makes one from a path may never change.

import { basename } from 'node:path';
import { RrbackupError } from '../errors/index.js';
import type { SourceConfiguration, StoreConfiguration } from '../repository/types.js';
import type { Section } from './section.js';

export const sourceKeys = ['exclude', 'exclude_file', 'one_file_system', 'exclude_caches'] as const;

// The mount shows other hosts under this name, beside the sources.
const reserved = 'hosts';

/**
 * A directory name from a path's last component: 'root' for '/', control characters and format marks become '_', leading
 * dots go (a name that begins with one would be hidden in the mount), 'hosts' becomes 'hosts_'.
 */
export function sourceNameFromPath(path: string): string {
  const name = basename(path)
    .replace(/[\p{Cc}\p{Cf}]/gu, '_')
    .replace(/^\.+/, '')
    .trim();
  if (name === '') return path === '/' ? 'root' : 'source';
  return name === reserved ? 'hosts_' : name;
}

/** Why a name that somebody wrote cannot be a directory name in the mount; undefined if it can. */
export function nameProblem(name: string): string | undefined {
  if (name === reserved) return `'${reserved}' is what the mount calls the directory of all hosts`;
  if (name.startsWith('.')) return 'it begins with a dot';
  if (/[/\p{Cc}\p{Cf}]/u.test(name)) return "it contains '/' or a control character";
  if (Buffer.byteLength(name) > 255) return 'it is longer than 255 bytes';
  return undefined;
}

/** A source from the keys of a section. */
export function readSource(section: Section, name: string, path: string): SourceConfiguration {
  return {
    name,
    path,
    exclude: section.lines('exclude'),
    excludeFiles: section.paths('exclude_file'),
    oneFileSystem: section.boolean('one_file_system') ?? false,
    excludeCaches: section.boolean('exclude_caches') ?? false,
  };
}

/** A repository inside of what is backed up would grow by itself with every backup; with rules to leave things out it may be right. */
export function refuseRepositoryInSource(
  file: string,
  store: StoreConfiguration,
  sources: readonly SourceConfiguration[],
): void {
  if (store.kind !== 'directory') return;
  for (const source of sources) {
    const hasRules = source.exclude.length > 0 || source.excludeFiles.length > 0 || source.oneFileSystem;
    const isInside =
      store.path === source.path || store.path.startsWith(source.path === '/' ? '/' : `${source.path}/`);
    if (!isInside || hasRules) continue;
    throw new RrbackupError({
      code: 'config.repository_in_source',
      kind: 'usage',
      message: `${file}: the repository ${store.path} lies in ${source.path}, which is to be backed up`,
      guidance: "move the repository, or leave it out with an 'exclude' rule",
    });
  }
}
