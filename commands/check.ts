import { Command, Option } from 'clipanion';
import { versionsText } from '../lib/catalog/version-ranges.js';
import { systemClock } from '../lib/clock.js';
import { RrbackupError, exitStatus } from '../lib/errors/index.js';
import { check, type CheckOptions, type CheckResult } from '../lib/index.js';
import { BaseCommand } from './base.js';
import { hurtFilesToJson, rangesToJson, tellHurtFiles } from './presentation/hurt-files.js';
import type { Report } from './presentation/report.js';
import { counted, formatBytes, formatCount, formatDuration } from './presentation/units.js';

export class CheckCommand extends BaseCommand {
  static override paths = [['check']];
  static override usage = Command.Usage({
    category: 'Repository',
    description: 'Find out whether everything is there that the versions need',
    details: `
      Changes nothing in the repository. Without options: every log entry is read and proven, and every part and pack that a
      version needs is looked for in the store's listing, with its size and version id: fast, and blind to bytes that have
      changed. \`--read-data\` reads every byte of the manifest and of the packs, decrypts, decompresses and verifies it; a
      percentage reads so many packs chosen by chance, \`--read-data-subset=K/N\` the Kth of N parts, which together are all. What
      is interrupted goes on with the same command, within a week.

      Tells what is damaged, which versions and files that hurts, and what to do now. What is stored is never taken from this machine's catalog.
      It only says which files need a damaged piece, and only where its versions and packs are found to be those of the stored
      history; otherwise, and with \`--fresh\`, the history is read anew into a temporary one (in \`$TMPDIR\`).

      What is found damaged in the packs or the manifest is remembered on this machine: \`rrbackup repair\` begins with it, and
      every further check reads it again, until it is healed.

      Exit status 0: nothing is damaged of what was looked at. 13: something is. 17: the store shows another history than this machine has seen. Any
      other: the check could not finish, and what it has not told is not known to be in order.
    `,
    examples: [
      ['Is everything there?', '$0 check'],
      ['Every byte of it?', '$0 check --read-data'],
      ['A twelfth of it each month', '$0 check --read-data-subset=3/12'],
      ['A sample each night', '$0 check --read-data=2%'],
      ['Trust nothing on this machine', '$0 check --fresh --read-data'],
    ],
  });

  readData = Option.String('--read-data', {
    tolerateBoolean: true,
    description: 'Verify every byte; with =N% of so many packs, chosen by chance',
  });
  subset = Option.String('--read-data-subset', {
    description: 'Verify every byte of part K of N: K/N',
  });
  fresh = Option.Boolean('--fresh', false, {
    description: 'Use nothing that this machine remembers: neither its catalog nor an interrupted check',
  });

  protected override async perform(report: Report): Promise<number> {
    const readData = this.#share();
    return this.withRepository(report, { access: 'read', sync: false }, async ({ repository, run }) => {
      const began_ms = systemClock.monotonic_ms();
      const result = await check(repository, {
        ...run,
        readData,
        fresh: this.fresh,
        onFinding: ({ message }) => report.warn(message),
        note: (message) => report.note(message),
      });
      const elapsed_ms = systemClock.monotonic_ms() - began_ms;
      await report.json(toJson(result, repository.id, elapsed_ms));
      for (const { message } of result.mended) report.note(`${message}: no damage`);
      this.#tellUnneeded(result, report);
      await this.#tellHurt(result, report);
      await report.summary(summaryOf(result, elapsed_ms));
      for (const remedy of result.remedies) await report.line(`now: rrbackup ${remedy}`);
      return statuses[result.verdict];
    });
  }

