// What a restore will do, as data: a walk over one version in path order. Pure: reads the catalog, touches no file.

import { isSafeName, joinPath, printable } from '../bytes/path.js';
import type { CatalogEntry, CatalogReader, DirectoryId } from '../catalog/types.js';
import { damaged } from '../errors/index.js';
import type { EntryType } from '../manifest/types.js';
import type { Selection } from './selection.js';
import type { Turns } from './turns.js';

/** As much of an entry as the main thread needs. */
export interface PlannedRow {
  readonly name: Buffer;
  /** The same for all names of one file. */
  readonly id: number;
  /** Only for directories. */
  readonly directory: DirectoryId | undefined;
  readonly type: EntryType;
  readonly links: number;
  readonly size_bytes: number;
}

export type Step =
  /** `isParent`: on the way to something that was asked for, not asked for itself. */
  | {
      readonly kind: 'enter';
      readonly path: Buffer;
      readonly row: PlannedRow;
      readonly isParent: boolean;
    }
  /** Everything in the directory that was entered last and not left is done. */
  | { readonly kind: 'leave' }
  /** Anything but a directory. */
  | { readonly kind: 'entry'; readonly path: Buffer; readonly row: PlannedRow };

export interface Totals {
  files: number;
  bytes: number;
}

interface Level {
  readonly path: Buffer;
  readonly row: PlannedRow;
  readonly isSelected: boolean;
  isEntered: boolean;
  page: Page;
  next: number;
}

interface Page {
  readonly rows: PlannedRow[];
  /** Where the catalog goes on behind it. */
  position: number;
}

/** Rows taken from the catalog at a time, so that no read of it stays open while the caller waits for other things. */
const pageEntries = 256;

/**
 * The steps in path order; the root ('') is entered first and left last. Directories on the way to something selected are
 * entered only once something below them is. Answer an 'enter' with 'skip' and nothing below it comes, nor its 'leave'.
 */
export function* plan(
  catalog: Pick<CatalogReader, 'visitRows'>,
  root: CatalogEntry,
  sequence: number,
  selection: Selection,
): Generator<Step, void, 'skip' | undefined> {
  const page = ({ directory }: PlannedRow, position: number): Page => {
    const found: Page = { rows: [], position };
    catalog.visitRows(directory!, sequence, position, pageEntries, (row) => {
      const { nameBytes, nameStart, nameEnd, id, directory, status } = row;
      const { type, links, size_bytes } = status;
      const name = Buffer.from(nameBytes.subarray(nameStart, nameEnd));
      found.rows.push({ name, id, directory, type, links, size_bytes });
      found.position = row.position;
      return found.rows.length === pageEntries;
    });
    return found;
  };
  const open = (path: Buffer, row: PlannedRow, isSelected: boolean): Level => ({
    path,
    row,
    isSelected,
    isEntered: false,
    page: page(row, 0),
    next: 0,
  });

  const levels: Level[] = [open(Buffer.alloc(0), rowOf(root), selection.matches(Buffer.alloc(0)))];

  /** Enters what is not yet entered, outermost first; false if one of them was answered with 'skip'. */
  function* enter(): Generator<Step, boolean, 'skip' | undefined> {
    let from = levels.length;
    while (from > 0 && !levels[from - 1]!.isEntered) from--;
    for (let index = from; index < levels.length; index++) {
      const { path, row, isSelected } = levels[index]!;
      const answer = yield { kind: 'enter', path, row, isParent: !isSelected };
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
    if (level.next === level.page.rows.length && level.page.rows.length === pageEntries) {
      level.page = page(level.row, level.page.position);
      level.next = 0;
    }
    const child = level.page.rows[level.next++];
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
    } else if (isSelected && (yield* enter())) yield { kind: 'entry', path, row: child };
  }
}

function rowOf({ name, id, directory, entry: { type, links, size_bytes } }: CatalogEntry): PlannedRow {
  return { name, id, directory, type, links, size_bytes };
}

/** What a plan of the whole version adds up to, without its steps; undefined if it has a name that `plan` refuses. */
export async function sumOfEverything(
  catalog: Pick<CatalogReader, 'visitRows'>,
  root: CatalogEntry,
  sequence: number,
  turns: Turns,
): Promise<Totals | undefined> {
  const totals = { files: 0, bytes: 0 };
  const left = [root.directory!];
  let isSafe = true;
  for (let next = left.pop(); next !== undefined && isSafe; next = left.pop()) {
    await turns.turn();
    catalog.visitRows(
      next,
      sequence,
      0,
      pageEntries,
      ({ nameBytes, nameStart, nameEnd, directory, status }) => {
        isSafe &&= isSafeStretch(nameBytes, nameStart, nameEnd);
        if (directory !== undefined) left.push(directory);
        else {
          totals.files++;
          totals.bytes += status.size_bytes;
        }
        return !isSafe;
      },
    );
  }
  return isSafe ? totals : undefined;
}

/** isSafeName without a view of the name: this is asked of every entry before anything is written. */
function isSafeStretch(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] === slash || bytes[at] === 0) return false;
  return end - start > 2 || bytes[start] !== dot ? end > start : isSafeName(bytes.subarray(start, end));
}

const slash = 0x2f;
const dot = 0x2e;
