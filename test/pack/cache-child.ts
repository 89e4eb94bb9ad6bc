// One of several programs that read the same packs through the same disk cache, damage it and delete from it, see
// cache-processes.test.ts. Ends with status 0 if every byte it was given was right.

import fs from 'node:fs';
import path from 'node:path';
import { DiskCache } from '../../lib/pack/cache/index.js';
import { PackReader } from '../../lib/pack/reader.js';
import type { ChunkPlace } from '../../lib/pack/types.js';
import { DirectoryStore } from '../../lib/store/directory/index.js';
import { noise, packContext } from './fixture.js';

export interface Task {
  readonly store: string;
  readonly cache: string;
  readonly maximum_bytes: number;
  readonly rounds: number;
  readonly seed: number;
  /** Of each pack: the seed and the size of each block's content, and where it is. Headers as base64. */
  readonly packs: readonly (readonly {
    readonly seed: number;
    readonly place: Omit<ChunkPlace, 'packHeader'> & { readonly packHeader: string };
  }[])[];
}

const task = JSON.parse(process.argv[2]!) as Task;
let state = task.seed;

function chance(below: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

function spoil(file: string): void {
  const { size } = fs.statSync(file);
  const what = chance(4);
  if (what === 0) fs.rmSync(file);
  else if (what === 1) fs.truncateSync(file, chance(size));
  else {
    const descriptor = fs.openSync(file, 'r+');
    fs.writeSync(descriptor, Buffer.alloc(1 + chance(50), chance(2)), 0, undefined, chance(size));
    fs.closeSync(descriptor);
  }
}

const context = await packContext();
const cache = new DiskCache({
  path: task.cache,
  maximum_bytes: task.maximum_bytes,
  onWarning: (message) => {
    throw new Error(message);
  },
});
const reader = new PackReader({ ...context, store: new DirectoryStore(task.store), cache });
for (let round = 0; round < task.rounds; round++) {
  const pack = task.packs[chance(task.packs.length)]!;
  const first = chance(pack.length);
  const wanted = pack.slice(first, first + 1 + chance(3));
  const places = wanted.map(({ place }) => ({
    ...place,
    packHeader: Buffer.from(place.packHeader, 'base64'),
  }));
  const blocks = await reader.readBlocks(places);
  for (const { seed, place } of wanted)
    if (!blocks.get(place.block)!.equals(noise(place.blockPlain_bytes, seed))) process.exit(10);
  if (chance(5) > 0) continue;
  try {
    if (chance(20) === 0) fs.rmSync(task.cache, { recursive: true, force: true });
    else spoil(path.join(task.cache, places[0]!.pack));
  } catch (error) {
    // Another one was faster.
    if (!['ENOENT', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
await cache.close();
