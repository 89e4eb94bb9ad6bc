// Opens the catalog of a repository, and notices when the file that is there cannot be it: then it makes a new one and says
// why. Never opens a file with LMDB that it has not looked at before.

import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

import { RrbackupError } from '../errors/index.js';
import { makeDirectories } from '../posix/new-directory.js';
import { readOwnFile } from '../posix/small-file.js';
import { distrustedOnWay, distrustInWords } from '../posix/trust.js';
import { Catalog } from './catalog.js';
import { openDatabase, schemaVersion, type CatalogDatabase } from './database.js';
import { catalogFailure, catalogMissing } from './failure.js';
import { defaultBatch } from './ingest.js';
import { beginsLikeLmdb, checkMeta, checkPages } from './lmdb-file.js';
import { numberKey } from './records.js';

export interface CatalogOptions {
  /** The file; its parent directories are made where they are missing. Beside it lie `…-lock` and `…-seal`. */
  readonly path: string;
  readonly repositoryId: string;
  /** Nothing is made or repaired: a missing catalog is 'catalog.missing', a damaged one 'catalog.damaged'. */
  readonly readOnly?: boolean;
  /** Rows written in one transaction. Small ones serve tests only. */
  readonly batch?: number;
}

export interface OpenedCatalog {
  readonly catalog: Catalog;
  readonly state: 'opened' | 'created' | 'rebuilt';
  /** Why it was rebuilt, for people. */
  readonly reason?: string;
}

const lockPath = (path: string): string => `${path}-lock`;
const sealPath = (path: string): string => `${path}-seal`;

const schemaKey = Buffer.from('schema');
const repositoryKey = Buffer.from('repository');

/** Throws RrbackupError: 'catalog.denied', 'catalog.not_a_file', 'catalog.disk_full', and see CatalogOptions.readOnly. */
export async function openCatalog(options: CatalogOptions): Promise<OpenedCatalog> {
  const { path, repositoryId, readOnly = false, batch = defaultBatch } = options;
  const toCatalog = (database: CatalogDatabase): Catalog =>
    new Catalog(database, repositoryId, { seal, batch });
  try {
    refuseForeign(path);
    if (!readOnly) {
      makeDirectories(dirname(path));
      refuseForeign(path);
    }
    const found = inspect(path);
    if (found === 'absent') {
      if (readOnly) throw catalogMissing(path);
      return { catalog: toCatalog(create(path, repositoryId)), state: 'created' };
    }
    const opened = found.reason === undefined ? await openSound(path, repositoryId, readOnly) : found.reason;
    if (typeof opened !== 'string') return { catalog: toCatalog(opened), state: 'opened' };
    if (readOnly) throw notOurs(path, opened);
    setAside(path, found.inode);
    return { catalog: toCatalog(create(path, repositoryId)), state: 'rebuilt', reason: opened };
  } catch (error) {
    throw catalogFailure(error, path);
  }
}

/** Deletes a catalog, for callers that have met 'catalog.damaged'. Close it first. Nothing of the repository is lost. */
export function removeCatalog(path: string): void {
  for (const file of [sealPath(path), path, lockPath(path)]) rmSync(file, { force: true });
}

/** The database, or why it is not one that can be used. */
async function openSound(
  path: string,
  repositoryId: string,
  readOnly: boolean,
): Promise<CatalogDatabase | string> {
  let database: CatalogDatabase;
  try {
    database = openDatabase({ path, readOnly });
  } catch (error) {
    if (error instanceof RrbackupError && error.code === 'catalog.damaged') return 'it could not be opened';
    throw error;
  }
  let reason: string | undefined;
  try {
    reason = whyUnfit(database, repositoryId);
  } catch (error) {
    if (!(error instanceof RrbackupError)) throw error;
    reason = 'it was damaged';
  }
  if (reason === undefined) return database;
  await database.close();
  return reason;
}

function whyUnfit({ tables }: CatalogDatabase, repositoryId: string): string | undefined {
  const schema = tables.meta.get(schemaKey)?.readUInt32BE(0);
  if (schema === undefined) return 'it was never finished';
  if (schema !== schemaVersion) return 'it was made by another version of rrbackup';
  const repository = tables.meta.get(repositoryKey)?.toString('utf8');
  return repository === repositoryId ? undefined : 'it belonged to another repository';
}

