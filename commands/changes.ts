import { Command, Option } from 'clipanion';
import { printable } from '../lib/bytes/path.js';
import type { Change, ChangeKind } from '../lib/catalog/types.js';
import { interrupted } from '../lib/errors/index.js';
import { bytesToJson, entryToJson } from './presentation/json.js';
import type { Report } from './presentation/report.js';
import { formatBytes, formatCount } from './presentation/units.js';
import { ReadingCommand, versionForms } from './reading.js';

const words: Readonly<Record<ChangeKind, string>> = {
  added: 'added',
  changed: 'changed',
  moved: 'moved',
  removed: 'removed',
  metadata: 'metadata only',
};

export class ChangesCommand extends ReadingCommand {
  static override paths = [['changes'], ['list_changes']];
  static override usage = Command.Usage({
    category: 'Look',
    description: 'Show what a version changed, or how two versions differ',
    details: `
      Other name: \`list_changes\`. With one VERSION: against the version before it. With two: what the second has that the
      first has not, and the reverse. With \`--json\` one line of JSON for each change.

      ${versionForms}
    `,
    examples: [
      ['What the newest version changed', '$0 changes latest'],
      ['From version 3 to version 7', '$0 changes 3 7'],
    ],
  });

  firstText = Option.String({ name: 'VERSION' });
  secondText = Option.String({ name: 'V2', required: false });

  protected override async perform(report: Report): Promise<undefined> {
    await this.withRepository(report, { access: 'read' }, async ({ repository, configuration }) => {
      const { catalog } = repository;
      const stream = this.stream(repository, configuration);
      const first = this.version(catalog, stream, this.firstText, report).header.sequence;
      const second =
        this.secondText === undefined
          ? undefined
          : this.version(catalog, stream, this.secondText, report).header.sequence;
      const before = catalog.versions(stream.id).findLast(({ header }) => header.sequence < first);
      if (second === undefined && before !== undefined && before.header.sequence < first - 1)
        report.warn(
          `the version before ${first} cannot be read: what is shown is what changed since version ${before.header.sequence}`,
        );
      const [from, to] = second === undefined ? [before?.header.sequence ?? 0, first] : [first, second];
      const counts = new Map<ChangeKind, number>();
      for (const change of catalog.changes(stream.id, from, to)) {
        if (this.context.signal.aborted) throw interrupted();
        counts.set(change.kind, (counts.get(change.kind) ?? 0) + 1);
        if (report.isJson) await report.json(toJsonChange(change));
        else await report.line(formatChange(change));
      }
      await report.flush();
      const summary = [...counts].map(([kind, count]) => `${formatCount(count)} ${words[kind]}`).join(', ');
      const between = from === 0 ? `version ${to}, the first` : `version ${from} to ${to}`;
      report.note(`${between}: ${summary === '' ? 'no changes' : summary}`);
    });
    return undefined;
  }
}

function formatChange({ kind, path, movedFrom, before, after }: Change): string {
  const entry = after ?? before;
  const name = path.length === 0 ? '.' : printable(path);
  const directory = entry?.type === 'directory' ? '/' : '';
  const was = movedFrom === undefined ? '' : `${printable(movedFrom)}${directory} -> `;
  const size = entry?.type === 'file' && kind !== 'metadata' ? formatBytes(entry.size_bytes) : '';
  return `${words[kind].padEnd(13)}  ${size.padStart(8)}  ${was}${name}${directory}`;
}

function toJsonChange({ kind, path, movedFrom, before, after }: Change): Record<string, unknown> {
  return {
    change: kind,
    ...bytesToJson('path', path),
    ...(movedFrom === undefined ? {} : bytesToJson('moved_from', movedFrom)),
    ...(before === undefined ? {} : { before: entryToJson(before) }),
    ...(after === undefined ? {} : { after: entryToJson(after) }),
  };
}
