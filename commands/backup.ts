import { Command, Option } from 'clipanion';
import { printable } from '../lib/bytes/path.js';
import { nearest } from '../lib/config/nearest.js';
import type { Configuration } from '../lib/config/types.js';
import { RrbackupError, exitStatus } from '../lib/errors/index.js';
import type { BackupOptions, BackupResult, PreviewResult, Repository } from '../lib/index.js';
import type { SourceConfiguration } from '../lib/repository/types.js';
import { BaseCommand } from './base.js';
import { bytesToJson } from './presentation/json.js';
import type { Report } from './presentation/report.js';
import { counted, formatBytes, formatCount, formatDuration, formatIsoTime } from './presentation/units.js';

interface Outcome {
  readonly status: number;
  readonly json: Record<string, unknown>;
}

export class BackupCommand extends BaseCommand {
  static override paths = [['backup'], Command.Default];
  static override usage = Command.Usage({
    category: 'Back up',
    description: 'Make a new version of every source; what `rrbackup` alone does',
    details: `
      Makes the repository too, where there is none and this machine remembers none. A version exists whole or not at all: an
      interrupted run leaves nothing behind but uploads that the next one uses. Where nothing has changed no version is made.

      Exit status 3: the version was made, but some files could not be read, or changed while they were read.
    `,
    examples: [
      ['Back up everything configured', '$0 backup'],
      ['See what would be done', '$0 backup --dry-run'],
      ['One of several sources', '$0 backup --source photos'],
    ],
  });

  dryRun = Option.Boolean('-n,--dry-run', false, {
    description: 'Only say what would be done; with -v for each entry',
  });
  allowEmpty = Option.Boolean('--allow-empty', false, {
    description: 'Back up a source that is an empty directory',
  });
  allowSymlink = Option.Boolean('--allow-symlink', false, {
    description:
      "Follow a symlink that a source is reached through: another user's, or one that has taken the place of a directory",
  });
  compression = Option.String('--compression', 'auto', {
    description:
      'How hard to compress what is new: auto, off, max, or a level of zstd, 1 (fast) to 19 (small)',
  });
  sources = Option.Array('--source', [], { description: 'Only this source; may be given several times' });

  protected override async perform(report: Report): Promise<number> {
    const compressionLevel = toLevel(this.compression);
    const opening = (configuration: Configuration) => ({
      ...(this.dryRun
        ? { access: 'dry-run' as const }
        : { access: 'write' as const, create: 'if-new' as const }),
      sources: this.#chosen(configuration).map(({ name }) => name),
    });
    return this.withRepository(report, opening, async ({ repository, configuration, run }) => {
      const outcomes: Outcome[] = [];
      for (const source of this.#chosen(configuration)) {
        try {
          outcomes.push(await this.#one(repository, source, { ...run, ...compressionLevel }, report));
        } catch (error) {
          // The other sources can do nothing for it; a store that fails or Ctrl-C concerns them all.
          if (!(error instanceof RrbackupError) || !['failure', 'busy'].includes(error.kind)) throw error;
          const { code, message } = error;
          outcomes.push({
            status: report.error(error),
            json: { source: source.name, error: { code, message } },
          });
        }
      }
      await report.json({
        repository: repository.id,
        created: repository.created,
        dry_run: this.dryRun,
        sources: outcomes.map(({ json }) => json),
      });
      const statuses = outcomes.map(({ status }) => status);
      return (
        statuses.find((status) => status !== 0 && status !== exitStatus.incomplete) ?? Math.max(...statuses)
      );
    });
  }

  protected override async preload(): Promise<void> {
    await import('../lib/backup/index.js');
  }

  #chosen({ sources, file }: Configuration): readonly SourceConfiguration[] {
    const names = sources.map(({ name }) => name);
    if (names.length === 0)
      throw usage(
        `${file} does not say what to back up`,
        "add 'base_path = PATH' to [main], or a section [source NAME] with 'path = …'",
      );
    for (const name of this.sources)
      if (!names.includes(name))
        throw usage(
          `there is no source '${name}' in ${file}`,
          `the nearest one is '${nearest(name, names)}'`,
        );
    return this.sources.length === 0 ? sources : sources.filter(({ name }) => this.sources.includes(name));
  }

  async #one(
    repository: Repository,
    source: SourceConfiguration,
    run: BackupOptions,
    report: Report,
  ): Promise<Outcome> {
    const options = { ...run, allowEmpty: this.allowEmpty, allowSymlink: this.allowSymlink };
    const { backup, previewBackup } = await import('../lib/backup/index.js');
    const result = this.dryRun
      ? await previewBackup(repository, source, {
          ...options,
          onChange: async ({ kind, path }) => {
            if (this.verbose) await report.line(`${kind.padEnd(8)}  ${printable(path) || '.'}`);
          },
        })
      : await backup(repository, source, options);
    const { unreadableCount } = result;
    warnOfUnreadable(source.name, result, report);
    let isComplete = unreadableCount === 0;
    if ('counts' in result) await report.summary(previewSentence(result));
    else {
      warnOfUnstable(source.name, result, report);
      isComplete &&= result.unstableCount === 0;
      await report.summary(backupSentence(result));
    }
    return {
      status: isComplete ? 0 : exitStatus.incomplete,
      json: {
        ...('counts' in result ? previewToJson(result) : backupToJson(result)),
        unreadable: result.unreadable.map(({ path, reason }) => ({ ...bytesToJson('path', path), reason })),
        unreadable_count: unreadableCount,
      },
    };
  }
}

