// Stored blocks that lie on this machine, for threads that may wait for a disk and never for a network. Hands out bytes as they
// are: whoever reads them authenticates them (block-decoder.ts).

import { type Clock, systemClock } from '../clock.js';
import { CachedBlocks } from './cache/blocks.js';
import { DirectoryBlocks } from './directory-blocks.js';
import type { ChunkPlace } from './types.js';

/** Plain data, so that it crosses to worker threads. Paths are absolute. */
export type LocalBlocksSettings =
  /** A directory store, by its root. */
  | { readonly kind: 'directory'; readonly path: string }
  /** The disk cache of one repository (lib/pack/cache). */
  | { readonly kind: 'cache'; readonly path: string; readonly maximum_bytes: number }
  | { readonly kind: 'none' };

/** Synchronous; one for each thread. Nothing here throws: what cannot be read is not here. */
export interface LocalBlocks {
  /**
   * The stored bytes of the place's block, unchecked; undefined where they are not on this machine. Valid until the next
   * read: they lie in a buffer that is used again.
   */
  read(place: ChunkPlace): Buffer | undefined;
  /** What was read did not authenticate: a cache forgets it, a directory opens its file anew. */
  reject(place: ChunkPlace): void;
  close(): void;
}

const nowhere: LocalBlocks = { read: () => undefined, reject: () => undefined, close: () => undefined };

/** `readsOn`: most blocks are followed by those that lie behind them in their packs. */
export function openLocalBlocks(
  settings: LocalBlocksSettings,
  { clock = systemClock, readsOn = false }: { readonly clock?: Clock; readonly readsOn?: boolean } = {},
): LocalBlocks {
  if (settings.kind === 'directory') return new DirectoryBlocks(settings.path, { readsOn });
  if (settings.kind === 'cache') return new CachedBlocks(settings.path, clock);
  return nowhere;
}
