// Scenarios 4, 5, 15 and 17 of TESTING.md, of the manifest alone: by thousands of random schedules, and by those that chance
// would seldom reach.

import t from 'tap';
import { runs } from '../runs.js';
import { nothingFound } from './apart.js';
import { simulateChain } from './chain.js';
import { firstFailure, numbers } from './run.js';
import { chainSeeds } from './seeds.js';

void t.test('a schedule depends on nothing but its seed', async (t) => {
  for (const seed of numbers(1, 20))
    t.strictSame((await simulateChain(seed)).trace, (await simulateChain(seed)).trace, `seed ${seed}`);
});

void t.test('writers, readers and a store at its worst', async (t) => {
  t.equal(await firstFailure(simulateChain, chainSeeds), undefined, 'seeds that once failed');
  await nothingFound(t, 'chain', 1, runs(10_000).numRuns);
});
