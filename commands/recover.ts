import { Command, Option } from 'clipanion';
import { openForRecovery, recover } from '../lib/index.js';
import { exitStatus } from '../lib/errors/index.js';
import { BaseCommand } from './base.js';
import { readKeyFile } from './key-file.js';
import { hurtFilesToJson, tellHurtFiles } from './presentation/hurt-files.js';
import type { Report } from './presentation/report.js';
import { counted } from './presentation/units.js';

export class RecoverCommand extends BaseCommand {
  static override paths = [['recover']];
  static override usage = Command.Usage({
    category: 'Repository',
    description: 'Rebuild from the packs what else of a repository is lost',
    details: `
      For a repository of which anything but the packs is lost or damaged: the list of versions (\`streams/\`, all of it or single
      entries), \`rrbackup.json\`, and with an exported key the passwords too. Reads the end of every pack and writes what is
      missing beside what is there; overwrites nothing and deletes nothing. Where packs are lost too, versions come back with what
      the others tell of them, and are called \`….partial\` wherever they are shown. Exit status 3: not everything came back.
    `,
    examples: [
      ['After the manifests were deleted', '$0 recover'],
      ['With the key on paper, typed into a file', '$0 recover --key-file key.txt'],
    ],
  });

  keyFile = Option.String('--key-file', {
    description:
      'A key that `key export` wrote: no password is needed then, and yours opens the repository again',
  });

  protected override async perform(report: Report): Promise<number> {
    const { cwd, signal, unlocker } = this.context;
    const key = this.keyFile === undefined ? undefined : await readKeyFile(cwd, this.keyFile, signal);
    const run = report.run(signal);
    const note = (message: string): void => report.note(message);
    const options = { ...run, key, note, unlocker };
    const repository = await openForRecovery(await this.configuration(report), options);
    return this.closing(repository, async () => {
      const result = await recover(repository, run);
      const streams = repository.catalog.streams();
      await report.json({
        packs: result.packs,
        damaged_packs: result.damagedPacks,
        missing_packs: result.missingPacks,
        streams: result.streams,
        files: hurtFilesToJson(result.files, streams),
        files_count: result.fileCount,
      });
      for (const { host, source, intact, rebuilt, inPart, lost } of result.streams) {
        const part = inPart.length === 0 ? '' : ` (${inPart.length} in part)`;
        await report.line(
          `${source} of ${host}: ${counted(intact, 'version')} intact, ${rebuilt.length} rebuilt${part}, ${lost.length} lost`,
        );
        if (inPart.length > 0)
          report.warn(
            `versions of ${source} that are there in part, with entries that may be missing or stand as they were before: ` +
              inPart.join(', '),
          );
        if (lost.length > 0) report.warn(`versions of ${source} that cannot be rebuilt: ${lost.join(', ')}`);
      }
      for (const name of result.damagedPacks) report.warn(`the pack ${name} is damaged`);
      for (const name of result.missingPacks) report.warn(`the pack ${name} is missing`);
      if (result.fileCount > 0)
        await report.line(
          `${counted(result.fileCount, 'file')} DAMAGED: no pack is known to hold all of their contents`,
        );
      await tellHurtFiles({ ...result, streams }, report, this.verbose);
      await report.summary(`read ${counted(result.packs, 'pack')}`);
      if (result.fileCount > 0) await report.line('now: rrbackup repair');
      const isWhole =
        result.damagedPacks.length + result.fileCount === 0 &&
        result.streams.every(({ lost, inPart }) => lost.length + inPart.length === 0);
      return isWhole ? 0 : exitStatus.incomplete;
    });
  }
}
