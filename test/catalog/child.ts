// Runs in a process of its own what may end a process: opens catalogs, reads all of them, adds a version. Prints a line of
// JSON for each. Arguments: 'read' and the files, or 'ingest' and one file, which then takes in a large commit forever;
// 'fill' and one file: takes in the commits of `busyTrees`.

import { openCatalog } from '../../lib/catalog/index.js';
import { RrbackupError } from '../../lib/errors/index.js';
import { busyTrees, bytesOf, commitOf, commitsOf, directory, file, repositoryId, streamOf } from './trees.js';

const [task, ...files] = process.argv.slice(2);
const stream = streamOf(1);

async function read(path: string): Promise<Record<string, unknown>> {
  try {
    const { catalog, state, reason } = await openCatalog({ path, repositoryId });
    const entries = catalog
      .versions(stream)
      .map(({ header }) => Array.from(catalog.changes(stream, 0, header.sequence)).length);
    for (const id of [1, 2, 3, 50]) catalog.entryById(id);
    const sequence = (catalog.stream(stream)?.head ?? 0) + 1;
    const rows = [
      {
        op: sequence === 1 ? ('added' as const) : ('changed' as const),
        path: bytesOf(''),
        entry: directory({ mode: sequence }),
      },
    ];
    await catalog.ingest(commitOf({ sequence, rows }));
    await catalog.close();
    return { state, reason, entries };
  } catch (error) {
    if (error instanceof RrbackupError) return { code: error.code, message: error.message };
    return { unexpected: String(error) };
  }
}

async function ingest(path: string): Promise<void> {
  const { catalog } = await openCatalog({ path, repositoryId, batch: 64 });
  const sequence = catalog.stream(stream)!.head + 1;
  const commit = commitOf({ sequence, rows: [] });
  await catalog.ingest({
    ...commit,
    async *rows() {
      yield { op: 'added', path: bytesOf('endless'), entry: directory() };
      for (let number = 0; ; number++) {
        if (number === 1000) process.stdout.write('under way\n');
        const name = `endless/${String(number).padStart(9, '0')}`;
        yield { op: 'added', path: bytesOf(name), entry: file(name) };
      }
    },
  });
}

async function fill(path: string): Promise<void> {
  const { catalog } = await openCatalog({ path, repositoryId, batch: 5 });
  await catalog.ingestAll(commitsOf(busyTrees()));
  await catalog.close();
}

if (task === 'ingest') await ingest(files[0]!);
else if (task === 'fill') await fill(files[0]!);
else for (const path of files) process.stdout.write(`${JSON.stringify(await read(path))}\n`);