  #share(): CheckOptions['readData'] {
    const { readData, subset } = this;
    if (readData !== undefined && readData !== false && subset !== undefined)
      throw usage('--read-data and --read-data-subset exclude each other', 'give one of them');
    if (subset !== undefined) {
      const [, part, of] = /^(\d{1,9})\/(\d{1,9})$/.exec(subset) ?? [];
      if (part === undefined || of === undefined)
        throw usage(`--read-data-subset wants K/N, not '${subset}'`, 'for example --read-data-subset=1/4');
      return { part: Number(part), of: Number(of) };
    }
    if (readData === undefined || readData === false) return undefined;
    if (readData === true) return { percent: 100 };
    const [, percent] = /^(\d{1,3}(?:\.\d{1,6})?)%$/.exec(readData) ?? [];
    if (percent === undefined)
      throw usage(
        `--read-data wants a percentage, not '${readData}'`,
        'for example --read-data=10%, or --read-data alone for everything',
      );
    return { percent: Number(percent) };
  }

  async #tellHurt(result: CheckResult, report: Report): Promise<void> {
    const { streams, findings, findingCount } = result;
    if (findingCount > findings.length)
      report.warn(`${formatCount(findingCount - findings.length)} more of the kind were found`);
    for (const { host, source, lost, inPart, hurt, hurtFiles } of streams) {
      const whose = `${source || 'a source'} of ${host || 'a machine that is not known'}`;
      if (lost.length > 0) await report.line(`${whose}: ${versionsText(lost)} LOST`);
      if (inPart.length > 0) await report.line(`${whose}: ${versionsText(inPart)} recovered in part`);
      if (hurtFiles > 0)
        await report.line(`${whose}: ${counted(hurtFiles, 'file')} DAMAGED in ${versionsText(hurt)}`);
    }
    await tellHurtFiles(result, report, this.verbose);
  }

  #tellUnneeded({ unneeded, streams, copied }: CheckResult, report: Report): void {
    const { packs, packs_bytes, manifest, foreign, foreignCount, furtherVersions } = unneeded;
    if (packs > 0) {
      const whose = streams.some(({ lost }) => lost.length > 0)
        ? 'left by interrupted backups, or of lost versions'
        : 'left by interrupted backups, or of one that is under way';
      report.note(
        `no version needs ${counted(packs, 'pack')} (${formatBytes(packs_bytes)}): ${whose}; no damage`,
      );
    }
    if (manifest > 0)
      report.note(`no version needs ${counted(manifest, 'object')} under streams/: no damage`);
    if (furtherVersions > 0)
      report.note(`${counted(furtherVersions, 'further version')} of objects that are needed: no damage`);
    if (foreignCount > 0)
      report.note(`${counted(foreignCount, 'object')} not made by rrbackup: ${foreign.join(', ')}`);
    if (copied > 0)
      report.note(
        `${counted(copied, 'object')} under other version ids than were written down, as in a store that was copied`,
      );
  }
}

const statuses = { fine: 0, damaged: exitStatus.damaged, tampered: exitStatus.tampered } as const;

function usage(message: string, guidance: string): RrbackupError {
  return new RrbackupError({ code: 'usage', kind: 'usage', message, guidance });
}

function summaryOf(result: CheckResult, elapsed_ms: number): string {
  const { streams, packs, packs_bytes, read, verdict, findingCount, fileCount } = result;
  const versions = streams.reduce(
    (sum, { newest, lost }) => sum + newest - lost.reduce((all, { from, to }) => all + to - from + 1, 0),
    0,
  );
  const clauses = [
    `${counted(versions, 'version')} of ${counted(streams.length, 'source')}`,
    `${counted(packs, 'pack')} (${formatBytes(packs_bytes)})`,
    ...(read.packs + read.before > 0
      ? [`${counted(read.packs, 'pack')} read and verified (${formatBytes(read.bytes)})`]
      : []),
    verdict === 'fine'
      ? fineText(result)
      : `${counted(findingCount, 'FINDING')}, ${counted(fileCount, 'damaged file')}`,
    formatDuration(elapsed_ms),
  ];
  return clauses.join('; ');
}

function fineText({ readsAll, read }: CheckResult): string {
  if (readsAll) return 'nothing is damaged';
  const there = 'everything that the versions need is there';
  return read.packs + read.before > 0
    ? `${there}, and nothing that was read is damaged`
    : `${there}; contents were not read`;
}

function toJson(result: CheckResult, repository: string, elapsed_ms: number): Record<string, unknown> {
  const { streams, unneeded } = result;
  return {
    repository,
    verdict: result.verdict,
    sources: streams.map(({ host, source, newest, lost, inPart, hurt, hurtFiles }) => ({
      host,
      source,
      newest,
      lost: rangesToJson(lost),
      in_part: rangesToJson(inPart),
      hurt: rangesToJson(hurt),
      hurt_files: hurtFiles,
    })),
    packs: result.packs,
    packs_bytes: result.packs_bytes,
    read_packs: result.read.packs,
    read_bytes: result.read.bytes,
    read_before: result.read.before,
    findings: result.findings,
    findings_count: result.findingCount,
    made_up_for: result.mended,
    made_up_for_count: result.mendedCount,
    commands: result.remedies.map((remedy) => `rrbackup ${remedy}`),
    files: hurtFilesToJson(result.files, streams),
    files_count: result.fileCount,
    unneeded: {
      packs: unneeded.packs,
      packs_bytes: unneeded.packs_bytes,
      manifest: unneeded.manifest,
      foreign: unneeded.foreignCount,
      further_versions: unneeded.furtherVersions,
    },
    other_version_ids: result.copied,
    elapsed_ms: Math.round(elapsed_ms),
  };
}
