// Everything that comparing a tree finds, in path order, as plain data for tests.

import { Comparison, type CompareOptions } from '../../lib/backup/compare.js';
import {
  type Findings,
  type Found,
  type Place,
  type Previous,
  rootPlace,
} from '../../lib/backup/findings.js';
import { makeExcludes } from '../../lib/backup/exclude.js';
import { Skipped } from '../../lib/backup/skipped.js';
import { fileEntryOf, typeOf } from '../../lib/backup/status-entry.js';
import type { Entry } from '../../lib/manifest/types.js';
import { holdRoot } from '../../lib/posix/directory.js';
import { MemoryCatalog } from '../restore/memory-catalog.js';

export interface Difference {
  readonly kind: 'added' | 'changed' | 'metadata' | 'removed' | 'unchanged' | 'kept' | 'unreadable';
  /** latin1; not of what is unchanged or kept. */
  readonly path: string | undefined;
  /** Of what is on the disk. */
  readonly entry?: Entry;
  readonly size_bytes?: number;
}

/** The root stays open until the test file has ended. */
export const optionsFor = (root: string, more: Partial<CompareOptions> = {}): CompareOptions => ({
  root: holdRoot(Buffer.from(root)).root,
  excludes: makeExcludes([]),
  oneFileSystem: false,
  excludeCaches: false,
  skipped: new Skipped([]),
  catalog: new MemoryCatalog(),
  stream: 's',
  previous: 0,
  ...more,
});

interface Step {
  readonly place?: Place;
  readonly difference?: Difference;
  readonly check?: { readonly path: Buffer };
}

/** `enough`: after so many entries the rest of a directory is left as a place of its own. */
export function differences(options: CompareOptions, enough = Infinity): Difference[] {
  let steps: Step[] = [];
  let seen = 0;
  const note = (difference: Difference): void => {
    seen++;
    steps.push({ difference });
  };
  const onDisk = (kind: Difference['kind']) => (found: Found) =>
    note({ kind, path: found.path.toString('latin1'), entry: entryOf(found) });
  const before = (kind: Difference['kind']) => (previous: Previous) =>
    note({ kind, path: undefined, size_bytes: previous.status.size_bytes });
  const findings: Findings = {
    added: onDisk('added'),
    changed: onDisk('changed'),
    metadata: onDisk('metadata'),
    removed: (path) => note({ kind: 'removed', path: path.toString('latin1') }),
    unchanged: before('unchanged'),
    kept: before('kept'),
    unreadable: (path) => note({ kind: 'unreadable', path: path.toString('latin1') }),
    below: (place) => steps.push({ place }),
    stillThere: (path) => steps.push({ check: { path } }),
    isEnough: () => seen >= enough,
  };
  const comparison = new Comparison(options);
  const found: Difference[] = [];
  const ahead: Step[] = [{ place: rootPlace }];
  for (let step = ahead.pop(); step; step = ahead.pop()) {
    if (step.difference) found.push(step.difference);
    if (!step.place) continue;
    steps = [];
    seen = 0;
    comparison.compare(step.place, findings);
    ahead.push(...steps.reverse());
  }
  return found;
}

/** An entry without content and extended attributes. */
function entryOf({ status, target }: Found): Entry {
  const type = typeOf(status.mode);
  const isDevice = type === 'character-device' || type === 'block-device';
  return {
    ...fileEntryOf(status, type === 'file' ? status.size_bytes : 0),
    type,
    target,
    rdevMajor: isDevice ? status.rdevMajor : 0,
    rdevMinor: isDevice ? status.rdevMinor : 0,
  };
}

/** The tree as it is now, as version 1. */
export function remember(root: string): MemoryCatalog {
  const catalog = new MemoryCatalog();
  const entries = differences(optionsFor(root)).map(
    ({ path, entry }) => [Buffer.from(path!, 'latin1'), entry!] as const,
  );
  catalog.setVersion(1, entries);
  return catalog;
}
