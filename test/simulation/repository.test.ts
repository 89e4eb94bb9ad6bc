// Whole repositories under random schedules: backups, crashes, restores, lost memories, old images, recoveries, jumping clocks.

import t from 'tap';
import { runs } from '../runs.js';
import { simulateRepository } from './repository.js';
import { firstFailure, numbers } from './run.js';
import { repositorySeeds } from './seeds.js';
import { runBackupsHere } from './threads-here.js';

runBackupsHere();

void t.test('the same seed is the same story', async (t) => {
  for (const seed of numbers(5, 3)) {
    const { versions, story } = await simulateRepository(seed);
    const again = await simulateRepository(seed);
    t.strictSame([again.versions, again.story], [versions, story], `seed ${seed}`);
  }
});

void t.test('machines and a store at its worst', async (t) => {
  t.equal(await firstFailure(simulateRepository, repositorySeeds), undefined, 'seeds that once failed');
  const { numRuns } = runs(40);
  t.equal(await firstFailure(simulateRepository, numbers(1000, numRuns)), undefined, `${numRuns} schedules`);
});
