// history/<path>/: every path that ever existed in a source, as a directory.
//
//   <name>/               for every name that ever stood below the path while it was a directory
//   <time><.ext>          one entry per state that the path had as anything but a directory, named after the version in which
//                         the state appeared, with the file's own extension; the entry is that state (file, symlink, …)
//   <time>.deleted        an empty file: in that version the path was gone
//
// A path that was both a file and a directory has both kinds of entries; where a name of the second or third kind is also
// the name of something below, it gets a '~' behind it. Inode numbers of these directories are hashes of their paths, so
// that a table must lead back: it holds what the kernel holds, and all requests for history go to one thread.
//
// A directory here stands for all states that its path ever had, and lets in only whom each of them lets in: whoever may search
// and list it as a directory, and read it as a file. So nothing shows here that a version's own tree refuses.

import { ancestorPaths, joinPath, parentAndName } from '../../bytes/path.js';
import { sha256 } from '../../crypto/index.js';
import type { CatalogEntry, CatalogReader, StreamInfo } from '../../catalog/types.js';
import type { Entry, Xattr } from '../../manifest/types.js';
import { asAncestor, asDirectory, enforce, strictest, type Access } from './access.js';
import {
  madeUpDirectory,
  madeUpFile,
  entryAttributes,
  typeBits,
  typeMask,
  type Attributes,
  type Owner,
} from './attributes.js';
import type { DirectoryEntry, Found } from './index.js';
import { entryNode, nodeId, nodeKinds, nodeNumber, type NodeId, type View } from './node.js';
import { streamNumber, type Streams } from './streams.js';

export interface HistoryPath {
  readonly stream: string;
  readonly view: View;
  readonly path: Buffer;
}

export interface HistoryLook {
  /** Of what only the mount has. */
  readonly owner: Owner;
  /** What is shown begins at this path: nobody comes through the directories above it, so that it stands for them, too. */
  readonly top: Buffer;
  /** Puts in what stands in all attributes of the mount. */
  shown(attributes: Attributes): Attributes;
  /** Under the owner and the group that are shown. */
  accessOf(entry: Entry): Access;
}

/** Longer 'extensions' are not extensions, and the name has to stay below 255 bytes. */
const maximumExtension_bytes = 32;
const keptListings = 4;

interface State {
  readonly name: Buffer;
  readonly node: NodeId;
  readonly attributes: Attributes;
}

export class History {
  readonly #catalog: CatalogReader;
  readonly #streams: Streams;
  readonly #known = new Map<bigint, { readonly at: HistoryPath; lookups: number }>();
  /** Listings under way: later pages of a listing come from what its first page saw. */
  readonly #listings = new Map<string, DirectoryEntry[]>();

  readonly #look: HistoryLook;

  constructor(catalog: CatalogReader, streams: Streams, look: HistoryLook) {
    this.#catalog = catalog;
    this.#streams = streams;
    this.#look = look;
  }

  /** Paths that the kernel knows at present. */
  get size(): number {
    return this.#known.size;
  }

  path(node: NodeId): HistoryPath | undefined {
    return this.#known.get(nodeNumber(node))?.at;
  }

  forget(node: NodeId, lookups: number): void {
    const number = nodeNumber(node);
    const known = this.#known.get(number);
    if (known === undefined) return;
    known.lookups -= lookups;
    if (known.lookups <= 0) this.#known.delete(number);
  }

  /** Counts one lookup for a path below history/. */
  lookup(parent: HistoryPath, name: Buffer): Found | undefined {
    const stream = this.#catalog.stream(parent.stream);
    if (stream === undefined) return undefined;
    const at = { ...parent, path: joinPath(parent.path, name) };
    const attributes = this.attributes(stream, at);
    if (attributes === undefined) {
      const state = this.#states(stream, parent).find((candidate) => candidate.name.equals(name));
      return state && { node: state.node, attributes: state.attributes };
    }
    const node = historyNode(at);
    const known = this.#known.get(nodeNumber(node));
    if (known === undefined) this.#known.set(nodeNumber(node), { at, lookups: 1 });
    else known.lookups++;
    return { node, attributes };
  }

  /** undefined where no version ever had the path. */
  attributes(stream: StreamInfo, at: HistoryPath): Attributes | undefined {
    const access = this.#access(stream, at);
    if (access === undefined) return undefined;
    const time_ns = this.#streams.newest_ns([stream]);
    return madeUpDirectory(access, time_ns, enforce(access).permissions);
  }

  /** The ACL that stands beside the attributes. */
  xattrs(stream: StreamInfo, at: HistoryPath): Xattr[] {
    const access = this.#access(stream, at);
    const acl = access && enforce(access).acl;
    return acl === undefined ? [] : [acl];
  }

