// Listing a directory of a version: what a mount is asked most. One object is filled in again for each entry, so that a
// listing makes no garbage. Positions are those of the catalog, the same in every thread; nothing is remembered here.

import type { CatalogReader, DirectoryId } from '../../catalog/types.js';
import { isDirectory, noAttributes, rowAttributes, typeMask, type Attributes } from './attributes.js';
import type { DirectoryEntry, ListedEntry } from './index.js';
import { entryNode, nodeId, nodeKinds, rootNode, type NodeId, type View } from './node.js';
import type { TreeOptions } from './options.js';

const noName: Uint8Array = new Uint8Array(0);

export class VersionListing {
  readonly #catalog: CatalogReader;
  readonly #options: TreeOptions;

  constructor(catalog: CatalogReader, options: TreeOptions) {
    this.#catalog = catalog;
    this.#options = options;
  }

  /** See Tree.visit; `directory` is that of `node`. */
  visit(
    { view, upper: sequence }: NodeId,
    directory: DirectoryId,
    position: number,
    expected: number,
    visit: (entry: ListedEntry) => boolean,
  ): void {
    const attributes = noAttributes();
    const { uid, gid } = this.#options;
    const entry = {
      nameBytes: noName,
      nameStart: 0,
      nameEnd: 0,
      node: rootNode,
      type: 0,
      attributes,
      next: 0,
    };
    this.#catalog.visitRows(directory, sequence, position, expected, (row) => {
      rowAttributes(row, attributes);
      if (uid !== undefined) attributes.uid = uid;
      if (gid !== undefined) attributes.gid = gid;
      entry.nameBytes = row.nameBytes;
      entry.nameStart = row.nameStart;
      entry.nameEnd = row.nameEnd;
      entry.node = nodeInVersion(row.id, attributes, view, sequence);
      entry.type = attributes.mode & typeMask;
      entry.next = row.position;
      return visit(entry);
    });
  }

  /** All at once. */
  list(node: NodeId, directory: DirectoryId, position: number): DirectoryEntry[] {
    const entries: DirectoryEntry[] = [];
    this.visit(node, directory, position, Infinity, (entry) => {
      const { nameBytes, nameStart, nameEnd, attributes, ...rest } = entry;
      const name = Buffer.from(nameBytes.subarray(nameStart, nameEnd));
      entries.push({ ...rest, name, ...(attributes && { attributes: { ...attributes } }) });
      return false;
    });
    return entries;
  }
}

export function nodeInVersion(id: number, attributes: Attributes, view: View, sequence: number): NodeId {
  return isDirectory(attributes) ? nodeId(nodeKinds.directory, view, sequence, id) : entryNode(id);
}
