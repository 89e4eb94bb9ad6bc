import { Command, Option } from 'clipanion';
import { printable } from '../lib/bytes/path.js';
import { unreadableContents } from '../lib/errors/contents.js';
import { RrbackupError } from '../lib/errors/index.js';
import { openContent } from '../lib/index.js';
import type { Report } from './presentation/report.js';
import { ReadingCommand, versionForms } from './reading.js';

const piece_bytes = 1024 * 1024;

export class CatCommand extends ReadingCommand {
  static override paths = [['cat']];
  static override usage = Command.Usage({
    category: 'Get back',
    description: 'Write the content of one file to stdout',
    details: versionForms,
    examples: [['Compare with today', '$0 cat latest~1 notes.txt | diff - notes.txt']],
  });

  versionText = Option.String({ name: 'VERSION' });
  pathText = Option.String({ name: 'PATH' });

  protected override async perform(report: Report): Promise<undefined> {
    await this.withRepository(report, { access: 'read' }, async ({ repository, configuration }) => {
      const { catalog } = repository;
      const stream = this.stream(repository, configuration);
      const { header } = this.version(catalog, stream, this.versionText, report);
      const { path, found } = this.entry(catalog, stream, header.sequence, this.pathText);
      const { entry } = found;
      if (entry.type !== 'file')
        throw new RrbackupError({
          code: 'version.not_a_file',
          kind: 'usage',
          message: `${printable(path) || '.'} is a ${entry.type}`,
          guidance:
            entry.type === 'symlink'
              ? `it points to ${printable(entry.target)}`
              : `take it out with 'rrbackup download ${header.sequence} TARGET PATH'`,
        });
      const content = openContent(repository);
      for (let offset = 0; offset < entry.size_bytes; offset += piece_bytes)
        await report.raw(
          await content.read(entry, offset, piece_bytes, this.context.signal).catch((error: unknown) => {
            const what = `${printable(path)} in version ${header.sequence} of ${stream.source}`;
            throw unreadableContents(what, error);
          }),
        );
    });
    return undefined;
  }
}
