import { Command, Option } from 'clipanion';
import { joinPath } from '../lib/bytes/path.js';
import type { CatalogEntry, CatalogReader } from '../lib/catalog/types.js';
import { interrupted } from '../lib/errors/index.js';
import { formatEntry } from './presentation/entry.js';
import { bytesToJson, entryToJson } from './presentation/json.js';
import type { Report } from './presentation/report.js';
import { ReadingCommand, versionForms } from './reading.js';

interface Listed {
  readonly path: Buffer;
  readonly found: CatalogEntry;
}

export class FilesCommand extends ReadingCommand {
  static override paths = [['files'], ['list_files'], ['ls']];
  static override usage = Command.Usage({
    category: 'Look',
    description: 'List the files of a version',
    details: `
      Other names: \`list_files\`, \`ls\`. Lists everything below PATH (default: the whole version), or with \`--flat\` only
      what lies directly in it. With \`--json\` one line of JSON for each entry.

      ${versionForms}
    `,
    examples: [
      ['Everything in the newest version', '$0 files latest'],
      ['One directory as it was on a day', '$0 files 2026-11-20 Documents/letters --flat'],
    ],
  });

  flat = Option.Boolean('--flat', false, { description: 'Do not go into directories' });
  versionText = Option.String({ name: 'VERSION' });
  pathText = Option.String({ name: 'PATH', required: false });

  protected override async perform(report: Report): Promise<undefined> {
    await this.withRepository(report, { access: 'read' }, async ({ repository, configuration }) => {
      const { catalog } = repository;
      const stream = this.stream(repository, configuration);
      const { header } = this.version(catalog, stream, this.versionText, report);
      const start = this.entry(catalog, stream, header.sequence, this.pathText ?? '');
      for (const { path, found } of this.#walk(catalog, header.sequence, start)) {
        if (this.context.signal.aborted) throw interrupted();
        if (report.isJson) await report.json({ ...bytesToJson('path', path), ...entryToJson(found.entry) });
        else await report.line(formatEntry(path, found.entry, header));
      }
    });
    return undefined;
  }

  *#walk(catalog: CatalogReader, sequence: number, start: Listed): Generator<Listed> {
    const { directory } = start.found;
    if (directory === undefined) return yield start;
    for (const found of catalog.list(directory, sequence)) {
      const child = { path: joinPath(start.path, found.name), found };
      yield child;
      if (found.directory !== undefined && !this.flat) yield* this.#walk(catalog, sequence, child);
    }
  }
}
