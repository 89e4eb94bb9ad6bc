// The public library: everything that the command does, for programs. Takes plain configuration, an AbortSignal and progress
// callbacks; throws RrbackupError; never prints and never exits.
//
//   const repository = await openRepository(configuration, { access: 'read', note: () => undefined });
//   for (const stream of repository.catalog.streams()) console.log(stream.host, stream.source, stream.head);
//   await repository.close();

import type * as BackupRoom from './backup/index.js';
import type * as FoundationRoom from './check/foundation.js';
import type * as CheckRoom from './check/check.js';
import type * as RepairRoom from './check/repair.js';
import type * as RecoverRoom from './check/recover.js';
import { CachedContent } from './mount/cache/content.js';
import { type MountDriver, type Mounted, mountRepository } from './mount/index.js';
import type { Owner } from './mount/tree/attributes.js';
import type { TreeOptions } from './mount/tree/options.js';
import type { ContentSource } from './mount/types.js';
import { BlockDecoder } from './pack/index.js';
import type { Run } from './progress.js';
import type { Repository } from './repository/index.js';
import type { RestoreOptions, RestoreResult } from './restore/index.js';

export type { BackupOptions, BackupResult, PreviewResult } from './backup/index.js';
export type { CheckedStream, CheckOptions, CheckResult, Unneeded } from './check/check.js';
export type { VersionRange } from './catalog/version-ranges.js';
export type { Finding, FindingCode, HurtFile } from './check/findings.js';
export type { RepairedStream, RepairOptions, RepairResult } from './check/repair.js';
export type { RecoverResult, RecoveredStream } from './check/recover.js';
export { RrbackupError, exitStatus } from './errors/index.js';
export { listPasswords, parseExportedKey, removePassword } from './keys/index.js';
export type { RepositoryKey } from './keys/index.js';
export { initRepository, openRepository, openRepositoryOn } from './repository/index.js';
export type { InitOptions, OpenOptions, Repository, RepositoryConfiguration } from './repository/index.js';
export { unmountAt as unmount } from './mount/index.js';
export type { RestoreOptions, RestoreResult };
export type { ContentSource, MountDriver, Mounted, TreeOptions };

// Each room is loaded when it is first called: a mount has to be up before a backup would even be loaded.

/** Puts the present state of a source into the repository as a new version; see lib/backup. */
export const backup: typeof BackupRoom.backup = async (...given) =>
  (await import('./backup/index.js')).backup(...given);

/** What a backup would do; see lib/backup. */
export const previewBackup: typeof BackupRoom.previewBackup = async (...given) =>
  (await import('./backup/index.js')).previewBackup(...given);

/** Opens a repository of which any part may be lost, `rrbackup.json` and passwords included, for `recover`; see lib/check. */
export const openForRecovery: typeof FoundationRoom.openForRecovery = async (...given) =>
  (await import('./check/foundation.js')).openForRecovery(...given);

/** The same on a store of the caller's. */
export const openForRecoveryOn: typeof FoundationRoom.openForRecoveryOn = async (...given) =>
  (await import('./check/foundation.js')).openForRecoveryOn(...given);

/** Whether everything that the versions need is stored, and what is hurt where it is not; see lib/check. */
export const check: typeof CheckRoom.check = async (...given) =>
  (await import('./check/check.js')).check(...given);

/** Makes damaged versions readable again as far as what is stored can; see lib/check. */
export const repair: typeof RepairRoom.repair = async (...given) =>
  (await import('./check/repair.js')).repair(...given);

/** Rebuilds lost log entries from the packs; see lib/check. */
export const recover: typeof RecoverRoom.recover = async (...given) =>
  (await import('./check/recover.js')).recover(...given);

/** Puts a version, or a part of it, into a directory; see lib/restore. */
export async function restore(
  repository: Repository,
  options: Omit<RestoreOptions, 'repository'>,
): Promise<RestoreResult> {
  return (await import('./restore/index.js')).restore({ ...options, repository });
}

/** How often a mount looks for new versions in the store. */
const poll_ms = 60_000;

/** Reads ranges of files out of the repository: what `cat` and the mount use. */
export function openContent(
  repository: Repository,
  options: { readonly cache_bytes?: number | undefined; readonly readsAhead?: boolean | undefined } = {},
): ContentSource {
  const { catalog, packs: reader, context, localBlocks: local } = repository;
  return new CachedContent({
    catalog,
    reader,
    decoder: new BlockDecoder(context),
    local,
    keys: context.keys,
    cache_bytes: options.cache_bytes,
    readsAhead: options.readsAhead,
  });
}

export interface MountRepositoryOptions extends Run {
  /** Absolute path of an empty directory. */
  readonly mountpoint: string;
  readonly driver?: MountDriver;
  readonly allowOther?: boolean;
  /** With `allowOther`: show other machines' files, too, though the numbers of users may mean other people there. */
  readonly allHosts?: boolean;
  /** Nothing in it can be run as a program. */
  readonly noExec?: boolean | undefined;
  /** What df and findmnt show as its source; 'rrbackup' if not given. */
  readonly fsname?: string | undefined;
  /** Memory for plain blocks, shared by the threads of the mount; 32 MiB if not given. */
  readonly cache_bytes?: number | undefined;
  /** What the log should say though nothing is wrong: that all versions are there, where they were not at first. */
  onNote?(message: string): void;
  /** What the mount shows; the repository's own host if none is named. */
  readonly tree?: Partial<Omit<TreeOptions, 'owner'>>;
}

/** Shows every version of the repository as directories until it is unmounted. Keep the repository open until then. */
export function mount(repository: Repository, options: MountRepositoryOptions): Promise<Mounted> {
  const { catalog, id: repositoryId, host, ownPaths: forbidden } = repository;
  const warn = (message: string) => options.onWarning?.(message);
  const note = (message: string) => options.onNote?.(message);
  const driver = options.driver ?? 'kernel';
  // The kernel driver has a thread of its own for what will be read next.
  const readsAhead = driver === 'fuse-native';
  return mountRepository({
    catalog,
    catalogPath: catalog.path,
    repositoryId,
    content: openContent(repository, { cache_bytes: options.cache_bytes, readsAhead }),
    mountpoint: options.mountpoint,
    tree: { ...options.tree, host: options.tree?.host ?? host, owner: processOwner() },
    driver,
    allowOther: options.allowOther ?? false,
    allHosts: options.allHosts,
    noExec: options.noExec,
    fsname: options.fsname,
    forbidden,
    onWarning: warn,
    onPoll: () => repository.sync({ newestFirst: true, onWarning: warn }),
    completePast: async (signal) => {
      if (repository.hasPast) return false;
      note(
        'the newest version is served; the older ones are being read from the repository and show when all of them are there',
      );
      await repository.completePast({ signal, onWarning: warn });
      return repository.hasPast;
    },
    onNote: note,
    poll_ms,
  });
}

function processOwner(): Owner {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}
