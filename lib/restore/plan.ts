// What a restore will do, as data: a walk over one version in path order. Pure: reads the catalog, touches no file.

import { isSafeName, joinPath, printable } from '../bytes/path.js';
import type { CatalogEntry, CatalogReader } from '../catalog/types.js';
import { damaged } from '../errors/index.js';
import type { Selection } from './selection.js';

export type Step =
  /** `isParent`: on the way to something that was asked for, not asked for itself. */
  | {
      readonly kind: 'enter';
      readonly path: Buffer;
      readonly entry: CatalogEntry;
      readonly isParent: boolean;
    }
  /** Everything in the directory that was entered last and not left is done. */
  | { readonly kind: 'leave' }
  /** Anything but a directory. */
  | { readonly kind: 'entry'; readonly path: Buffer; readonly entry: CatalogEntry };

export interface Totals {
  files: number;
  bytes: number;
}

interface Level {
  readonly path: Buffer;
  readonly entry: CatalogEntry;
  readonly isSelected: boolean;
  isEntered: boolean;
  page: CatalogEntry[];
  next: number;
}

/** Rows taken from the catalog at a time, so that no read of it stays open while the caller waits for other things. */
const pageEntries = 256;

/**
 * The steps in path order; the root ('') is entered first and left last. Directories on the way to something selected are
 * entered only once something below them is. Answer an 'enter' with 'skip' and nothing below it comes, nor its 'leave'.
 */
export function* plan(
  catalog: Pick<CatalogReader, 'list'>,
  root: CatalogEntry,
  sequence: number,
  selection: Selection,
): Generator<Step, void, 'skip' | undefined> {
  const page = (entry: CatalogEntry, after?: Buffer): CatalogEntry[] => {
    const found: CatalogEntry[] = [];
    for (const child of catalog.list(entry.directory!, sequence, after)) {
      found.push(child);
      if (found.length === pageEntries) break;
    }
    return found;
  };
  const open = (path: Buffer, entry: CatalogEntry, isSelected: boolean): Level => ({
    path,
    entry,
    isSelected,
    isEntered: false,
    page: page(entry),
    next: 0,
  });

  const levels: Level[] = [open(Buffer.alloc(0), root, selection.matches(Buffer.alloc(0)))];

  /** Enters what is not yet entered, outermost first; false if one of them was answered with 'skip'. */
  function* enter(): Generator<Step, boolean, 'skip' | undefined> {
    let from = levels.length;
    while (from > 0 && !levels[from - 1]!.isEntered) from--;
    for (let index = from; index < levels.length; index++) {
      const { path, entry, isSelected } = levels[index]!;
      const answer = yield { kind: 'enter', path, entry, isParent: !isSelected };
      if (answer === 'skip') {
        levels.length = index;
        return false;
      }
      levels[index]!.isEntered = true;
    }
    return true;
  }

  if (levels[0]!.isSelected && !(yield* enter())) return;
  for (let level = levels.at(-1); level; level = levels.at(-1)) {
    if (level.next === level.page.length && level.page.length === pageEntries) {
      level.page = page(level.entry, level.page.at(-1)!.name);
      level.next = 0;
    }
    const child = level.page[level.next++];
    if (child === undefined) {
      levels.pop();
      if (level.isEntered) yield { kind: 'leave' };
      continue;
    }
    const path = joinPath(level.path, child.name);
    if (!isSafeName(child.name))
      throw damaged(
        'restore.unsafe_name',
        `version ${sequence} has an impossible name at ${printable(path)}`,
      );
    // Asked below a selected directory too: a pattern that only matches there has matched.
    const isSelected = selection.matches(path) || level.isSelected;
    if (child.directory !== undefined) {
      if (!isSelected && !selection.mayHold(path)) continue;
      levels.push(open(path, child, isSelected));
      if (isSelected) yield* enter();
    } else if (isSelected && (yield* enter())) yield { kind: 'entry', path, entry: child };
  }
}
