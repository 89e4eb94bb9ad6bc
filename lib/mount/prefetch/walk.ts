// The files of a version in path order from one file on: the order in which `cp -r`, `tar` and `grep -r` read, and in which a
// backup packed them. Range reads of the catalog, page by page, as far as somebody asks.

import type { CatalogEntry, CatalogReader, DirectoryId } from '../../catalog/types.js';
import { FileLayout } from '../cache/file-layout.js';

export type WalkCatalog = Pick<
  CatalogReader,
  'entryById' | 'directoryById' | 'list' | 'placeOf' | 'directoryPlace'
>;

const page_entries = 48;

export interface WalkedFile {
  /** CatalogEntry.id */
  readonly row: number;
  /** Where its name stands. */
  readonly directory: DirectoryId;
  /** The first version that has it so. */
  readonly from: number;
  readonly layout: FileLayout;
}

/** undefined for a row that is no file. */
export function fileOf(catalog: WalkCatalog, row: number): WalkedFile | undefined {
  const place = catalog.placeOf(row);
  const found = catalog.entryById(row);
  if (place === undefined || found?.entry.type !== 'file') return undefined;
  return { row, directory: place.directory, from: found.from, layout: new FileLayout(found.entry) };
}

/** The file itself first. Ends with the last file of the version. */
export function* filesFrom(
  catalog: WalkCatalog,
  file: WalkedFile,
  sequence: number,
): Generator<WalkedFile, void> {
  yield file;
  let at = catalog.placeOf(file.row);
  for (; at !== undefined; at = catalog.directoryPlace(at.directory)) {
    yield* filesBehind(catalog, at.directory, sequence, at.name);
  }
}

function* filesBehind(
  catalog: WalkCatalog,
  directory: DirectoryId,
  sequence: number,
  name?: Uint8Array,
): Generator<WalkedFile, void> {
  let after = name;
  for (let isMore = true; isMore;) {
    // A listing holds what it has read until it ends, and a walk may rest in many of them.
    const page: CatalogEntry[] = [];
    for (const found of catalog.list(directory, sequence, after))
      if (page.push(found) === page_entries) break;
    isMore = page.length === page_entries;
    after = page.at(-1)?.name;
    for (const { id, entry, from, directory: below } of page) {
      if (entry.type === 'file') yield { row: id, directory, from, layout: new FileLayout(entry) };
      else if (below !== undefined) yield* filesBehind(catalog, below, sequence);
    }
  }
}