const maximumLevel = 19;

function toLevel(given: string): { compressionLevel?: number | null } {
  if (given === 'auto') return {};
  if (given === 'off') return { compressionLevel: null };
  const level = given === 'max' ? maximumLevel : Number(given);
  if (Number.isInteger(level) && level >= 1 && level <= maximumLevel) return { compressionLevel: level };
  throw usage(
    `'${given}' is no way of compressing`,
    `give --compression auto, off, max, or a level from 1 to ${maximumLevel}`,
  );
}

function usage(message: string, guidance: string): RrbackupError {
  return new RrbackupError({ code: 'usage', kind: 'usage', message, guidance });
}

function warnOfUnreadable(source: string, of: PreviewResult | BackupResult, report: Report): void {
  for (const { path, reason } of of.unreadable)
    report.warn(`cannot read ${printable(path) || '.'} of ${source}: ${reason}`);
  const more = of.unreadableCount - of.unreadable.length;
  if (more > 0) report.warn(`cannot read ${counted(more, 'more entry', 'more entries')} of ${source}`);
}

function warnOfUnstable(source: string, { unstable, unstableCount }: BackupResult, report: Report): void {
  for (const path of unstable)
    report.warn(
      `${printable(path)} of ${source} changed while it was read: what is stored may mix two states of it`,
    );
  const more = unstableCount - unstable.length;
  if (more > 0) report.warn(`${counted(more, 'more file')} of ${source} changed while they were read`);
}

function unstableClause({ unstableCount }: BackupResult): string {
  return unstableCount === 0 ? '' : `; ${counted(unstableCount, 'file')} CHANGED WHILE BEING READ`;
}

function unreadableClause({ unreadableCount }: PreviewResult | BackupResult): string {
  return unreadableCount === 0 ? '' : `; ${counted(unreadableCount, 'entry', 'entries')} COULD NOT BE READ`;
}

function previewSentence(result: PreviewResult): string {
  const { source, counts, bytes } = result;
  const { added, changed, metadata, removed } = counts;
  if (added + changed + metadata + removed === 0)
    return `${source}: nothing has changed, no version would be made${unreadableClause(result)}`;
  return [
    `${source}: would add ${counted(added, 'entry', 'entries')} (${formatBytes(bytes.added)})`,
    `change ${formatCount(changed)} (${formatBytes(bytes.changed)})`,
    `change only the metadata of ${formatCount(metadata)}`,
    `remove ${formatCount(removed)} (${formatBytes(bytes.removed)})${unreadableClause(result)}`,
  ].join(', ');
}

function backupSentence(result: BackupResult): string {
  const { source, version, newest, added, changed, metadata, removed, tree, newBytes, uploadedBytes } =
    result;
  const took = formatDuration(result.elapsed_ms);
  const incomplete = `${unreadableClause(result)}${unstableClause(result)}`;
  if (version === undefined)
    return newest === 0
      ? `${source}: nothing to back up${incomplete}`
      : `${source}: nothing has changed since version ${newest} (${counted(tree.files, 'file')}, ${formatBytes(tree.bytes)}); ${took}${incomplete}`;
  return [
    `${source}: version ${version}: ${counted(tree.files, 'file')}, ${formatBytes(tree.bytes)}`,
    `${formatCount(added)} added, ${formatCount(changed)} changed, ${formatCount(metadata)} metadata only, ${formatCount(removed)} removed`,
    `${formatBytes(newBytes)} new, ${formatBytes(uploadedBytes)} uploaded; ${took}${incomplete}`,
  ].join('; ');
}

function previewToJson({ source, counts, bytes }: PreviewResult): Record<string, unknown> {
  return {
    source,
    ...counts,
    added_bytes: bytes.added,
    changed_bytes: bytes.changed,
    removed_bytes: bytes.removed,
  };
}

function backupToJson(result: BackupResult): Record<string, unknown> {
  const { source, version, started_ns, newest, added, changed, metadata, removed, tree } = result;
  return {
    source,
    version: version ?? null,
    newest,
    ...(started_ns === undefined ? {} : { started: formatIsoTime(started_ns) }),
    added,
    changed,
    metadata,
    removed,
    files: tree.files,
    directories: tree.directories,
    others: tree.others,
    size_bytes: tree.bytes,
    new_bytes: result.newBytes,
    uploaded_bytes: result.uploadedBytes,
    unstable: result.unstable.map((path) => bytesToJson('path', path)),
    unstable_count: result.unstableCount,
    elapsed_ms: Math.round(result.elapsed_ms),
  };
}
