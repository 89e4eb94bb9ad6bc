// What commands that look into versions share: whose versions, which one, and the paths in it.

import { Option } from 'clipanion';
import { printable } from '../lib/bytes/path.js';
import { lostVersions, newestLost, type Readable, refuseLost } from '../lib/catalog/lost-versions.js';
import type { CatalogEntry, CatalogReader, StreamInfo, VersionInfo } from '../lib/catalog/types.js';
import { type ResolvedVersion, resolveVersion, versionNames } from '../lib/catalog/version-argument.js';
import { versionsText } from '../lib/catalog/version-ranges.js';
import { nearest } from '../lib/config/nearest.js';
import type { Configuration } from '../lib/config/types.js';
import { RrbackupError } from '../lib/errors/index.js';
import { versionsInPart } from '../lib/manifest/in-part.js';
import type { Repository } from '../lib/index.js';
import { BaseCommand } from './base.js';
import { pathGuidance, pathReadings } from './path-argument.js';
import type { Report } from './presentation/report.js';

function notFound(code: string, message: string, guidance: string): RrbackupError {
  return new RrbackupError({ code, kind: 'not_found', message, guidance });
}

/** For the --help of commands that ask for one. */
export const versionForms = `
      VERSION is a number (\`7\`), \`latest\`, \`latest~2\` (two before it), the beginning of a time (\`2026-11-20\`,
      \`2026-11-20T03\`, \`2026\`), \`today\`, \`yesterday\`, or \`'2 days ago'\` in quotes: what was the newest version
      then. Times and days are UTC. \`rrbackup versions\` lists them.
    `;

export abstract class ReadingCommand extends BaseCommand {
  source = Option.String('--source', { description: 'The source to look at, where there are several' });
  host = Option.String('--host', { description: "Another machine's backups instead of this one's" });

  /** The streams that --host and --source leave: never none. */
  protected streams(repository: Repository, configuration: Configuration): StreamInfo[] {
    const host = this.host ?? configuration.host;
    try {
      return this.#choose(repository.catalog.streams(), host);
    } catch (error) {
      // What is asked for may be a source of which nothing can be read.
      throw this.unreadableSource(repository, configuration) ?? repository.namelessGaps[0] ?? error;
    }
  }

  /** Why no version at all can be read of the source that --source names, or of one that is configured. */
  protected unreadableSource(
    repository: Repository,
    configuration: Configuration,
  ): RrbackupError | undefined {
    const configured = this.host === undefined ? configuration.sources.map(({ name }) => name) : [];
    const names = this.source === undefined ? configured : [this.source];
    for (const name of names) {
      const id = repository.streamId(name, this.host ?? configuration.host);
      const gap = repository.catalog.stream(id) === undefined ? repository.gap(id) : undefined;
      if (gap !== undefined)
        return new RrbackupError({
          code: 'version.lost',
          kind: gap.kind,
          message: `there are versions of ${name}, and none of them can be read`,
          guidance:
            "'rrbackup check' says what is lost, 'rrbackup recover' rebuilds what the packs still tell",
          cause: gap,
        });
    }
    return undefined;
  }

