// Everything that one thread needs to put entries back, put together: in a thread of its own (worker.ts) or in the main one.

import type { CatalogReader } from '../catalog/types.js';
import { loadZstd } from '../compression/index.js';
import { chunkId, cryptoReady, type RepositoryKeys } from '../crypto/index.js';
import { interrupted } from '../errors/index.js';
import { BlockDecoder, type LocalBlocksSettings, openLocalBlocks } from '../pack/index.js';
import { Blocks } from './blocks.js';
import type { Request, Response, WriterSettings } from './messages.js';
import { PieceWriter } from './pieces.js';
import { EntryWriter } from './writer.js';

export interface EngineOptions extends WriterSettings {
  readonly catalog: Pick<CatalogReader, 'lookup' | 'chunk'>;
  readonly repositoryId: string;
  readonly keys: RepositoryKeys;
  readonly local: LocalBlocksSettings;
}

export interface Engine {
  /** Throws what ends the restore, or of a piece what is wrong with its file. */
  handle(request: Request): Response;
  close(): void;
}

export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { catalog, repositoryId, keys, local } = options;
  await cryptoReady();
  // Through the system's library a block is decompressed into memory that is there already.
  const zstd = await loadZstd('libzstd');
  const decoder = new BlockDecoder({ keys, repositoryId, zstd }, { reusesMemory: true });
  const blocks = new Blocks(decoder, openLocalBlocks(local, { readsOn: true }));
  const stop = new Int32Array(options.stop);
  const comparison = {
    identify: (plain: Uint8Array) => chunkId(keys, plain),
    check: () => {
      if (Atomics.load(stop, 0) !== 0) throw interrupted();
    },
  };
  const entries = new EntryWriter({ ...options, catalog, blocks, comparison });
  const pieces = new PieceWriter({ catalog, blocks, comparison });
  return {
    handle: (request) => (request.kind === 'entries' ? entries.entries(request) : pieces.piece(request)),
    close: () => blocks.close(),
  };
}
