import { Command } from 'clipanion';
import type { StreamInfo, VersionInfo } from '../lib/catalog/types.js';
import { versionNames } from '../lib/catalog/version-argument.js';
import { toVersionJson } from './presentation/json.js';
import type { Report } from './presentation/report.js';
import { formatTable } from './presentation/table.js';
import { formatBytes, formatCount, formatLocalTime } from './presentation/units.js';
import { ReadingCommand } from './reading.js';

export class VersionsCommand extends ReadingCommand {
  static override paths = [['versions'], ['list_versions']];
  static override usage = Command.Usage({
    category: 'Look',
    description: 'List the versions that can be mounted, looked into and downloaded',
    details: `
      Other name: \`list_versions\`. The times are UTC and are the names of the versions in the mount; each can be typed
      wherever VERSION is asked for, as can the number, \`latest\`, \`latest~1\`, the beginning of a time, \`yesterday\` and
      \`'2 days ago'\`. STORED is what a version added to the repository.
    `,
    examples: [
      ['Every version of this machine', '$0 versions'],
      ["Another machine's", '$0 versions --host server2'],
      ['For a program', '$0 versions --json'],
    ],
  });

  protected override async perform(report: Report): Promise<undefined> {
    await this.withRepository(report, { access: 'read' }, async ({ repository, configuration }) => {
      const { catalog } = repository;
      const streams = this.streams(repository, configuration);
      const listed = streams.flatMap((stream) => {
        const names = versionNames(catalog.versions(stream.id));
        return [...names].map(([version, name]) => ({ stream, version, name }));
      });
      await report.json(
        listed.map(({ stream, version, name }) => toVersionJson(version, name, isReadable(stream, version))),
      );
      const hasSources = new Set(listed.map(({ stream }) => stream.source)).size > 1;
      const columns = [
        ...(hasSources ? [{ title: 'SOURCE' }] : []),
        { title: 'VERSION', align: 'right' as const },
        { title: 'TIME (UTC)' },
        { title: 'LOCAL TIME' },
        ...['FILES', 'SIZE', 'ADDED', 'CHANGED', 'REMOVED', 'STORED'].map((title) => ({
          title,
          align: 'right' as const,
        })),
        { title: '' },
      ];
      const rows = listed.map(({ stream, version, name }) => {
        const { header, stored_bytes } = version;
        const { sequence, started_ns, statistics } = header;
        return [
          ...(hasSources ? [stream.source] : []),
          String(sequence),
          name,
          formatLocalTime(started_ns),
          formatCount(statistics.files),
          formatBytes(statistics.bytes),
          formatCount(statistics.added),
          formatCount(statistics.changed),
          formatCount(statistics.removed),
          formatBytes(stored_bytes),
          isReadable(stream, version) ? '' : 'cannot be read',
        ];
      });
      for (const line of formatTable(columns, rows)) await report.line(line);
      await report.flush();
      const unreadable = this.unreadableSource(repository, configuration);
      if (unreadable !== undefined) throw unreadable;
      for (const stream of streams) this.tellLost(catalog, stream, report);
    });
    return undefined;
  }
}

function isReadable(stream: StreamInfo, version: VersionInfo): boolean {
  return version.header.sequence >= stream.firstSequence;
}
