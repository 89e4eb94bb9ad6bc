// The names of hosts, sources and versions as the mount shows them, and the way back from a name or a number to the stream.
// Reads the catalog anew on every call, so that new streams and versions show; only lists of versions are kept.

import { isSafeName } from '../../bytes/path.js';
import { sha256 } from '../../crypto/index.js';
import { versionNames } from '../../catalog/version-argument.js';
import type { CatalogReader, StreamInfo, VersionInfo } from '../../catalog/types.js';
import type { TreeOptions } from './options.js';
import { defaultTimeFormat, timeFormatter } from './time-format.js';

export interface VersionName {
  readonly sequence: number;
  /** '2026-11-21T03-00-00Z' if no other format is asked for; a second version of the same second ends in '-2', a third in '-3', … */
  readonly name: string;
  readonly finished_ns: bigint;
}

export interface VersionList {
  /** Oldest first; those that are shown. */
  readonly all: readonly VersionName[];
  /** Those that are not shown, too. */
  readonly bySequence: ReadonlyMap<number, VersionName>;
  readonly byName: ReadonlyMap<string, VersionName>;
}

/** Hosts and sources name themselves in the manifest: nothing they say may leave its directory. */
export function safeName(name: string): string {
  const harmless = name.replaceAll(/[/\0]/g, '_');
  return isSafeName(Buffer.from(harmless)) ? harmless : `_${harmless.slice(0, 50)}`;
}

/** The first 40 bits of the stream's id, which is a keyed hash: the stream's part of an inode number. */
export function streamNumber(id: string): number {
  return Number.parseInt(id.slice(0, 10), 16);
}

export function hostNumber(host: string): number {
  return sha256(Buffer.from(host)).readUIntBE(0, 5);
}

export class Streams {
  readonly #catalog: CatalogReader;
  readonly #lists = new Map<string, { readonly stamp: string; readonly list: VersionList }>();
  readonly #host: string | undefined;
  readonly #source: string | undefined;
  readonly #path: Uint8Array;
  readonly #timeOf: (version: VersionInfo) => string;

  constructor(catalog: CatalogReader, options: TreeOptions) {
    const { source, path, timeFormat = defaultTimeFormat } = options;
    this.#catalog = catalog;
    this.#host = options.hidesOtherHosts === true ? options.host : undefined;
    this.#source = source;
    this.#path = path ?? Buffer.alloc(0);
    const format = timeFormatter(timeFormat);
    this.#timeOf = ({ header }) => format(header.started_ns);
  }

  /** Streams that are shown and have a version, by host and source. */
  all(): StreamInfo[] {
    return this.#catalog
      .streams()
      .filter((stream) => stream.head > 0 && this.#isShown(stream))
      .sort(
        (a, b) => compareText(a.host, b.host) || compareText(a.source, b.source) || compareText(a.id, b.id),
      );
  }

  ofHost(host: string): StreamInfo[] {
    return this.all().filter((stream) => stream.host === host);
  }

  hosts(): string[] {
    return [...new Set(this.all().map((stream) => stream.host))];
  }

  byNumber(number: number): StreamInfo | undefined {
    return this.all().find((stream) => streamNumber(stream.id) === number);
  }

  versions(stream: StreamInfo): VersionList {
    const stamp = `${stream.firstSequence} ${stream.head} ${stream.headHash}`;
    const known = this.#lists.get(stream.id);
    if (known?.stamp === stamp) return known.list;
    const list = this.#nameVersions(stream);
    this.#lists.set(stream.id, { stamp, list });
    return list;
  }

  /**
   * When the newest version of these streams was committed; what growing directories show as their own time. A little earlier
   * while older versions are to come, or newer ones cannot be read: by that the kernel knows, once they can, that what it keeps
   * of a listing is old.
   */
  newest_ns(streams: readonly StreamInfo[]): bigint {
    let newest = 0n;
    let lacking = 0n;
    for (const stream of streams) {
      const finished = this.#catalog.version(stream.id, stream.head)?.header.finished_ns ?? 0n;
      if (finished > newest) newest = finished;
      if (stream.lacksPast) lacking++;
      if (stream.endsInGap) lacking++;
    }
    return newest - lacking;
  }

  newestVersion(stream: StreamInfo): VersionName | undefined {
    return this.versions(stream).all.at(-1);
  }

  #isShown(stream: StreamInfo): boolean {
    if (this.#host !== undefined && stream.host !== this.#host) return false;
    if (this.#source !== undefined && stream.source !== this.#source) return false;
    return this.#path.length === 0 || this.#catalog.directoryEver(stream.id, this.#path) !== undefined;
  }

  #nameVersions(stream: StreamInfo): VersionList {
    const readable = this.#catalog
      .versions(stream.id)
      .filter(({ header }) => header.sequence >= stream.firstSequence);
    const named = [...versionNames(readable, this.#timeOf)].map(([{ header }, name]): VersionName => {
      return { sequence: header.sequence, name, finished_ns: header.finished_ns };
    });
    const all = this.#path.length === 0 ? named : named.filter(this.#hasPath(stream));
    return {
      all,
      bySequence: new Map(named.map((version) => [version.sequence, version])),
      byName: new Map(all.map((version) => [version.name, version])),
    };
  }

  /** Whether what is to be shown of a version is a directory in it. */
  #hasPath(stream: StreamInfo): (version: VersionName) => boolean {
    const states = this.#catalog
      .history(stream.id, this.#path)
      .filter((state) => state.entry.type === 'directory');
    return ({ sequence }) => states.some(({ from, to }) => from <= sequence && sequence < to);
  }
}

function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
