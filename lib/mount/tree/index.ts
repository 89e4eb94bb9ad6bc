// The virtual tree that both drivers serve: which names there are, what they are, where their bytes come from. Synchronous,
// against the catalog alone; knows no kernel and no protocol. A name or node that is not there is undefined, never an error.
//
//   /                      the sources of one host, and hosts/ (a source named 'hosts' is reached through hosts/ only)
//   /<source>/             one directory per version, current → the newest, history/
//   /hosts/<host>/<source>/  the same for every host, or for that one host alone
//   /.trackerignore        empty; keeps indexers from reading, and so fetching, everything

import { ancestorPaths } from '../../bytes/path.js';
import type { CatalogReader, DirectoryId, StreamInfo } from '../../catalog/types.js';
import { blankEntry, type Entry, type Xattr } from '../../manifest/types.js';
import { accessOf, asAncestor, enforce, isOpen, strictest, withAcl, type Enforced } from './access.js';
import {
  entryAttributes,
  isDirectory,
  madeUpDirectory,
  madeUpFile,
  madeUpSymlink,
  rowAttributes,
  typeBits,
  type Attributes,
  type Owner,
} from './attributes.js';
import { History, type HistoryPath } from './history.js';
import { nodeInVersion, VersionListing } from './listing.js';
import {
  entryRow,
  hostsNode,
  noIndexNode,
  nodeId,
  nodeKinds,
  rootNode,
  type NodeId,
  type View,
} from './node.js';
import type { TreeOptions } from './options.js';
import { hostNumber, safeName, streamNumber, Streams, type VersionName } from './streams.js';

export interface Found {
  readonly node: NodeId;
  readonly attributes: Attributes;
}

export interface DirectoryEntry {
  readonly name: Buffer;
  readonly node: NodeId;
  /** Type bits of st_mode. */
  readonly type: number;
  /** undefined where they cost more than a listing is worth: whoever wants them looks the name up. */
  readonly attributes?: Attributes;
  /** Where a listing goes on behind this entry. */
  readonly next: number;
}

/** An entry of a listing under way: its name is a part of `nameBytes`. The visitor's only until it returns. */
export interface ListedEntry extends Omit<DirectoryEntry, 'name'> {
  readonly nameBytes: Uint8Array;
  readonly nameStart: number;
  readonly nameEnd: number;
}

/** Totals for df. */
export interface Totals {
  readonly bytes: number;
  readonly files: number;
}

const permissionBits = 0o777;
const historyName = Buffer.from('history');
const currentName = Buffer.from('current');
const hostsName = Buffer.from('hosts');
/** What GNOME's indexer, or that of macOS, looks for in a directory that it shall leave alone. */
const noIndexName = process.platform === 'darwin' ? '.metadata_never_index' : '.trackerignore';

export class Tree {
  readonly history: History;
  readonly #catalog: CatalogReader;
  readonly #streams: Streams;
  readonly #listing: VersionListing;
  readonly #options: TreeOptions;
  readonly #path: Buffer;
  readonly #madeUpOwner: Owner;

