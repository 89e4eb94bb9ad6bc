// Opens the LMDB file and its tables. The only importer of lmdb; knows no questions and no rows.

import { closeSync, fstatSync, openSync } from 'node:fs';
import { open, type RootDatabase } from 'lmdb';

import { preallocate } from '../posix/allocate.js';
import { ChunkTable } from './chunk-table.js';
import { catalogFailure } from './failure.js';
import { PlaceTable } from './place-table.js';
import { stretchCoders } from './stretch.js';
import { Table, type Store } from './table.js';

/** Raised with every change of what the tables hold: a catalog of another number is rebuilt, never converted. */
export const schemaVersion = 5;

/**
 * Address space, not memory and not disk: with all of it reserved the map never moves, so that readers in other threads and
 * processes go on undisturbed while a writer makes the file grow.
 */
const mapSize_bytes = 64 * 2 ** 30;

const tableNames = [
  'meta', // 'schema', 'repository', 'counters', 'xattrs' (xattr-kinds.ts), 'gap ' and stream id
  'streams', // stream id → info, number, head, pending commit
  'versions', // stream number, sequence → version header, commit hash, size of what it stored
  'nodes', // directory, name, age → state of an entry (state.ts)
  'ids', // page of row numbers → directory, name, from of each (place-table.ts)
  'links', // stream number, hash of a hard-linked entry → row number
  'children', // directory, name → directory behind that name
  'directories', // directory → stream number, parent, name
  'touched', // stream number, sequence, page → names that the version touched
  'chunks', // bucket → chunk ids with pack number, block, offset, size (chunk-table.ts)
  'packs', // pack number → name, version id, header, blocks
  'contents', // pack number → the whole PackInfo, with every chunk id
  'packNames', // pack name → pack number
] as const;

/** Tables with more than one row of ours to a row of theirs are asked through what knows their form. */
type Packed = 'ids' | 'chunks';
export type Tables = Readonly<Record<Exclude<(typeof tableNames)[number], Packed>, Table>> & {
  readonly ids: PlaceTable;
  readonly chunks: ChunkTable;
};

export interface CatalogDatabase {
  readonly path: string;
  readonly readOnly: boolean;
  readonly tables: Tables;
  /** Runs `write` in one transaction: all of it or, if it throws, nothing. Throws RrbackupError. */
  transaction<T>(write: () => T): T;
  refresh(): void;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  readonly path: string;
  readonly readOnly: boolean;
}

/** Of 126 readers, LMDB's own default, in whole pages. */
const locks_bytes = 12_288;

/**
 * LMDB maps its file of locks and writes to it: where the disk is full that would end the process by a signal. Throws instead
 * what the system says.
 */
function takeRoomForLocks(file: string): void {
  const descriptor = openSync(file, 'a+', 0o600);
  try {
    if (fstatSync(descriptor).blocks * 512 < locks_bytes) preallocate(descriptor, locks_bytes);
  } finally {
    closeSync(descriptor);
  }
}

/** Throws RrbackupError: 'catalog.damaged' where LMDB does not recognise its file or tables are missing. */
export function openDatabase({ path, readOnly }: DatabaseOptions): CatalogDatabase {
  let root: RootDatabase<Buffer, Buffer> | undefined;
  try {
    if (!readOnly) takeRoomForLocks(`${path}-lock`);
    root = open<Buffer, Buffer>({
      path,
      noSubdir: true,
      readOnly,
      maxDbs: tableNames.length + 3,
      mapSize: mapSize_bytes,
      // Every commit is on the disk when it returns: simpler than lmdb-js's overlapping flushes, and the ingest batches.
      overlappingSync: false,
      encoding: 'binary',
      keyEncoding: 'binary',
      ...{ permissionsMode: 0o600 },
    });
    const opened = root;
    const plain = Object.fromEntries(
      tableNames.map((name) => {
        const store = opened.openDB({ name, encoding: 'binary', keyEncoding: 'binary' }) as Store | undefined;
        if (store === undefined)
          throw Object.assign(new Error(`table '${name}' is missing`), { code: -30793 });
        const stretches =
          name === 'nodes' ? (opened.openDB({ name, ...stretchCoders }) as unknown as Store) : undefined;
        return [name, new Table(store, name, stretches)];
      }),
    ) as unknown as Record<(typeof tableNames)[number], Table>;
    const ids = new PlaceTable(plain.ids);
    const chunks = new ChunkTable(plain.chunks);
    const tables: Tables = { ...plain, ids, chunks };
    return {
      path,
      readOnly,
      tables,
      transaction<T>(write: () => T): T {
        try {
          if (readOnly) throw Object.assign(new Error('it is open for reading only'), { code: 'EROFS' });
          return opened.transactionSync(() => {
            const result = write();
            ids.flush();
            chunks.flush();
            return result;
          });
        } catch (error) {
          ids.forget();
          chunks.forget();
          throw catalogFailure(error, path);
        }
      },
      refresh: () => {
        opened.resetReadTxn();
      },
      close: () => opened.close(),
    };
  } catch (error) {
    void root?.close();
    throw catalogFailure(error, path);
  }
}