  #choose(all: readonly StreamInfo[], host: string): StreamInfo[] {
    if (all.length === 0)
      throw notFound('version.none', 'there is no version yet', "make the first one with 'rrbackup backup'");
    const ofHost = all
      .filter((stream) => stream.host === host)
      .sort((a, b) => (a.source < b.source ? -1 : 1));
    if (ofHost.length === 0) {
      const hosts = [...new Set(all.map((stream) => stream.host))].sort();
      const guidance = `the repository has versions of ${hosts.join(', ')}: choose with --host`;
      throw notFound('version.no_host', `there is no version of the machine ${host} yet`, guidance);
    }
    if (this.source === undefined) return ofHost;
    const named = ofHost.filter((stream) => stream.source === this.source);
    if (named.length > 0) return named;
    const names = ofHost.map((stream) => stream.source);
    throw notFound(
      'version.no_source',
      `there is no version of the source '${this.source}' of ${host} yet`,
      `the nearest one that has versions is '${nearest(this.source, names)}'`,
    );
  }

  /** The one stream meant: by --source, the only one configured, or the only one there is. */
  protected stream(repository: Repository, configuration: Configuration): StreamInfo {
    const streams = this.streams(repository, configuration);
    const [configured, another] = configuration.sources;
    const isOwn = this.host === undefined && this.source === undefined && another === undefined;
    const own = isOwn ? streams.find((stream) => stream.source === configured?.name) : undefined;
    if (own !== undefined) return own;
    const gap = this.unreadableSource(repository, configuration);
    if (gap !== undefined) throw gap;
    const [only, second] = streams;
    if (only !== undefined && second === undefined) return only;
    throw new RrbackupError({
      code: 'version.which_source',
      kind: 'usage',
      message: `there are several sources: ${streams.map((stream) => stream.source).join(', ')}`,
      guidance: 'say which one with --source NAME',
    });
  }

  /** The version that the user named; says so where the name fits several. Throws where it may be one that cannot be read. */
  protected version(catalog: CatalogReader, stream: StreamInfo, text: string, report: Report): VersionInfo {
    const of = this.#readable(catalog, stream);
    const { version, matches } = this.#resolve(text, of);
    const name = `version ${version.header.sequence} (${versionNames(of.versions).get(version)!})`;
    if (matches > 1) report.note(`${text} fits ${matches} versions: taking the newest of them, ${name}`);
    else report.detail(`${text} is ${name} of ${stream.source}`);
    if (this.isInPart(catalog, stream, version))
      report.warn(
        `${name} was recovered in part: entries may be missing in it, or stand as they were in a version before`,
      );
    return version;
  }

  #resolve(text: string, of: Readable): ResolvedVersion {
    try {
      const resolved = resolveVersion(text, of.versions);
      refuseLost(text, resolved.version, of);
      return resolved;
    } catch (error) {
      if (error instanceof RrbackupError && error.code === 'version.not_found')
        refuseLost(text, undefined, of);
      throw error;
    }
  }

  /**
   * For commands that show all versions, once they have: names those that cannot be read. Throws 'version.lost' where the
   * newest are among them: nobody shall take the last one shown for the newest.
   */
  protected tellLost(catalog: CatalogReader, stream: StreamInfo, report: Report): void {
    const of = this.#readable(catalog, stream);
    const between = lostVersions(of).filter(({ to }) => to !== Infinity);
    if (between.length > 0) report.warn(`${versionsText(between)} of ${stream.source} cannot be read`);
    if (stream.endsInGap) throw newestLost(of);
  }

  #readable(catalog: CatalogReader, stream: StreamInfo): Readable {
    const versions = catalog.versions(stream.id);
    return { stream, versions: versions.filter(({ header }) => header.sequence >= stream.firstSequence) };
  }

  /** Packs that are lost have taken more of the version than contents. */
  protected isInPart(catalog: CatalogReader, stream: StreamInfo, { header }: VersionInfo): boolean {
    return versionsInPart(catalog.versions(stream.id).map((version) => version.header)).has(header.sequence);
  }

  /** The entry that a path argument means; undefined where the version has none. */
  protected find(
    catalog: CatalogReader,
    stream: StreamInfo,
    sequence: number,
    path: string,
  ): { path: Buffer; found: CatalogEntry } | undefined {
    for (const reading of pathReadings(path, stream.sourcePath)) {
      const found = catalog.find(stream.id, sequence, reading);
      if (found !== undefined) return { path: reading, found };
    }
    return undefined;
  }

  /** As `find`, where it has to be there. */
  protected entry(
    catalog: CatalogReader,
    stream: StreamInfo,
    sequence: number,
    path: string,
  ): { path: Buffer; found: CatalogEntry } {
    const entry = this.find(catalog, stream, sequence, path);
    if (entry !== undefined) return entry;
    throw notFound(
      'version.no_path',
      `there is no ${printable(Buffer.from(path))} in version ${sequence} of ${stream.source}`,
      `${pathGuidance(path, stream.sourcePath)}; 'rrbackup history PATH' tells which versions have it`,
    );
  }
}
