// What one version of a stream has that another has not. Only names that the versions in between touched are compared; they
// are walked in path order, directory by directory, without a list of whole paths.

import { joinPath } from '../bytes/path.js';
import type { Entry, Row, Segment, Xattr } from '../manifest/types.js';
import type { Tables } from './database.js';
import { catalogDamaged } from './failure.js';
import { childKey, directoryKey, numberKey, toDirectory, toDirectoryPlace, toTouched } from './records.js';
import { stateAt } from './lookup.js';
import { above, entryBytesOf, entryOf } from './state.js';
import type { CatalogEntry, CatalogReader, Change, DirectoryId } from './types.js';

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

function sameSegment(a: Segment, b: Segment): boolean {
  if (a.size_bytes !== b.size_bytes) return false;
  if (a.kind === 'hole' || b.kind === 'hole') return a.kind === b.kind;
  return sameBytes(a.id, b.id);
}

const sameXattr = (a: Xattr, b: Xattr): boolean => sameBytes(a.name, b.name) && sameBytes(a.value, b.value);

const sameList = <T>(a: readonly T[], b: readonly T[], same: (a: T, b: T) => boolean): boolean =>
  a.length === b.length && a.every((item, index) => same(item, b[index]!));

const sameContent = (a: Entry, b: Entry): boolean =>
  a.type === b.type &&
  a.size_bytes === b.size_bytes &&
  a.rdevMajor === b.rdevMajor &&
  a.rdevMinor === b.rdevMinor &&
  sameBytes(a.target, b.target) &&
  sameList(a.content, b.content, sameSegment);

const sameAttributes = (a: Entry, b: Entry): boolean =>
  a.mode === b.mode &&
  a.uid === b.uid &&
  a.gid === b.gid &&
  a.mtime_ns === b.mtime_ns &&
  sameList(a.xattrs, b.xattrs, sameXattr);

/** The same thing under another name: a directory by its inode, anything else by inode, content and mtime. */
const isMove = (before: Entry, after: Entry): boolean =>
  before.inode === after.inode &&
  (before.type === 'directory'
    ? after.type === 'directory' && before.device === after.device
    : before.mtime_ns === after.mtime_ns && sameContent(before, after));

/** Rows of the catalog, not decoded yet. */
interface States {
  readonly before: Buffer | undefined;
  readonly after: Buffer | undefined;
}

const areSame = ({ before, after }: States): boolean =>
  before !== undefined && after !== undefined && sameBytes(entryBytesOf(before), entryBytesOf(after));

/** Names to look at, by directory. Latin-1 strings hold raw bytes in one byte each. */
type TouchedNames = Map<DirectoryId, Set<string>>;

/** Where the walk begins: the stream's short number, and its root's name. */
export interface StreamRoot {
  readonly number: number;
  readonly name: Buffer;
}

export function* compareVersions(
  reader: CatalogReader,
  tables: Tables,
  stream: StreamRoot | undefined,
  from: number,
  to: number,
): Generator<Change, void, undefined> {
  if (stream === undefined || from === to) return;
  const comparison = new Comparison(reader, tables, stream, from, to);
  const whole = from === 0 || to === 0;
  yield* whole ? comparison.wholeTree() : comparison.touchedNames();
}

class Comparison {
  readonly #reader: CatalogReader;
  readonly #tables: Tables;
  readonly #stream: StreamRoot;
  readonly #from: number;
  readonly #to: number;

  constructor(reader: CatalogReader, tables: Tables, stream: StreamRoot, from: number, to: number) {
    this.#reader = reader;
    this.#tables = tables;
    this.#stream = stream;
    this.#from = from;
    this.#to = to;
  }

