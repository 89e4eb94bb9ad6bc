// The names of hosts, sources and versions as the mount shows them, and the way back from a name or a number to the stream.
// Reads the catalog anew on every call, so that new streams and versions show; only lists of versions are kept.

import { isSafeName } from '../../bytes/path.js';
import { sha256 } from '../../crypto/index.js';
import { versionNames } from '../../catalog/version-argument.js';
import type { CatalogReader, StreamInfo } from '../../catalog/types.js';

export interface VersionName {
  readonly sequence: number;
  /** '2026-11-21T03-00-00Z', in UTC; a second version of the same second ends in '-2', a third in '-3', … */
  readonly name: string;
  readonly finished_ns: bigint;
}

export interface VersionList {
  /** Oldest first. */
  readonly all: readonly VersionName[];
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

  constructor(catalog: CatalogReader) {
    this.#catalog = catalog;
  }

  /** Streams that have a version, by host and source. */
  all(): StreamInfo[] {
    return this.#catalog
      .streams()
      .filter((stream) => stream.head > 0)
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
    const list = nameVersions(this.#catalog, stream);
    this.#lists.set(stream.id, { stamp, list });
    return list;
  }

  /** When the newest version of these streams was committed; what growing directories show as their own time. */
  newest_ns(streams: readonly StreamInfo[]): bigint {
    let newest = 0n;
    for (const stream of streams) {
      const finished = this.#catalog.version(stream.id, stream.head)?.header.finished_ns ?? 0n;
      if (finished > newest) newest = finished;
    }
    return newest;
  }

  newestVersion(stream: StreamInfo): VersionName | undefined {
    return this.versions(stream).all.at(-1);
  }
}

function compareText(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function nameVersions(catalog: CatalogReader, stream: StreamInfo): VersionList {
  const readable = catalog
    .versions(stream.id)
    .filter(({ header }) => header.sequence >= stream.firstSequence);
  const all = [...versionNames(readable)].map(([{ header }, name]): VersionName => {
    return { sequence: header.sequence, name, finished_ns: header.finished_ns };
  });
  return {
    all,
    bySequence: new Map(all.map((version) => [version.sequence, version])),
    byName: new Map(all.map((version) => [version.name, version])),
  };
}
