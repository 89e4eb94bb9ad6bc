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

/** A repository is no source; one that lies in a source is left out of its backups, and that is fine. */
export function refuseSourceInRepository(
  file: string,
  store: StoreConfiguration,
  sources: readonly SourceConfiguration[],
): void {
  if (store.kind !== 'directory') return;
  const inRepository = sources.find(({ path }) => path === store.path || path.startsWith(`${store.path}/`));
  if (inRepository === undefined) return;
  throw new RrbackupError({
    code: 'config.source_in_repository',
    kind: 'usage',
    message: `${file}: ${inRepository.path}, which is to be backed up, lies in the repository ${store.path}`,
    guidance: 'give the repository a directory of its own',
  });
}
