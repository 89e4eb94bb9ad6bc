// What packs tell of versions whose other packs are lost: the rows that are left, made to fit the tree before them, and for
// versions that nobody tells of whatever is left of them. Only the scratch catalog takes these in; what is written of it says
// that it is a part (lib/manifest/in-part.ts).

import type { Catalog } from '../catalog/index.js';
import { blankEntry, type Entry, type Row, type VersionHeader } from '../manifest/types.js';
import type { Run } from '../progress.js';
import type { Repository } from '../repository/index.js';
import { randomBytes } from '../crypto/index.js';
import type { Candidate } from './line.js';
import { headlessContents, type Survey, type VersionContents, versionContents } from './survey.js';

const slash = 0x2f;

/** What was lost of a directory is all but its name. */
const unknownDirectory: Entry = { ...blankEntry, type: 'directory', mode: 0o700 };

/** As versionContents; the directories that the rows need and that neither they nor the version before have are made up. */
export function partOf(
  repository: Repository,
  scratch: Catalog,
  candidate: Candidate,
  survey: Survey,
  run: Run,
): VersionContents {
  return fitting(scratch, candidate.header.stream, versionContents(repository, candidate, survey, run));
}

/**
 * Has the scratch catalog take in, for the versions up to the one before `header`, what is left of them: nothing, but of the
 * last one the packs that carry its run.
 */
export async function fillHole(
  repository: Repository,
  scratch: Catalog,
  header: VersionHeader,
  survey: Survey,
  run: Run,
): Promise<void> {
  const { stream } = header;
  const first = (scratch.stream(stream)?.head ?? 0) + 1;
  for (let sequence = first; sequence < header.sequence; sequence++) {
    const id = sequence === header.sequence - 1 ? header.parentRun : randomBytes(16).toString('hex');
    const contents = fitting(scratch, stream, headlessContents(repository, id, survey, run));
    const parentHash = scratch.stream(stream)?.headHash ?? '';
    const lost = { ...header, sequence, run: id, parentHash };
    const hash = randomBytes(32).toString('hex');
    await scratch.ingest({ kind: 'version', hash, versionId: '', header: lost, parts: [], ...contents }, run);
  }
}

/** Makes rows that belong to another tree before them fit the one that the scratch catalog has. */
export function fitting<Contents extends { rows(): AsyncIterable<Row> }>(
  scratch: Catalog,
  stream: string,
  contents: Contents,
): Contents & { rows(): AsyncGenerator<Row> } {
  return { ...contents, rows: () => withDirectories(scratch, stream, contents.rows()) };
}

async function* withDirectories(
  scratch: Catalog,
  stream: string,
  rows: AsyncIterable<Row>,
): AsyncGenerator<Row> {
  const head = scratch.stream(stream)?.head ?? 0;
  const before = (path: Uint8Array): Entry | undefined =>
    head === 0 ? undefined : scratch.find(stream, head, path)?.entry;
  /** Above the row at hand, outermost first, the root included: directories of this version. */
  let above: Buffer[] = [];
  for await (const row of rows) {
    const path = Buffer.from(row.path);
    above = above.filter((directory) => isBelow(path, directory));
    if (row.op === 'removed') {
      if (before(path) !== undefined) yield row;
      continue;
    }
    for (const directory of directoriesAbove(path).slice(above.length)) {
      const known = before(directory);
      if (known?.type !== 'directory')
        yield { op: known === undefined ? 'added' : 'changed', path: directory, entry: unknownDirectory };
      above.push(directory);
    }
    if (row.entry.type === 'directory') above.push(path);
    yield row;
  }
}

/** The root's path is empty. */
function isBelow(path: Buffer, directory: Buffer): boolean {
  if (directory.length === 0) return path.length > 0;
  return path[directory.length] === slash && path.subarray(0, directory.length).equals(directory);
}

/** Outermost first; none for the root. */
function directoriesAbove(path: Buffer): Buffer[] {
  if (path.length === 0) return [];
  const found: Buffer[] = [Buffer.alloc(0)];
  for (let at = path.indexOf(slash); at >= 0; at = path.indexOf(slash, at + 1))
    found.push(path.subarray(0, at));
  return found;
}
