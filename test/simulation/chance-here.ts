// The keys and ids that the product draws, from the seed as well: streams have the same ids and so the same order. What is left
// is the order of packs in a listing, whose names hang on the inodes and the times of the source's files.

import { createRequire, syncBuiltinESMExports } from 'node:module';
import { Random } from './random.js';

/** From now on, in this process, whoever asks for random bytes gets those of the seed. Never for anything that is kept. */
export function drawKeysFrom(seed: number): void {
  const random = new Random(seed);
  const crypto = createRequire(import.meta.url)('node:crypto') as { randomFillSync: unknown };
  crypto.randomFillSync = (bytes: Uint8Array): Uint8Array => {
    for (let at = 0; at < bytes.length; at++) bytes[at] = random.below(256);
    return bytes;
  };
  syncBuiltinESMExports();
}