  #access(stream: StreamInfo, at: HistoryPath): Access | undefined {
    const states = this.#catalog.history(stream.id, at.path).map(({ entry }) => entry);
    const newest = states.findLast(isDirectoryEntry) ?? states.at(-1);
    if (newest === undefined) return undefined;
    const accesses = states
      // Everybody may read a symlink that he can reach.
      .filter(({ type }) => type !== 'symlink')
      .map((entry) => {
        const access = this.#look.accessOf(entry);
        return isDirectoryEntry(entry) ? access : asDirectory(access);
      });
    if (at.path.equals(this.#look.top))
      for (const path of ancestorPaths(at.path))
        for (const { entry } of this.#catalog.history(stream.id, path))
          if (isDirectoryEntry(entry)) accesses.unshift(asAncestor(this.#look.accessOf(entry)));
    const open = this.#look.accessOf({ ...newest, mode: 0o555, xattrs: [] });
    return strictest(accesses.length === 0 ? [open] : accesses);
  }

  list(at: HistoryPath, position: number): readonly DirectoryEntry[] {
    const stream = this.#catalog.stream(at.stream);
    if (stream === undefined) return [];
    const key = `${at.view}${at.stream}${at.path.toString('latin1')}`;
    const kept = this.#listings.get(key);
    if (position > 0 && kept !== undefined) return kept.slice(position);
    const entries = [...this.#children(at), ...this.#states(stream, at)].map((entry, index) => ({
      type: typeBits.directory,
      ...entry,
      next: index + 1,
    }));
    this.#listings.delete(key);
    this.#listings.set(key, entries);
    const [oldest] = this.#listings.keys();
    if (this.#listings.size > keptListings && oldest !== undefined) this.#listings.delete(oldest);
    return entries.slice(position);
  }

  *#children(at: HistoryPath): Generator<{ name: Buffer; node: NodeId }> {
    const directory = this.#catalog.directoryEver(at.stream, at.path);
    if (directory === undefined) return;
    for (const { name } of this.#catalog.namesEver(directory)) {
      yield { name, node: historyNode({ ...at, path: joinPath(at.path, name) }) };
    }
  }

  #states(stream: StreamInfo, at: HistoryPath): (State & { readonly type: number })[] {
    const extension = extensionOf(parentAndName(at.path).name);
    const states = this.#catalog.history(stream.id, at.path);
    const wasDirectory = states.some((state) => state.entry.type === 'directory');
    const found: (State & { readonly type: number })[] = [];
    const add = (name: Buffer, node: NodeId, attributes: Attributes): void => {
      let free = name;
      while (wasDirectory && this.#catalog.history(stream.id, joinPath(at.path, free)).length > 0) {
        free = Buffer.concat([free, Buffer.from('~')]);
      }
      found.push({
        name: free,
        node,
        attributes: this.#look.shown(attributes),
        type: attributes.mode & typeMask,
      });
    };
    states.forEach((state, index) => {
      if (state.entry.type !== 'directory') {
        const name = Buffer.concat([Buffer.from(this.#time(stream, state.from)), extension]);
        add(name, entryNode(state.id), entryAttributes(state.entry));
      }
      if (isDeletion(state, states[index + 1])) {
        const marker = nodeId(nodeKinds.deleted, at.view, state.to, streamNumber(stream.id));
        const time_ns = this.#streams.versions(stream).bySequence.get(state.to)?.finished_ns ?? 0n;
        add(
          Buffer.from(`${this.#time(stream, state.to)}.deleted`),
          marker,
          madeUpFile(this.#look.owner, time_ns),
        );
      }
    });
    return found;
  }

  #time(stream: StreamInfo, sequence: number): string {
    return this.#streams.versions(stream).bySequence.get(sequence)?.name ?? `version-${sequence}`;
  }
}

function isDirectoryEntry({ type }: Entry): boolean {
  return type === 'directory';
}

function isDeletion(state: CatalogEntry, next: CatalogEntry | undefined): boolean {
  return Number.isFinite(state.to) && (next === undefined || next.from > state.to);
}

function historyNode(at: HistoryPath): NodeId {
  const hash = sha256(Buffer.concat([Buffer.from(`${at.view} ${at.stream} `), at.path]));
  return nodeId(nodeKinds.history, at.view, hash.readUIntBE(0, 3) >>> 4, hash.readUIntBE(3, 5));
}

/** '.gz' of 'a.tar.gz'; nothing of '.profile', 'Makefile', 'strange.'. */
function extensionOf(name: Buffer): Buffer {
  const dot = name.lastIndexOf(0x2e);
  const extension = dot <= 0 || dot === name.length - 1 ? Buffer.alloc(0) : name.subarray(dot);
  return extension.length > maximumExtension_bytes ? Buffer.alloc(0) : extension;
}