  /** One of the two versions is the empty tree. */
  *wholeTree(): Generator<Change, void, undefined> {
    const isAdding = this.#from === 0;
    const sequence = isAdding ? this.#to : this.#from;
    const root = this.#reader.lookup(above, this.#stream.name, sequence);
    if (root === undefined) return;
    for (const { path, found } of walkTree(this.#reader, root, sequence)) {
      yield isAdding
        ? { kind: 'added', path, after: found.entry }
        : { kind: 'removed', path, before: found.entry };
    }
  }

  *touchedNames(): Generator<Change, void, undefined> {
    const touched = this.#touched();
    const moves = this.#moves(touched);
    for (const { path, ...states } of this.#compare(touched)) {
      if (areSame(states)) continue;
      const before = states.before && entryOf(states.before);
      const after = states.after && entryOf(states.after);
      if (before === undefined) {
        if (after === undefined) continue;
        const movedFrom = moves.byTarget.get(path.toString('latin1'));
        yield movedFrom === undefined
          ? { kind: 'added', path, after }
          : { kind: 'moved', path, movedFrom: movedFrom.path, before: movedFrom.entry, after };
      } else if (after === undefined) {
        if (!moves.sources.has(path.toString('latin1'))) yield { kind: 'removed', path, before };
      } else if (!sameContent(before, after)) {
        yield { kind: 'changed', path, before, after };
      } else if (!sameAttributes(before, after)) {
        yield { kind: 'metadata', path, before, after };
      }
    }
  }

  /** What was touched in between, and the directories that lead there. */
  #touched(): TouchedNames {
    const names: TouchedNames = new Map();
    const note = (directory: DirectoryId, name: string): boolean => {
      const known = names.get(directory);
      if (known === undefined) names.set(directory, new Set([name]));
      else known.add(name);
      return known === undefined;
    };
    const first = Math.min(this.#from, this.#to) + 1;
    const last = Math.max(this.#from, this.#to);
    const pages = this.#tables.touched.scan(
      numberKey(this.#stream.number, first),
      numberKey(this.#stream.number, last + 1),
    );
    for (const { value } of pages) {
      for (const { directory, name } of toTouched(value)) {
        let isNew = note(directory, name.toString('latin1'));
        for (let below = directory; isNew && below !== above;) {
          const place = this.#tables.directories.get(directoryKey(below));
          if (place === undefined) throw catalogDamaged(`directory ${below} is missing`);
          const { parent, name: own } = toDirectoryPlace(place);
          isNew = note(parent, own.toString('latin1'));
          below = parent;
        }
      }
    }
    return names;
  }

  /** Both states of every touched name, in path order. */
  *#compare(names: TouchedNames): Generator<{ path: Buffer } & States, void, undefined> {
    const at = (directory: DirectoryId, name: Buffer, sequence: number): Buffer | undefined =>
      stateAt(this.#tables.nodes, directory, name, sequence);
    const levels = [this.#level(names, above, undefined)];
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const next = level.names.next();
      if (next.done === true) {
        levels.pop();
        continue;
      }
      const name = Buffer.from(next.value, 'latin1');
      const path = level.path === undefined ? Buffer.alloc(0) : joinPath(level.path, name);
      const before = at(level.directory, name, this.#from);
      const after = at(level.directory, name, this.#to);
      yield { path, before, after };
      const below = this.#tables.children.get(childKey(level.directory, name));
      if (below !== undefined) levels.push(this.#level(names, toDirectory(below), path));
    }
  }

  #level(names: TouchedNames, directory: DirectoryId, path: Buffer | undefined) {
    const touched =
      directory === above ? [this.#stream.name.toString('latin1')] : [...(names.get(directory) ?? [])];
    return { directory, path, names: touched.sort(byCodeUnit)[Symbol.iterator]() };
  }

  #moves(names: TouchedNames) {
    const sources = new Set<string>();
    const byTarget = new Map<string, { path: Buffer; entry: Entry }>();
    const removed = new Map<bigint, Buffer[]>();
    for (const { path, before, after } of this.#compare(names)) {
      if (before === undefined || after !== undefined) continue;
      const { inode } = entryOf(before);
      const paths = removed.get(inode);
      if (paths === undefined) removed.set(inode, [path]);
      else paths.push(path);
    }
    if (removed.size === 0) return { sources, byTarget };
    for (const { path, before, after } of this.#compare(names)) {
      if (before !== undefined || after === undefined) continue;
      const added = entryOf(after);
      const candidates = removed.get(added.inode) ?? [];
      for (const [index, candidate] of candidates.entries()) {
        const entry = this.#reader.find(this.#stream.name.toString('latin1'), this.#from, candidate)?.entry;
        if (entry === undefined || !isMove(entry, added)) continue;
        candidates.splice(index, 1);
        sources.add(candidate.toString('latin1'));
        byTarget.set(path.toString('latin1'), { path: candidate, entry });
        break;
      }
    }
    return { sources, byTarget };
  }
}

/** Latin-1 strings in the byte order of what they stand for. */
const byCodeUnit = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Every entry of a version, depth first, in path order. Memory: the depth of the tree. */
export function* walkTree(
  reader: CatalogReader,
  root: CatalogEntry,
  sequence: number,
): Generator<{ path: Buffer; found: CatalogEntry }, void, undefined> {
  yield { path: Buffer.alloc(0), found: root };
  if (root.directory === undefined) return;
  const levels: { path: Buffer; entries: IterableIterator<CatalogEntry> }[] = [
    { path: Buffer.alloc(0), entries: reader.list(root.directory, sequence) },
  ];
  for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
    const next = level.entries.next();
    if (next.done === true) {
      levels.pop();
      continue;
    }
    const path = joinPath(level.path, next.value.name);
    yield { path, found: next.value };
    const { directory } = next.value;
    if (directory !== undefined) levels.push({ path, entries: reader.list(directory, sequence) });
  }
}

/** The same as rows, as a checkpoint has them; none of a version that is not there. */
export function* treeRows(reader: CatalogReader, stream: string, sequence: number): Generator<Row> {
  const root = reader.root(stream, sequence);
  if (root === undefined) return;
  for (const { path, found } of walkTree(reader, root, sequence))
    yield { op: 'added', path, entry: found.entry };
}
