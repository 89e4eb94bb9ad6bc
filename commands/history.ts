import { Command, Option } from 'clipanion';
import { printable } from '../lib/bytes/path.js';
import type { CatalogEntry, VersionInfo } from '../lib/catalog/types.js';
import { versionNames } from '../lib/catalog/version-argument.js';
import { RrbackupError } from '../lib/errors/index.js';
import { pathGuidance, pathReadings } from './path-argument.js';
import { formatMode } from './presentation/entry.js';
import { bytesToJson, entryToJson } from './presentation/json.js';
import type { Report } from './presentation/report.js';
import { formatTable } from './presentation/table.js';
import { formatBytes, formatLocalTime } from './presentation/units.js';
import { ReadingCommand } from './reading.js';

/** A stretch of versions in which the path was one thing, or was not there. */
interface Stretch {
  readonly from: number;
  readonly to: number;
  readonly state: CatalogEntry | undefined;
}

export class HistoryCommand extends ReadingCommand {
  static override paths = [['history']];
  static override usage = Command.Usage({
    category: 'Look',
    description: 'Show every state that a file or directory ever had, and when it was deleted',
    details: `With \`--json\` one line of JSON for each state, oldest first; \`deleted\` ones have no attributes.`,
    examples: [['When did this file change?', '$0 history Documents/letter.txt']],
  });

  pathText = Option.String({ name: 'PATH' });

  protected override async perform(report: Report): Promise<undefined> {
    await this.withRepository(report, { access: 'read' }, async ({ repository, configuration }) => {
      const { catalog } = repository;
      const stream = this.stream(repository, configuration);
      const [path, states] = pathReadings(this.pathText, stream.sourcePath)
        .map((reading) => [reading, catalog.history(stream.id, reading)] as const)
        .find(([, found]) => found.length > 0) ?? [Buffer.alloc(0), []];
      if (states.length === 0) {
        this.tellLost(catalog, stream, report);
        throw new RrbackupError({
          code: 'version.no_path',
          kind: 'not_found',
          message: `no version of ${stream.source} ever had ${printable(Buffer.from(this.pathText))}`,
          guidance: pathGuidance(this.pathText, stream.sourcePath),
        });
      }
      const names = new Map(
        [...versionNames(catalog.versions(stream.id))].map(([{ header }, name]) => [header.sequence, name]),
      );
      const stretches = [...stretchesOf(states, catalog.versions(stream.id))];
      for (const { from, to, state } of stretches)
        await report.json({
          ...bytesToJson('path', path),
          from_version: from,
          to_version: to,
          from_time: names.get(from),
          ...(state === undefined ? { deleted: true } : entryToJson(state.entry)),
        });
      const rows = stretches.map(({ from, to, state }) => [
        from === to ? String(from) : `${from}-${to}`,
        names.get(from) ?? '',
        ...(state === undefined
          ? ['', '', '', 'deleted']
          : [
              formatMode(state.entry),
              state.entry.type === 'file' ? formatBytes(state.entry.size_bytes) : '',
              formatLocalTime(state.entry.mtime_ns),
              state.entry.type === 'symlink' ? `-> ${printable(state.entry.target)}` : '',
            ]),
      ]);
      const columns = [
        { title: 'VERSIONS', align: 'right' as const },
        { title: 'SINCE (UTC)' },
        { title: 'MODE' },
        { title: 'SIZE', align: 'right' as const },
        { title: 'MODIFIED' },
        { title: '' },
      ];
      for (const line of formatTable(columns, rows)) await report.line(line);
      await report.flush();
      this.tellLost(catalog, stream, report);
    });
    return undefined;
  }
}

/** States with the gaps between them, in terms of versions that exist. */
function* stretchesOf(states: readonly CatalogEntry[], versions: readonly VersionInfo[]): Generator<Stretch> {
  const sequences = versions.map(({ header }) => header.sequence);
  const last = sequences.at(-1) ?? 0;
  const before = (sequence: number): number => sequences.findLast((other) => other < sequence) ?? sequence;
  for (const [index, state] of states.entries()) {
    const next = states[index + 1];
    const isStill = state.to > last;
    yield { from: state.from, to: isStill ? last : before(state.to), state };
    if (isStill || next?.from === state.to) continue;
    yield { from: state.to, to: next === undefined ? last : before(next.from), state: undefined };
  }
}
