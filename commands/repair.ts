import { Command, Option } from 'clipanion';
import { versionsText } from '../lib/catalog/version-ranges.js';
import { exitStatus } from '../lib/errors/index.js';
import { repair, type RepairResult } from '../lib/index.js';
import { BaseCommand } from './base.js';
import { hurtFilesToJson, rangesToJson, tellHurtFiles } from './presentation/hurt-files.js';
import type { Report } from './presentation/report.js';
import { counted, formatCount } from './presentation/units.js';

export class RepairCommand extends BaseCommand {
  static override paths = [['repair']];
  static override usage = Command.Usage({
    category: 'Repository',
    description: 'Make files readable again whose stored contents are damaged',
    details: `
      Checks the repository as \`rrbackup check\` does, with \`--read-data\` every byte of it; what checks on this machine have
      found damaged is read in any case. Contents that a damaged or missing
      pack held are looked for in all other packs; where one has them, a new version tells every reader so (its tree is that of
      the version before). What no pack has is remembered on this machine: the next backup reads the files that need it again,
      even if they have not changed, and stores it anew, which heals older versions too. Files that are not what they were any
      more cannot be healed; they are named here, and by a mount or download that meets them.

      Damaged checkpoints are written anew, as are packs whose contents can be read though the pack is damaged.

      Nothing is deleted or overwritten. Exit status 0: of what was looked at no file is hurt any more. 13: some are, until the
      next backup or for good, or there is damage that another command mends, which is named.
    `,
    examples: [
      ['After a check on this machine has found damage, before the next backup', '$0 repair'],
      ['After a check elsewhere, or a file that could not be read', '$0 repair --read-data'],
    ],
  });

  readData = Option.Boolean('--read-data', false, { description: 'Verify every byte of every pack' });

  protected override async perform(report: Report): Promise<number> {
    return this.withRepository(report, { access: 'write', sync: false }, async ({ repository, run }) => {
      const result = await repair(repository, {
        ...run,
        readData: this.readData ? { percent: 100 } : undefined,
        onFinding: ({ message }) => report.warn(message),
        note: (message) => report.note(message),
      });
      await report.json(toJson(result, repository.id));
      await this.#tell(result, report);
      await report.summary(summaryOf(result));
      for (const remedy of result.remedies) await report.line(`now: rrbackup ${remedy}`);
      return result.fileCount === 0 && result.remedies.length === 0 ? 0 : exitStatus.damaged;
    });
  }

  async #tell(result: RepairResult, report: Report): Promise<void> {
    const { added, streams } = result;
    for (const { host, source, version } of added)
      report.note(`version ${version} of ${source} of ${host} tells where contents lie that were gone`);
    for (const { host, source, hurt, hurtFiles } of streams)
      if (hurtFiles > 0)
        await report.line(
          `${source} of ${host}: ${counted(hurtFiles, 'file')} DAMAGED in ${versionsText(hurt)}`,
        );
    await tellHurtFiles(result, report, this.verbose);
  }
}

function summaryOf(result: RepairResult): string {
  const { damagedPacks, checkpoints, remedies, readsAll } = result;
  const clauses = [
    ...(damagedPacks.length > 0 ? packClauses(result) : []),
    ...(checkpoints > 0 ? [`${counted(checkpoints, 'damaged checkpoint')} written anew`] : []),
  ];
  if (remedies.length > 0) clauses.push('what else is damaged is not for repair');
  else if (clauses.length === 0 && readsAll) clauses.push('nothing is damaged');
  else if (clauses.length === 0) clauses.push('everything that the versions need is there');
  if (!readsAll) clauses.push('contents were not read: rrbackup repair --read-data reads them');
  return clauses.join('; ');
}

function packClauses({ damagedPacks, chunks, supplied, fileCount }: RepairResult): string[] {
  const packs = counted(damagedPacks.length, 'damaged pack');
  if (chunks === 0) return [`${packs}, and all that is needed of them lies in others too`];
  return [
    packs,
    `${formatCount(supplied)} of ${counted(chunks, 'piece')} found in other packs`,
    fileCount === 0
      ? 'no file is hurt any more'
      : 'the next backup reads the files again that the source still has',
  ];
}

function toJson(result: RepairResult, repository: string): Record<string, unknown> {
  return {
    repository,
    damaged_packs: result.damagedPacks,
    checkpoints: result.checkpoints,
    read_packs: result.read.packs,
    commands: result.remedies.map((remedy) => `rrbackup ${remedy}`),
    pieces: result.chunks,
    supplied: result.supplied,
    added: result.added,
    sources: result.streams.map(({ host, source, hurt, hurtFiles }) => ({
      host,
      source,
      hurt: rangesToJson(hurt),
      hurt_files: hurtFiles,
    })),
    files: hurtFilesToJson(result.files, result.streams),
    files_count: result.fileCount,
  };
}