  constructor(catalog: CatalogReader, options: TreeOptions) {
    this.#catalog = catalog;
    this.#options = options;
    this.#streams = new Streams(catalog, options);
    this.#listing = new VersionListing(catalog, options);
    this.#path = Buffer.from(options.path ?? []);
    this.#madeUpOwner = { uid: options.uid ?? options.owner.uid, gid: options.gid ?? options.owner.gid };
    this.history = new History(catalog, this.#streams, {
      owner: this.#madeUpOwner,
      top: this.#path,
      shown: (attributes) => this.#shown(attributes),
      accessOf: (entry) => accessOf(entry, options),
    });
  }

  /** Names in it and its attributes never change: what a version holds. */
  isImmutable(node: NodeId): boolean {
    return node.kind !== nodeKinds.fixed && node.kind !== nodeKinds.stream && node.kind !== nodeKinds.history;
  }

  /** Its requests must all go to one thread, which has the table of paths. */
  isHistory(node: NodeId): boolean {
    return node.kind === nodeKinds.history || (node.kind === nodeKinds.stream && node.upper === 1);
  }

  lookup(parent: NodeId, name: Buffer): Found | undefined {
    if (parent.kind === nodeKinds.directory) {
      const directory = this.#directory(parent);
      if (directory === undefined) return undefined;
      const row = this.#catalog.lookupRow(directory, name, parent.upper);
      return row && this.#found(row.id, rowAttributes(row), parent.view, parent.upper);
    }
    const at = this.#historyPath(parent);
    if (at !== undefined) return this.history.lookup(at, name);
    if (parent.kind === nodeKinds.stream) return this.#lookupInSource(parent, name);
    if (parent.kind !== nodeKinds.fixed) return undefined;
    for (const entry of this.#fixedEntries(parent)) {
      if (!entry.name.equals(name)) continue;
      const attributes = this.getattr(entry.node);
      return attributes && { node: entry.node, attributes };
    }
    return undefined;
  }

  getattr(node: NodeId): Attributes | undefined {
    switch (node.kind) {
      case nodeKinds.entry: {
        const row = this.#catalog.row(entryRow(node));
        return row && this.#shown(rowAttributes(row));
      }
      case nodeKinds.directory: {
        const row = this.#directory(node) === undefined ? undefined : this.#catalog.row(node.lower);
        return row && this.#closed(node, rowAttributes(row));
      }
      case nodeKinds.fixed:
        return this.#fixedAttributes(node);
      case nodeKinds.stream:
      case nodeKinds.history: {
        const at = this.#historyPath(node);
        const stream =
          at === undefined ? this.#streams.byNumber(node.lower) : this.#catalog.stream(at.stream);
        if (stream === undefined) return undefined;
        if (at === undefined) return this.#growing([stream]);
        return this.history.attributes(stream, at);
      }
      case nodeKinds.deleted: {
        const version = this.#version(node);
        return version && madeUpFile(this.#madeUpOwner, version.finished_ns);
      }
      case nodeKinds.current: {
        const version = this.#version(node);
        return version && madeUpSymlink(this.#madeUpOwner, version.finished_ns, Buffer.from(version.name));
      }
    }
  }

  /**
   * Visits entries from `position` on (0, or the `next` of an entry) until `visit` says true. Whoever has room for about
   * `expected` entries says so. False for what is not a directory.
   */
  visit(node: NodeId, position: number, expected: number, visit: (entry: ListedEntry) => boolean): boolean {
    if (node.kind === nodeKinds.directory) {
      const directory = this.#directory(node);
      if (directory === undefined) return false;
      this.#listing.visit(node, directory, position, expected, visit);
      return true;
    }
    const entries = this.readdir(node, position);
    if (entries === undefined) return false;
    for (const { name, ...rest } of entries)
      if (visit({ ...rest, nameBytes: name, nameStart: 0, nameEnd: name.length })) break;
    return true;
  }

  /** The same for those who are in no hurry. undefined for what is not a directory. */
  readdir(node: NodeId, position: number): Iterable<DirectoryEntry> | undefined {
    if (node.kind === nodeKinds.directory) {
      const directory = this.#directory(node);
      return directory === undefined ? undefined : this.#listing.list(node, directory, position);
    }
    const at = this.#historyPath(node);
    if (at !== undefined) return this.history.list(at, position);
    if (node.kind === nodeKinds.stream) {
      const stream = this.#streams.byNumber(node.lower);
      return stream && this.#listSource(stream, node.view, position);
    }
    const attributes = node.kind === nodeKinds.fixed ? this.getattr(node) : undefined;
    if (attributes === undefined || !isDirectory(attributes)) return undefined;
    return this.#fixedEntries(node).slice(position);
  }

  /** undefined for what is not a symlink. */
  readlink(node: NodeId): Uint8Array | undefined {
    if (node.kind === nodeKinds.current) {
      const version = this.#version(node);
      return version && Buffer.from(version.name);
    }
    const target =
      node.kind === nodeKinds.entry ? this.#catalog.extrasById(entryRow(node))?.target : undefined;
    return target === undefined || target.length === 0 ? undefined : target;
  }

  /** undefined for a node that is not there. */
  xattrs(node: NodeId): readonly Xattr[] | undefined {
    if (node.kind === nodeKinds.entry) return this.#catalog.extrasById(entryRow(node))?.xattrs;
    if (node.kind === nodeKinds.directory) {
      if (this.#directory(node) === undefined) return undefined;
      const xattrs = this.#catalog.extrasById(node.lower)?.xattrs;
      const closed = this.#top(node);
      return closed && xattrs ? withAcl(xattrs, closed.acl) : xattrs;
    }
    const at = this.#historyPath(node);
    const stream = at && this.#catalog.stream(at.stream);
    if (stream !== undefined) return this.history.xattrs(stream, at!);
    return this.getattr(node) === undefined ? undefined : [];
  }

  /** One that programs ask every file for, and that nothing in the whole mount has. */
  isUnheardOf(xattr: Uint8Array): boolean {
    return this.#catalog.isUnheardOf(xattr);
  }

  /** The backed-up entry behind a node; undefined for what only the mount has. */
  entry(node: NodeId): Entry | undefined {
    if (node.kind === nodeKinds.entry) return this.#catalog.entryById(entryRow(node))?.entry;
    return this.#directory(node) === undefined ? undefined : this.#catalog.entryById(node.lower)?.entry;
  }

  totals(): Totals {
    let bytes = 0;
    let files = 0;
    for (const stream of this.#streams.all()) {
      const statistics = this.#catalog.version(stream.id, stream.head)?.header.statistics;
      bytes += statistics?.bytes ?? 0;
      files += (statistics?.files ?? 0) + (statistics?.directories ?? 0) + (statistics?.others ?? 0);
    }
    return { bytes, files };
  }

  /** Lets the next question see what was committed since. */
  refresh(): void {
    this.#catalog.refresh();
  }

  #found(id: number, attributes: Attributes, view: View, sequence: number): Found {
    return { node: nodeInVersion(id, attributes, view, sequence), attributes: this.#shown(attributes) };
  }

  /** With the owner and the group that are to stand in every entry. */
  #shown(attributes: Attributes): Attributes {
    const { uid, gid } = this.#options;
    if (uid === undefined && gid === undefined) return attributes;
    return { ...attributes, uid: uid ?? attributes.uid, gid: gid ?? attributes.gid };
  }

  /** The root of a version is as closed as the directories above it, which nobody goes through here. */
  #closed(node: NodeId, attributes: Attributes): Attributes {
    const closed = this.#top(node);
    if (closed === undefined) return this.#shown(attributes);
    const { uid, gid, permissions } = closed;
    return { ...attributes, uid, gid, mode: (attributes.mode & ~permissionBits) | permissions };
  }

  /** What is enforced of a directory that is the root of a version, though not of the source; undefined for all others. */
  #top(node: NodeId): Enforced | undefined {
    if (this.#path.length === 0) return undefined;
    const directory = this.#directory(node);
    for (const { id } of this.#streams.all()) {
      const own = this.#catalog.find(id, node.upper, this.#path);
      if (own === undefined || own.directory !== directory) continue;
      const above = Array.from(ancestorPaths(this.#path), (path) => {
        const entry = this.#catalog.find(id, node.upper, path)?.entry ?? blankEntry;
        return asAncestor(accessOf(entry, this.#options));
      });
      if (above.every(isOpen)) return undefined;
      return enforce(strictest([...above, accessOf(own.entry, this.#options)]));
    }
    return undefined;
  }

  #directory(node: NodeId): DirectoryId | undefined {
    if (node.kind !== nodeKinds.directory) return undefined;
    const directory = this.#catalog.directoryById(node.lower);
    if (directory === undefined || !this.#catalog.isReadable(directory, node.upper)) return undefined;
    return directory;
  }

  #historyPath(node: NodeId): HistoryPath | undefined {
    if (node.kind === nodeKinds.history) return this.history.path(node);
    if (node.kind !== nodeKinds.stream || node.upper !== 1) return undefined;
    const stream = this.#streams.byNumber(node.lower);
    return stream && { stream: stream.id, view: node.view, path: this.#path };
  }

  #version(node: NodeId): VersionName | undefined {
    const stream = this.#streams.byNumber(node.lower);
    return stream && this.#streams.versions(stream).bySequence.get(node.upper);
  }

  #growing(streams: readonly StreamInfo[]): Attributes {
    return madeUpDirectory(this.#madeUpOwner, this.#streams.newest_ns(streams));
  }

  #lookupInSource(node: NodeId, name: Buffer): Found | undefined {
    const stream = this.#streams.byNumber(node.lower);
    if (stream === undefined) return undefined;
    const fixed = this.#fixedInSource(stream, node.view).find((entry) => entry.name.equals(name));
    if (fixed !== undefined) {
      const attributes = this.getattr(fixed.node);
      return attributes && { node: fixed.node, attributes };
    }
    const version = this.#streams.versions(stream).byName.get(name.toString('latin1'));
    return version && this.#versionRoot(stream, version, node.view);
  }

  #versionRoot(stream: StreamInfo, version: VersionName, view: View): Found | undefined {
    const root = this.#catalog.find(stream.id, version.sequence, this.#path);
    if (root === undefined) return undefined;
    const { node, attributes } = this.#found(root.id, entryAttributes(root.entry), view, version.sequence);
    return { node, attributes: this.#closed(node, attributes) };
  }

  #fixedInSource(stream: StreamInfo, view: View): DirectoryEntry[] {
    const newest = this.#streams.newestVersion(stream);
    if (newest === undefined) return [];
    const number = streamNumber(stream.id);
    const current = nodeId(nodeKinds.current, view, newest.sequence, number);
    const history = nodeId(nodeKinds.stream, view, 1, number);
    const entries: DirectoryEntry[] = [];
    const add = (name: Buffer, node: NodeId, type: number): void => {
      entries.push({ name, node, type, next: entries.length + 1 });
    };
    // Nobody shall take an old version for the newest one.
    if (!stream.endsInGap) add(currentName, current, typeBits.symlink);
    if (this.#options.hidesHistory !== true) add(historyName, history, typeBits.directory);
    return entries;
  }

  *#listSource(stream: StreamInfo, view: View, position: number): Generator<DirectoryEntry> {
    const fixed = this.#fixedInSource(stream, view);
    yield* fixed.slice(position);
    const versions = this.#streams.versions(stream).all;
    for (let index = Math.max(0, position - fixed.length); index < versions.length; index++) {
      const version = versions[index]!;
      const root = this.#versionRoot(stream, version, view);
      const next = fixed.length + index + 1;
      if (root !== undefined)
        yield { name: Buffer.from(version.name), type: typeBits.directory, next, ...root };
    }
  }

  #fixedAttributes(node: NodeId): Attributes | undefined {
    if (node.upper === 0) {
      if (node.lower === noIndexNode.lower) return madeUpFile(this.#madeUpOwner, 0n);
      return node.lower <= hostsNode.lower && node.lower > 0 ? this.#growing(this.#streams.all()) : undefined;
    }
    const host = this.#hostOf(node);
    return host === undefined ? undefined : this.#growing(this.#streams.ofHost(host));
  }

  #hostOf(node: NodeId): string | undefined {
    return this.#streams.hosts().find((host) => hostNumber(host) === node.lower);
  }

  #fixedEntries(node: NodeId): DirectoryEntry[] {
    const entries = new Map<string, NodeId>();
    if (node.upper === 1) {
      const host = this.#hostOf(node);
      if (host !== undefined) this.#addSources(entries, host, 1);
    } else if (node.lower === rootNode.lower) {
      entries.set(noIndexName, noIndexNode);
      entries.set(hostsName.toString(), hostsNode);
      this.#addSources(entries, this.#options.host, 0);
    } else {
      for (const host of this.#streams.hosts()) {
        addFirst(entries, safeName(host), nodeId(nodeKinds.fixed, 0, 1, hostNumber(host)));
      }
    }
    return [...entries].map(([name, child], index) => {
      const type = child === noIndexNode ? typeBits.file : typeBits.directory;
      return { name: Buffer.from(name), node: child, type, next: index + 1 };
    });
  }

  #addSources(entries: Map<string, NodeId>, host: string, view: View): void {
    for (const stream of this.#streams.ofHost(host)) {
      addFirst(entries, safeName(stream.source), nodeId(nodeKinds.stream, view, 0, streamNumber(stream.id)));
    }
  }
}

function addFirst(entries: Map<string, NodeId>, name: string, node: NodeId): void {
  if (!entries.has(name)) entries.set(name, node);
}
