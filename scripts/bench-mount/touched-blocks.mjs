// How many stored bytes the blocks have that the random reads of readers.mjs touch, by rrbackup's catalog:
//   node touched-blocks.mjs DIST CATALOG REPOSITORY_ID NAME COUNT     prints the bytes

import { join, resolve } from 'node:path';
import { randomOffsets, randomRead_bytes } from './readers.mjs';

const [, , dist, path, repositoryId, name, count] = process.argv;
const { openCatalogReader } = await import(join(resolve(dist), 'lib/catalog/index.js'));
const catalog = openCatalogReader(path, repositoryId);
const [stream] = catalog.streams();
const { entry } = catalog.find(stream.id, stream.head, Buffer.from(name));
const offsets = randomOffsets(entry.size_bytes, Number(count));
const blocks = new Map();
let start = 0;
for (const segment of entry.content) {
  const end = start + segment.size_bytes;
  const isTouched = offsets.some((offset) => offset < end && offset + randomRead_bytes > start);
  start = end;
  if (segment.kind === 'hole' || !isTouched) continue;
  const place = catalog.chunk(segment.id);
  blocks.set(`${place.pack} ${place.block}`, place.blockStored_bytes);
}
const stored_bytes = [...blocks.values()].reduce((sum, bytes) => sum + bytes, 0);
process.stdout.write(`${stored_bytes}\n`);
process.exit(0);
