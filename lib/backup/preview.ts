// What a backup would do, without doing it: the comparison alone, no file read, nothing written anywhere.

import { setImmediate } from 'node:timers/promises';
import { interrupted } from '../errors/index.js';
import { recallGone } from '../repository/damage.js';
import type { Repository } from '../repository/index.js';
import type { SourceConfiguration } from '../repository/types.js';
import type { Run } from '../progress.js';
import { Comparison } from './compare.js';
import { type Findings, type Found, type Place, type Previous, rootPlace } from './findings.js';
import { compareOptions } from './compare-options.js';
import type { Unreadable } from './messages.js';
import { sourceSettings } from './settings.js';
import { OpenSource, type SourceOptions } from './source.js';
import { typeOf } from './status-entry.js';
import { type ChangeKind, countChange, countEntry, type Figures, noFigures } from './tally.js';
import { Tracker } from './tracker.js';

export interface PreviewedChange {
  readonly kind: ChangeKind;
  readonly path: Uint8Array;
}

export interface PreviewResult {
  readonly source: string;
  readonly counts: Figures['counts'];
  /** Content of files: to be read, and gone. How much of it is new to the repository only reading tells. */
  readonly bytes: Figures['bytes'];
  /** The first thousand of them. */
  readonly unreadable: readonly Unreadable[];
  readonly unreadableCount: number;
}

type Step =
  { readonly place: Place } | { readonly change: PreviewedChange } | { readonly unreadable: Unreadable };

const entriesPerTurn = 512;

class Listing implements Findings {
  figures = noFigures();
  steps: Step[] = [];

  added(found: Found): void {
    this.#change('added', found);
  }

  changed(found: Found): void {
    this.#change('changed', found);
  }

  metadata(found: Found): void {
    this.#change('metadata', found);
  }

  removed(path: Buffer, { status }: Previous): void {
    this.figures.done.files++;
    countChange(this.figures, 'removed', status.size_bytes);
    this.steps.push({ change: { kind: 'removed', path } });
  }

  unchanged({ status }: Previous): void {
    countEntry(this.figures, status.type, status.size_bytes);
  }

  kept(previous: Previous): void {
    this.unchanged(previous);
  }

  unreadable(path: Buffer, reason: string): void {
    this.steps.push({ unreadable: { path, reason } });
  }

  below(place: Place): void {
    this.steps.push({ place });
  }

  stillThere(): void {
    // Nothing will be written, so nothing can be lost by it.
  }

  isEnough(): boolean {
    return this.steps.length >= entriesPerTurn || this.figures.done.files >= entriesPerTurn;
  }

  #change(kind: ChangeKind, { path, status }: Found): void {
    const type = typeOf(status.mode);
    const size_bytes = type === 'file' ? status.size_bytes : 0;
    countEntry(this.figures, type, size_bytes);
    countChange(this.figures, kind, size_bytes);
    this.steps.push({ change: { kind, path } });
  }
}

export interface PreviewOptions extends Run, SourceOptions {
  onChange?(change: PreviewedChange): Promise<void>;
}

/** Open the repository with access 'dry-run'. `onChange` is called for every change in path order. */
export async function previewBackup(
  repository: Repository,
  source: SourceConfiguration,
  options: PreviewOptions = {},
): Promise<PreviewResult> {
  const opened = new OpenSource(source, options);
  try {
    return await preview(repository, source, opened, options);
  } finally {
    opened.close();
  }
}

async function preview(
  repository: Repository,
  source: SourceConfiguration,
  opened: OpenSource,
  options: PreviewOptions,
): Promise<PreviewResult> {
  const stream = repository.streamId(source.name);
  repository.refuseBehindGap(stream);
  const { catalog, ownPaths } = repository;
  const previous = catalog.stream(stream)?.head ?? 0;
  const gone = recallGone(repository.state.directory);
  const { root } = opened;
  const settings = sourceSettings({ source, root, catalog, stream, previous, ownPaths, gone });
  if (previous > 0) opened.checkReplaced(catalog.root(stream, previous));
  const newComparison = (): Comparison => new Comparison(compareOptions(settings, catalog));
  const comparison = newComparison();
  const tracker = new Tracker(options);
  tracker.expect(catalog.version(stream, previous)?.header.statistics, newComparison, opened);
  const ahead: Step[] = [{ place: rootPlace }];
  for (let step = ahead.pop(); step; step = ahead.pop()) {
    if ('change' in step) await options.onChange?.(step.change);
    else if ('unreadable' in step) tracker.unreadable.add(step.unreadable);
    else {
      const listing = new Listing();
      comparison.compare(step.place, listing);
      tracker.add(listing.figures, step.place.path);
      ahead.push(...listing.steps.reverse());
      await setImmediate();
      if (options.signal?.aborted) throw interrupted();
    }
  }
  const { counts, bytes } = tracker.figures;
  const { first, count } = tracker.unreadable;
  return { source: source.name, counts, bytes, unreadable: first, unreadableCount: count };
}