function create(path: string, repositoryId: string): CatalogDatabase {
  rmSync(lockPath(path), { force: true });
  const database = openDatabase({ path, readOnly: false });
  const room = Buffer.alloc(4);
  database.transaction(() => {
    if (database.tables.meta.has(schemaKey)) return;
    database.tables.meta.put(repositoryKey, Buffer.concat([room, Buffer.from(repositoryId, 'utf8')]));
    database.tables.meta.put(schemaKey, Buffer.concat([room, numberKey(schemaVersion)]));
  });
  seal(path);
  return database;
}

/**
 * A catalog that another user can write to would decide what is backed up and what is shown, and LMDB ends the process where its
 * file is cut short. The directory counts, because files are made anew in it.
 */
function refuseForeign(path: string): void {
  for (const each of [dirname(path), path, lockPath(path), sealPath(path)]) {
    const found = distrustedOnWay(each);
    if (found === undefined) {
      const isInTheWay =
        each !== dirname(path) && lstatSync(each, { throwIfNoEntry: false })?.isFile() === false;
      if (isInTheWay) throw notAFile(each);
      continue;
    }
    throw new RrbackupError({
      code: 'catalog.foreign',
      kind: 'usage',
      message: `the local catalog ${path} is not used: ${distrustInWords(found)}`,
      guidance:
        'set local_manifest_file to a file in a directory that only you can write to, or remove it from the configuration; ' +
        'without it HOME (sudo -H) or XDG_CACHE_HOME says where the catalog lies',
    });
  }
}

/** What stands at the path: nothing, or a file, with what is wrong with it. */
function inspect(path: string): 'absent' | { inode: number; reason: string | undefined } {
  let descriptor: number;
  try {
    // What is no file after all has nobody to wait for.
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 'absent';
    throw error;
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) throw notAFile(path);
    if (stat.size === 0) return 'absent';
    if (!beginsLikeLmdb(descriptor)) return { inode: stat.ino, reason: 'it was no catalog' };
    const found = checkMeta(descriptor) ?? (isSealed(path) ? undefined : checkPages(descriptor));
    return { inode: stat.ino, reason: found === undefined ? undefined : `it was damaged: ${found}` };
  } finally {
    closeSync(descriptor);
  }
}

/**
 * The seal says what the file looked like when we last left it. While it matches, nobody else has written to the file, and
 * it is opened without a look at every page; after a crash, a copy or a stray write all of it is read once.
 */
function seal(path: string): void {
  try {
    writeFileSync(sealPath(path), appearance(path), { mode: 0o600 });
  } catch {
    // Only a reason to look more closely next time.
    rmSync(sealPath(path), { force: true });
  }
}

function isSealed(path: string): boolean {
  try {
    return readOwnFile(sealPath(path)) === appearance(path);
  } catch {
    return false;
  }
}

function appearance(path: string): string {
  const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  return `${ino} ${size} ${mtimeNs} ${ctimeNs}\n`;
}

/**
 * Makes room for a new catalog. What is recognisably LMDB's is deleted; anything else at that path may be dear to somebody
 * and is kept under another name.
 */
function setAside(path: string, inode: number): void {
  // Another process may just have done the same: its new catalog stays.
  if (statSync(path, { throwIfNoEntry: false })?.ino !== inode) return;
  const descriptor = openSync(path, 'r');
  const isOurs = beginsLikeLmdb(descriptor);
  closeSync(descriptor);
  if (!isOurs) renameSync(path, `${path}.old`);
  removeCatalog(path);
}

function notAFile(path: string): RrbackupError {
  return new RrbackupError({
    code: 'catalog.not_a_file',
    kind: 'usage',
    message: `${path}, which belongs to the local catalog, is not a file`,
    guidance: 'set local_manifest_file to the path of a file, or remove what is there',
  });
}

function notOurs(path: string, reason: string): RrbackupError {
  return new RrbackupError({
    code: 'catalog.damaged',
    kind: 'damaged',
    message: `the local catalog ${path} cannot be used: ${reason}`,
    guidance: 'run the command again with the right to write there: the catalog is rebuilt, nothing is lost',
  });
}
